"""Whether fine-tuning holds more in memory for more pictures, and whether it waits for data.

    python benchmarks/finetune_memory.py [--only memory|waiting|draws] [--counts 500,2000,8000] [--data FOLDER]

memory: `cv finetune` (both stages, activations cached) on copies of cat and dog photographs with noise of their own.
The process with all its helpers is looked at ten times a second: the sum of their proportional set sizes (PSS), in
which a page that several share counts once, and apart from it the part that no file backs ("own"). Neither must grow:
activations are read batch by batch from their file, of which nothing is mapped.
waiting: fine-tuning of block5 the plain way, on cat and dog photographs and on JPEGs of 12 megapixels: the share of its
time that a step waits for pictures, and pictures per second beside those of the same step on arrays that are there
already, in turns in one process; the median of each. Reading them before the first step, once, is told apart.
draws: one photograph under many names is augmented by all threads at once; how many of the results differ. Beside it
what Albumentations as it comes gives in as many forked workers.

Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from course_recipe import trained_vgg16

_REPOSITORY = Path(__file__).resolve().parent.parent
_SECONDS_BETWEEN = 0.1
_STEPS, _ROUNDS, _BATCH = 12, 3, 16


def photographs(data: Path) -> list[Path]:
    """Those to start from, of both classes in turns."""
    source = data / "classify/catsdogs/train"
    classes = [sorted(folder.iterdir()) for folder in sorted(source.iterdir())]
    return [path for pair in zip(*classes, strict=False) for path in pair]


def make(root: Path, sources: Sequence[Path], counts: dict[str, int], side: int | tuple[int, int]) -> None:
    """A dataset of copies, resized and with noise of their own."""
    rng = np.random.default_rng(0)
    width, height = side if isinstance(side, tuple) else (side, side)
    for split, count in counts.items():
        for number in range(count):
            source = sources[number % len(sources)]
            bgr = cv2.resize(cv2.imread(str(source)), (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[arg-type]
            noise = cv2.resize(rng.integers(-20, 20, (height // 8, width // 8, 3)).astype(np.int16), (width, height))
            noisy = np.clip(bgr.astype(np.int16) + noise, 0, 255).astype(np.uint8)
            place = root / split / source.parent.name
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f"{number:05d}.jpg"), noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])


def tree_megabytes(pid: int) -> tuple[float, float]:
    """PSS of a process and all below it, and the part of it that no file backs."""
    total, own, waiting = 0, 0, [pid]
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        try:
            rows = (line.split() for line in (process / "smaps_rollup").read_text().splitlines()[1:])
            sizes = {row[0]: int(row[1]) for row in rows}
            total += sizes["Pss:"]
            own += sizes["Pss_Anon:"] + sizes["Pss_Shmem:"]
            for children in process.glob("task/*/children"):
                waiting += [int(child) for child in children.read_text().split()]
        except (OSError, KeyError):  # it has just ended
            continue
    return total / 1024, own / 1024


def memory(given: argparse.Namespace) -> None:
    print("| pictures | seconds | cache on the disk, MB | peak MB | of it own |\n|---|---|---|---|---|")
    for count in map(int, given.counts.split(",")):
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary)
            make(place / "datasets/set", photographs(given.data), {"train": count * 4 // 5, "valid": count // 5}, 120)
            command = [
                str(Path(sys.executable).with_name("cv")), "finetune", "set", "--backbone", "vgg16", "--weights",
                str(given.weights), "--imgsz", "64", "--epochs-frozen", "1", "--epochs-tune", "1", "--views", "1",
                "--device", given.device, *given.options.split(),
            ]  # fmt: skip
            started, peaks = time.monotonic(), (0.0, 0.0)
            with (
                (place / "log").open("w") as log,
                subprocess.Popen(
                    command, cwd=place, env={**os.environ, "CV_CACHE": str(place / "cache")}, stderr=log
                ) as process,
            ):
                tick = threading.Event()
                while process.poll() is None:
                    now = tree_megabytes(process.pid)
                    peaks = (max(peaks[0], now[0]), max(peaks[1], now[1]))
                    tick.wait(_SECONDS_BETWEEN)
            if process.returncode:
                raise SystemExit((place / "log").read_text()[-4000:])
            disk = sum(path.stat().st_size for path in (place / "cache").rglob("*") if path.is_file()) / 1e6
            seconds = time.monotonic() - started
            print(f"| {count} | {seconds:.0f} | {disk:.0f} | {peaks[0]:.0f} | {peaks[1]:.0f} |", flush=True)


def waiting(given: argparse.Namespace) -> None:
    print("| pictures | reading, s | pictures/s | on arrays | ratio | waiting |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        count = _STEPS * _BATCH
        big = Path(temporary) / "12 megapixels"
        make(big, photographs(given.data)[:40], {"train": count}, (4000, 3000))
        for folder in (given.data / "classify/catsdogs", big):
            subprocess.run(
                [
                    sys.executable, __file__, "--work", str(folder), "--weights", str(given.weights), "--device",
                    given.device,
                ],
                check=True, cwd=_REPOSITORY,
            )  # fmt: skip


def work_waiting(folder: Path, weights: Path, device: str) -> None:
    """Train steps on pictures and on arrays, in turns."""
    from lensmith.classify.data import Samples
    from lensmith.classify.freezing import freeze
    from lensmith.classify.optimizers import build_optimizer
    from lensmith.classify.prefetch import Prefetch
    from lensmith.core.workspace import Workspace
    from lensmith.datasets.augment_spec import read_spec
    from lensmith.datasets.read import open_dataset
    from lensmith.weights.architecture import base_layers, build_classifier, import_keras
    from lensmith.weights.bundle import ClassifierRecord, Preprocessing
    from lensmith.weights.keras_files import load_layers

    keras, scope = import_keras(device)
    size = Preprocessing(width=150, height=150, resize="stretch", interpolation="area")
    with keras.device(scope):
        model = build_classifier(ClassifierRecord(backbone="vgg16", units=256, dropout=0.3), 150, 150, 2)
        load_layers(base_layers(model), weights)
        freeze(model, "block5_conv1")
        model.compile(build_optimizer("adam", 1e-5), "categorical_crossentropy")
    items = list(open_dataset(folder, Workspace(folder.parent)).items("train"))[:: 1 if "mega" in folder.name else 5]
    started = time.perf_counter()
    samples = Samples(items[: _STEPS * _BATCH], size, read_spec("default"))
    reading = time.perf_counter() - started
    order = np.random.default_rng(0).permutation(len(samples))
    parts = [order[start : start + _BATCH] for start in range(0, len(order) - _BATCH + 1, _BATCH)]
    rng = np.random.default_rng(1)
    arrays = [rng.uniform(0, 255, (_BATCH, 150, 150, 3)).astype(np.float32) for _ in parts]
    targets = np.eye(2, dtype=np.float32)[rng.integers(0, 2, _BATCH)]
    real, made, waits = [], [], []
    with keras.device(scope):
        for x in arrays[:2]:
            model.train_on_batch(x, targets)
        for number in range(_ROUNDS):
            started = time.perf_counter()
            with Prefetch(samples, parts, number) as loader:
                for x, labels, _ in loader:
                    model.train_on_batch(x, np.eye(2, dtype=np.float32)[labels])
            took = time.perf_counter() - started
            real.append(len(parts) * _BATCH / took)
            waits.append(loader.waited / took)
            started = time.perf_counter()
            for x in arrays:
                model.train_on_batch(x, targets)
            made.append(len(parts) * _BATCH / (time.perf_counter() - started))
    speed, best = statistics.median(real), statistics.median(made)
    share = statistics.median(waits)
    row = f"| {folder.name} | {reading:.1f} | {speed:.1f} | {best:.1f} | {speed / best:.3f} | {share:.1%} |"
    print(row, flush=True)


def draws(given: argparse.Namespace) -> None:
    """See the top of this file."""
    from lensmith.classify.data import Samples
    from lensmith.classify.prefetch import Prefetch
    from lensmith.datasets.augment_spec import read_spec
    from lensmith.datasets.model import Item
    from lensmith.weights.bundle import Preprocessing

    count, epochs, workers = 256, 2, 8
    with tempfile.TemporaryDirectory() as temporary:
        source = photographs(given.data)[0]
        items = []
        for number in range(count):
            os.link(_own_copy(source, Path(temporary)), path := Path(temporary) / f"{number}.jpg")
            items.append(Item(path, "train", class_id=0))
        size = Preprocessing(width=96, height=96, resize="stretch", interpolation="area")
        samples = Samples(items, size, read_spec("heavy"))
        seen = set()
        for epoch in range(epochs):
            with Prefetch(samples, [np.arange(n, n + 4) for n in range(0, count, 4)], epoch, workers=workers) as loader:
                for x, _, _ in loader:
                    seen |= {hashlib.sha256(one.tobytes()).digest() for one in x}
    print(f"ours: {len(seen)} of {count * epochs} augmented pictures differ, {workers} threads", flush=True)
    print(f"Albumentations in {workers} forked workers: {_forked(source, count, workers)} of {count} differ")


def _own_copy(source: Path, folder: Path) -> Path:
    path = folder / "source.jpg"
    if not path.exists():
        path.write_bytes(source.read_bytes())
    return path


_augment: Any = None
_picture: Any = None


def _draw(_number: int) -> bytes:
    time.sleep(0.002)  # so that every worker gets its share
    return hashlib.sha256(_augment(image=_picture)["image"].tobytes()).digest()


def _forked(source: Path, count: int, workers: int) -> int:
    import multiprocessing

    from lensmith.datasets.augment import import_albumentations

    global _augment, _picture
    albumentations = import_albumentations()
    _augment = albumentations.Compose([albumentations.Rotate(limit=30, p=1)])
    _picture = cv2.imread(str(source))
    _augment(image=_picture)
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        return len(set(pool.map(_draw, range(count), chunksize=1)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("CV_TEST_DATA", str(_REPOSITORY.parent / "shared" / "data")))
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--weights", type=Path, default=trained_vgg16())
    parser.add_argument("--only", choices=["memory", "waiting", "draws"])
    parser.add_argument("--device", default="cpu", help="as cv finetune takes it: cpu, 0")
    parser.add_argument("--counts", default="500,2000,8000")
    parser.add_argument("--options", default="", help="more options for cv finetune, such as --no-cache")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.work:
        work_waiting(given.work, given.weights, given.device)
        return
    for part in (memory, waiting, draws):
        if given.only in (None, part.__name__):
            part(given)


if __name__ == "__main__":
    main()
