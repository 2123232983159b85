"""How fast features are computed by each engine, and how long a training step waits for its pictures.

    python benchmarks/feature_speed.py [--data FOLDER] [--pictures 128] [--steps 8] [--rounds 3] [--only WHAT]

engines: `compute_features` with the frozen VGG16 at 150 pixels over photographs of cats and dogs, decoding and writing
included: pictures per second with Keras on TensorFlow (the peer), with OpenVINO in 32 bits and in 16.
waiting: training steps of VGG16 from block5 on, the plain way (the whole network, pictures augmented anew in every
epoch), on those photographs and on the same ones blown up to 12 megapixels: the share of the time for which the step
waited for its batch, and the throughput beside the same steps on arrays in memory, in turns within one process. The
first epoch, which decodes each photograph, is told apart from those after it.

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

import cv2
import numpy as np

from lensmith.classify.data import Samples
from lensmith.classify.features import rows
from lensmith.classify.features.compute import FeatureConfig, compute_features
from lensmith.classify.features.cut import cut_model
from lensmith.classify.features.engines import Chosen, FeatureEngine, KerasFeatures, OpenVinoFeatures
from lensmith.classify.prefetch import Prefetch
from lensmith.datasets.augment_spec import read_spec
from lensmith.datasets.model import Item
from lensmith.predict.engines.openvino import graph_of_keras, has_bf16
from lensmith.weights.architecture import base_layers, build_classifier, import_keras
from lensmith.weights.bundle import ClassifierRecord, Preprocessing

_REPOSITORY = Path(__file__).resolve().parent.parent
_SIZE = Preprocessing(width=150, height=150, resize="stretch", interpolation="area")
_BATCH = 16
_AUGMENT = read_spec("default")


def photographs(data: Path, count: int) -> list[Item]:
    """So many, half of each class."""
    found = [sorted((data / "classify" / "catsdogs" / "train").glob(f"{name}*/*")) for name in ("cat", "dog")]
    pairs = zip(*found, strict=False)
    items = [Item(path, "train", class_id=number) for pair in pairs for number, path in enumerate(pair)]
    return items[:count]


def blown_up(items: Sequence[Item], folder: Path) -> list[Item]:
    """The same as JPEGs of 4000 x 3000 with a camera's noise, so that they are as large as a camera's files."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-10, 11, (3000, 4000, 3), np.int16)
    made = []
    for number, item in enumerate(items):
        small = cv2.imread(str(item.image))
        large = cv2.resize(small, (4000, 3000), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        path = folder / f"{number}.jpg"
        cv2.imwrite(str(path), np.clip(large + np.roll(noise, 7 * number), 0, 255).astype(np.uint8))
        made.append(Item(path, "train", class_id=item.class_id))
    return made


def build(learning_rate: float = 1e-5) -> Any:
    """VGG16 with a head, frozen below block5."""
    keras, _ = import_keras("cpu")
    model = build_classifier(ClassifierRecord(backbone="vgg16", units=256, dropout=0.3), 150, 150, 2)
    for layer in base_layers(model):
        layer.trainable = layer.name.startswith("block5")
    model.compile(optimizer=keras.optimizers.SGD(learning_rate), loss="sparse_categorical_crossentropy")
    return model


def engines(items: list[Item], rounds: int) -> None:
    """Print pictures per second for each engine."""
    cut = cut_model(build(), None)
    graph = graph_of_keras(cut.trunk)
    makers: dict[str, Callable[[], FeatureEngine]] = {
        "keras": lambda: KerasFeatures(cut.trunk, half=False),
        "openvino f32": lambda: OpenVinoFeatures(graph, "f32"),
    }
    if has_bf16():
        makers["openvino bf16"] = lambda: OpenVinoFeatures(graph, "bf16")
    speeds: dict[str, list[float]] = {name: [] for name in makers}
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
    peer = statistics.median(speeds["keras"])
    print(f"\n{'features of VGG16, 150 px':<28} {'img/s':>8} {'ratio':>7}")
    for name, found in speeds.items():
        print(f"{name:<28} {statistics.median(found):>8.1f} {statistics.median(found) / peer:>7.2f}")


def waiting(name: str, items: list[Item], model: Any, rounds: int) -> None:
    """Print the share of waiting, and the throughput beside steps on arrays."""
    samples = Samples(items, _SIZE, _AUGMENT, what=name, check=False)
    batches = [np.arange(start, start + _BATCH) for start in range(0, len(items) - _BATCH + 1, _BATCH)]
    rng = np.random.default_rng(0)
    arrays = rng.uniform(0, 255, (_BATCH, 150, 150, 3)).astype(np.float32), rng.integers(0, 2, _BATCH)
    model.train_on_batch(*arrays)
    shares: list[float] = []
    ratios: list[float] = []
    for epoch in range(rounds + 1):
        started = time.perf_counter()
        for _ in batches:
            model.train_on_batch(*arrays)
        on_arrays = time.perf_counter() - started
        started = time.perf_counter()
        with Prefetch(samples, batches, epoch) as source:
            for x, y, _ in source:
                model.train_on_batch(x, y)
        on_pictures = time.perf_counter() - started
        shares.append(source.waited / on_pictures)
        ratios.append(on_arrays / on_pictures)
    for what, part in (("first epoch", slice(0, 1)), ("later epochs", slice(1, None))):
        share, ratio = statistics.median(shares[part]), statistics.median(ratios[part])
        print(f"{name + ', ' + what:<36} {share:>8.1%} {ratio:>20.3f}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("CV_TEST_DATA", _REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("engines", "waiting"))
    given = parser.parse_args(arguments)
    items = photographs(given.data, max(given.pictures, given.steps * _BATCH))
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["CV_CACHE"] = temporary
        import_keras("cpu")
        if given.only != "waiting":
            engines(items[: given.pictures], given.rounds)
        if given.only != "engines":
            model = build()
            few = items[: given.steps * _BATCH]
            print(f"\n{'VGG16 from block5, the plain way':<36} {'waiting':>8} {'against arrays':>20}")
            waiting("photographs", few, model, given.rounds)
            waiting("12 megapixels", blown_up(few, Path(temporary)), model, given.rounds)


if __name__ == "__main__":
    main()
