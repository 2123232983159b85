"""How fast features are computed by each engine, and for both stages together.

    python benchmarks/feature_speed.py [--data FOLDER] [--pictures 320] [--only engines|stages] [--device cpu]

engines: `compute_features` with the frozen VGG16 at 150 pixels over photographs of cats and dogs, decoding and writing
included: pictures per second with Keras on TensorFlow (the peer), with OpenVINO in 32 bits and in 16.
stages: what both stages learn from, pooled features and the activations of block4, with the engine that `cv finetune`
would choose: each from the pictures (the peer), and the former from the latter.

Medians over the rounds. Weights are random: they change no time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lensmith.classify.data import Samples
from lensmith.classify.features import rows
from lensmith.classify.features.compute import FeatureConfig, compute_features
from lensmith.classify.features.cut import cut_model
from lensmith.classify.features.engines import Chosen, FeatureEngine, OpenVinoFeatures
from lensmith.classify.features.keras_features import KerasFeatures, gpu_in_use
from lensmith.datasets.augment_spec import read_spec
from lensmith.datasets.model import Item
from lensmith.predict.engines.openvino import graph_of_keras, has_bf16
from lensmith.weights.architecture import build_classifier, import_keras
from lensmith.weights.bundle import ClassifierRecord, Preprocessing

_REPOSITORY = Path(__file__).resolve().parent.parent
_SIZE = Preprocessing(width=150, height=150, resize="stretch", interpolation="area")


def photographs(data: Path, count: int) -> list[Item]:
    """So many, half of each class."""
    found = [sorted((data / "classify" / "catsdogs" / "train").glob(f"{name}*/*")) for name in ("cat", "dog")]
    pairs = zip(*found, strict=False)
    items = [Item(path, "train", class_id=number) for pair in pairs for number, path in enumerate(pair)]
    return items[:count]


def build() -> Any:
    """VGG16 with a head."""
    return build_classifier(ClassifierRecord(backbone="vgg16", units=256, dropout=0.3), 150, 150, 2)


def engines(items: list[Item], rounds: int) -> None:
    """Print pictures per second for each engine."""
    cut = cut_model(build(), None)
    makers: dict[str, Callable[[], FeatureEngine]] = {"keras": lambda: KerasFeatures(cut.trunk, half=False)}
    if gpu_in_use():
        makers["keras half"] = lambda: KerasFeatures(cut.trunk, half=True)
    else:
        graph = graph_of_keras(cut.trunk)
        makers["openvino f32"] = lambda: OpenVinoFeatures(graph, "f32")
        if has_bf16():
            makers["openvino bf16"] = lambda: OpenVinoFeatures(graph, "bf16")
    speeds: dict[str, list[float]] = {name: [] for name in makers}
    chooses = rows.choose_engine
    for number in range(rounds + 1):  # the first round warms up
        for name, make in makers.items():
            chosen = Chosen(make(), "for this measurement", 1.0)
            rows.choose_engine = lambda *_arguments, _chosen=chosen: _chosen
            samples = Samples(items, _SIZE, what=f"photographs by {name}", check=False)
            config = FeatureConfig(f"{name} {number}", read_spec("none"))
            started = time.perf_counter()
            compute_features(samples, cut, config).close()
            if number:
                speeds[name].append(len(items) / (time.perf_counter() - started))
    rows.choose_engine = chooses
    peer = statistics.median(speeds["keras"])
    print(f"\n{'features of VGG16, 150 px':<28} {'img/s':>8} {'ratio':>7}")
    for name, found in speeds.items():
        print(f"{name:<28} {statistics.median(found):>8.1f} {statistics.median(found) / peer:>7.2f}")


def stages(items: list[Item], rounds: int) -> None:
    """Print the seconds of the features of both stages: each from the pictures, and the first from the second."""
    model = build()
    pooled, deeper = cut_model(model, None), cut_model(model, "block5_conv1")
    seen: dict[str, list[float]] = {"each from the pictures": [], "one pass": []}
    for number in range(rounds + 1):  # the first round warms up
        for name, found in seen.items():
            samples = Samples(items, _SIZE, what="photographs", check=False)
            config = FeatureConfig(f"{name} {number}", read_spec("none"))
            started = time.perf_counter()
            compute_features(samples, pooled, config, deeper if name == "one pass" else None).close()
            compute_features(samples, deeper, config).close()
            if number:
                found.append(time.perf_counter() - started)
    peer = statistics.median(seen["each from the pictures"])
    print(f"\n{'features of both stages':<28} {'seconds':>8} {'ratio':>7}")
    for name, found in seen.items():
        print(f"{name:<28} {statistics.median(found):>8.2f} {peer / statistics.median(found):>7.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("CV_TEST_DATA", _REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--pictures", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("engines", "stages"))
    parser.add_argument("--device", default="cpu", help="as cv finetune takes it: cpu, 0")
    given = parser.parse_args(arguments)
    items = photographs(given.data, given.pictures)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["CV_CACHE"] = temporary
        keras, scope = import_keras(given.device)
        with keras.device(scope):
            for part in (engines, stages):
                if given.only in (None, part.__name__):
                    part(items, given.rounds)


if __name__ == "__main__":
    main()
