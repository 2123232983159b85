"""How many photographs of a folder a second, beside Ultralytics as it comes and on its own OpenVINO export.

    python benchmarks/predict_speed.py [--pictures 128] [--size 640] [--rounds 3] [--square] [--weights BUNDLE]

The same photographs and the same weights (yolov8n with COCO's classes, or a detector's bundle), each way in a process
of its own, in turns. "img/s" is from the loaded, warm model to the last picture's results, as `cv predict FOLDER` and
`yolo predict source=FOLDER save=False` do them; "cpu ms" what each picture took of all cores together, which says more
than the former where other programs are at work; "whole s" the process from start to end, with imports and loading.
Medians of the rounds, and ratios to Ultralytics as it comes and to its OpenVINO path. Then what bounds ours: the model
alone on pictures that are decoded and fitted already, and decoding and fitting alone in one thread. With `--square`
photographs that were made square before: padding, which ours and Ultralytics as it comes keep small, is none there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))
_AS_TAKEN = ("detect/chess-yolo", "classify/catsdogs")
_SQUARE = ("detect/rubik-yolo", "detect/waste-yolo", "detect/robot-coco")
_WAYS = ("ultralytics", "ultralytics openvino", "ours", "ours onnxruntime", "model alone", "decoding alone")


class Spent(NamedTuple):
    """Photographs a second, and the milliseconds of all cores together that each took."""

    speed: float
    cpu: float


class Clock:
    """What passes from here on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def spent(self, count: int) -> Spent:
        """Since then, for so many photographs."""
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        return Spent(count / wall, 1000 * cpu / count)


def photographs(data: Path, count: int, target: Path, *, square: bool) -> None:
    """A folder with links to photographs, spread evenly: as cameras took them, or squares that were made of such."""
    places = _SQUARE if square else _AS_TAKEN
    found = sorted(path for place in places for path in (data / place).rglob("*.jpg"))
    target.mkdir()
    for number, index in enumerate(np.linspace(0, len(found) - 1, count).astype(int)):
        (target / f"{number:05d}.jpg").symlink_to(found[index])


def theirs(model: Path, folder: Path, size: int) -> Spent:
    """Through `YOLO.predict`, which is all that `yolo predict` does."""
    from lensmith.core.isolation import isolate_ultralytics

    isolate_ultralytics()
    from ultralytics import YOLO

    loaded = YOLO(model, task="detect")
    options = {"imgsz": size, "device": "cpu", "verbose": False, "save": False, "stream": True}
    first = str(next(iter(sorted(folder.iterdir()))))
    list(loaded.predict(first, **options))
    started = Clock()
    count = sum(1 for _ in loaded.predict(str(folder), **options))
    return started.spent(count)


def ours(bundle: Path, folder: Path, engine: str) -> Spent:
    """Through the library call of `cv predict`."""
    from lensmith.core.workspace import Workspace
    from lensmith.predict.batch import PredictConfig, predict_source
    from lensmith.predict.model import open_model
    from lensmith.predict.sources import open_source
    from lensmith.weights.bundle import read_bundle

    model = open_model(read_bundle(bundle), engine=engine, device="cpu")
    place = Workspace(folder.parent)
    predict_source(open_source(str(next(iter(sorted(folder.iterdir()))))), model, place, PredictConfig())
    source = open_source(str(folder))
    started = Clock()
    done = predict_source(source, model, place, PredictConfig())
    return started.spent(done.summary.frames)


def alone(bundle: Path, folder: Path, *, decoding: bool) -> Spent:
    """Decoding and fitting in one thread, or the model on what came of that."""
    from lensmith.core.images import read_image
    from lensmith.predict.model import open_model
    from lensmith.weights.bundle import read_bundle

    model = open_model(read_bundle(bundle), device="cpu")
    started = Clock()
    ready = [model.prepare(read_image(path)) for path in sorted(folder.iterdir())]
    if not decoding:
        size = model.batch
        model.infer(ready[:1])
        started = Clock()
        for _ in model.stream((None, ready[at : at + size]) for at in range(0, len(ready), size)):
            pass
    return started.spent(len(ready))


def child(way: str, place: Path, bundle: Path, size: int) -> dict[str, Any]:
    """One way in this process."""
    folder = place / "photographs"
    if way == "ultralytics":
        speed = theirs(bundle / "model.pt", folder, size)
    elif way == "ultralytics openvino":
        speed = theirs(place / "model_openvino_model", folder, size)
    elif way.startswith("ours"):
        speed = ours(bundle, folder, way.removeprefix("ours").strip() or "auto")
    else:
        speed = alone(bundle, folder, decoding=way.startswith("decoding"))
    return speed._asdict()


def run(way: str, place: Path, bundle: Path, size: int) -> dict[str, Any]:
    """One way in a process of its own."""
    started = time.perf_counter()
    command = [sys.executable, __file__, "--child", way, "--place", str(place), "--weights", str(bundle), "--size",
               str(size)]  # fmt: skip
    done = subprocess.run(command, env={**os.environ, "CV_CACHE": str(place / "cache")}, cwd=_REPOSITORY,
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr[-4000:]}")
    return {**json.loads(done.stdout.splitlines()[-1]), "whole": time.perf_counter() - started}


def export_openvino(bundle: Path, place: Path, size: int) -> None:
    """Ultralytics' own OpenVINO export, as its documentation says."""
    code = (
        "from lensmith.core.isolation import isolate_ultralytics as isolate; isolate(); import sys\n"
        "from ultralytics import YOLO\n"
        "YOLO(sys.argv[1], task='detect').export(format='openvino', imgsz=int(sys.argv[2]), verbose=False)"
    )
    copy = place / "model.pt"
    copy.write_bytes((bundle / "model.pt").read_bytes())
    subprocess.run([sys.executable, "-c", code, str(copy), str(size)], check=True, cwd=place, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--square", action="store_true")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CV_TEST_DATA", "../shared/data")))
    parser.add_argument("--child", choices=_WAYS)
    parser.add_argument("--place", type=Path)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(given.child, given.place, given.weights, given.size)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        photographs(given.data.resolve(), given.pictures, place / "photographs", square=given.square)
        if given.weights:
            bundle = given.weights.resolve()
        else:
            from evaluate_speed import make_bundle

            bundle = make_bundle((given.data / "weights/yolov8n-coco.pt").resolve(), place, given.size)
        export_openvino(bundle, place, given.size)
        run("ours", place, bundle, given.size)  # engines are measured, and files are in the system's memory
        told: dict[str, list[dict[str, Any]]] = {way: [] for way in _WAYS}
        for _ in range(given.rounds):
            for way in _WAYS:
                told[way].append(run(way, place, bundle, given.size))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{given.pictures} photographs at {given.size} pixels, {given.rounds} rounds, {cores} cores")
    print(f"{'':24}{'img/s':>8}{'ratio':>8}{'to openvino':>13}{'cpu ms':>9}{'whole s':>10}")
    speed = {way: statistics.median(one["speed"] for one in rounds) for way, rounds in told.items()}
    for way, rounds in told.items():
        whole = statistics.median(one["whole"] for one in rounds)
        ratios = f"{speed[way] / speed['ultralytics']:8.2f}{speed[way] / speed['ultralytics openvino']:13.2f}"
        cpu = statistics.median(one["cpu"] for one in rounds)
        print(f"{way:24}{speed[way]:8.1f}{ratios}{cpu:9.1f}{whole:10.2f}")


if __name__ == "__main__":
    main()
