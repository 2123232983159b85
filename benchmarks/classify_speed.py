"""How many photographs a classifier says something about a second, beside Keras' own `predict` over the same files.

    python benchmarks/classify_speed.py [--weights BUNDLE ...] [--pictures 256] [--rounds 3] [--data FOLDER]

Without `--weights` VGG16 and Xception at 150 pixels, with random weights: speed does not hang on them. Each way runs in
a process of its own, in turns: `model.predict` on `keras.utils.image_dataset_from_directory`, batch 32, TensorFlow with
all threads, as the documentation shows it; and the library call of `cv predict FOLDER` with the engine that "auto"
takes, and with each one by name. "img/s" is from the loaded, warm model to the last answer, "cpu ms" what each picture
took of all cores together, which says more where other programs are at work; medians, and the ratio to Keras. The
largest difference of a probability from Keras' own over these files says that it is the same model, but for the
resizing: Keras' own is done by TensorFlow, so the row "ours keras" shows how much of it that is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from predict_speed import Clock

_REPOSITORY = Path(__file__).resolve().parent.parent
_WAYS = ("keras predict", "ours", "ours openvino", "ours onnxruntime", "ours keras")
_SIDE = 150


def make_bundle(backbone: str, place: Path) -> Path:
    """A classifier with random weights and its portable model. Run in a process of its own: it loads TensorFlow."""
    from lensmith.weights.architecture import build_classifier, import_keras

    import_keras("cpu")
    from lensmith.classify.export import export_portable
    from lensmith.predict.engines.keras import predict_probabilities
    from lensmith.weights.bundle import BundleRecord, ClassifierRecord, Preprocessing, write_bundle

    shape = ClassifierRecord(backbone=backbone, units=256, dropout=0.5, weights="none")
    record = BundleRecord(
        name=backbone, task="classify", names=("cats", "dogs"), classifier=shape,
        preprocessing=Preprocessing(width=_SIDE, height=_SIDE, resize="stretch", interpolation="area"),
    )  # fmt: skip
    model = build_classifier(shape, _SIDE, _SIDE, 2)
    inputs = np.random.default_rng(0).integers(0, 256, (2, _SIDE, _SIDE, 3), dtype=np.uint8)
    outputs = predict_probabilities(model, inputs)

    def fill(folder: Path) -> None:
        model.save(folder / "model.keras")
        export_portable(model, record, folder / "model.keras", folder / "model.onnx")

    return write_bundle(place / backbone, record, fill, golden=(inputs, outputs)).folder


def theirs(bundle: Path, folder: Path) -> dict[str, Any]:
    """Photographs a second through Keras alone, and what it says."""
    from lensmith.predict.engines.keras import KerasEngine
    from lensmith.weights.bundle import read_bundle

    opened = read_bundle(bundle)
    model = KerasEngine(opened, "cpu").model
    import keras

    size = opened.record.preprocessing
    files = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=(size.height, size.width), batch_size=32, shuffle=False, verbose=False
    )
    model.predict(files.take(1), verbose=0)
    started = Clock()
    said = model.predict(files, verbose=0)
    return {**started.spent(len(said))._asdict(), "said": said.tolist(), "engine": "keras"}


def ours(bundle: Path, folder: Path, engine: str) -> dict[str, Any]:
    """Photographs a second through the library call of `cv predict`, what it says, and the engine."""
    from lensmith.core.workspace import Workspace
    from lensmith.predict.batch import PredictConfig, predict_source
    from lensmith.predict.model import open_model
    from lensmith.predict.sources import open_source
    from lensmith.weights.bundle import read_bundle

    model = open_model(read_bundle(bundle), engine=engine, device="cpu")
    place, said = Workspace(folder.parent), []
    config = PredictConfig(on_record=lambda record: said.append(list(record["probabilities"].values())))
    predict_source(open_source(str(min(folder.iterdir()))), model, place, config)
    said.clear()
    source = open_source(str(folder))
    started = Clock()
    done = predict_source(source, model, place, config)
    return {**started.spent(done.summary.frames)._asdict(), "said": said, "engine": model.engine_name}


def child(way: str, bundle: Path, folder: Path) -> dict[str, Any]:
    """One way in this process."""
    return theirs(bundle, folder) if way == "keras predict" else ours(bundle, folder, way[5:] or "auto")


def run(*arguments: str, cache: Path) -> str:
    """The benchmark itself in a process of its own; the last line that it prints."""
    env = {**os.environ, "CV_CACHE": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise SystemExit(f"{arguments}: {done.stderr[-4000:]}")
    return done.stdout.splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="+")
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CV_TEST_DATA", "../shared/data")))
    parser.add_argument("--child", choices=_WAYS)
    parser.add_argument("--make")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.make:
        print(make_bundle(given.make, given.folder))
        return
    if given.child:
        print(json.dumps(child(given.child, given.weights[0], given.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        folder = place / "photographs"
        folder.mkdir()
        found = sorted((given.data.resolve() / "classify/catsdogs").rglob("*.jpg"))
        for number, index in enumerate(np.linspace(0, len(found) - 1, given.pictures).astype(int)):
            (folder / f"{number:05d}.jpg").symlink_to(found[index])
        cache = place / "cache"
        bundles = [path.resolve() for path in given.weights or ()] or [
            Path(run("--make", name, "--folder", str(place), cache=cache)) for name in ("vgg16", "xception")
        ]
        for bundle in bundles:
            measure(bundle, folder, cache, given.rounds)


def measure(bundle: Path, folder: Path, cache: Path, rounds: int) -> None:
    """The table of one bundle."""
    place = ("--weights", str(bundle), "--folder", str(folder))
    run("--child", "ours", *place, cache=cache)  # engines are measured, and files are in the system's memory
    told: dict[str, list[dict[str, Any]]] = {way: [] for way in _WAYS}
    for _ in range(rounds):
        for way in _WAYS:
            told[way].append(json.loads(run("--child", way, *place, cache=cache)))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{bundle.name}: {len(list(folder.iterdir()))} photographs, {rounds} rounds, {cores} cores")
    print(f"{'':20}{'engine':14}{'img/s':>8}{'ratio':>8}{'cpu ms':>9}{'largest difference':>20}")
    base = statistics.median(one["speed"] for one in told["keras predict"])
    reference = np.array(told["keras predict"][0]["said"])
    for way, runs in told.items():
        speed = statistics.median(one["speed"] for one in runs)
        cpu = statistics.median(one["cpu"] for one in runs)
        difference = np.abs(np.array(runs[0]["said"]) - reference).max()
        print(f"{way:20}{runs[0]['engine']:14}{speed:8.1f}{speed / base:8.2f}{cpu:9.1f}{difference:20.4f}", flush=True)


if __name__ == "__main__":
    main()
