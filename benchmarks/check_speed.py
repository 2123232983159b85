"""How long a check takes, beside what the same files cost anyway.

    python benchmarks/check_speed.py [--runs 5] [--data FOLDER]

For each dataset, in turns, each in a process of its own (only the work is timed, not the start of the process):
- check: `check_dataset` with an empty cache;
- again: the same once more, nothing having changed;
- decode: `cv2.imread` of the same files at full size in as many forked processes as there are cores;
- ultralytics: its own scan of pictures and labels (`verify_image_label` in its thread pool), which opens each picture's
  header and decodes none; for detection datasets in the YOLO layout only.

"seconds" are of the clock, "processor" those of all processors together, which a busy machine changes little.
The datasets are those of CV_TEST_DATA, and 60 photographs of 12 megapixels that are made by enlarging some of them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

SETS = (
    "detect/chess-yolo", "detect/waste-yolo", "detect/rubik-yolo", "detect/books-voc", "classify/catsdogs",
    "classify/flowers",
)  # fmt: skip
_BIG = 60
_REPOSITORY = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def timed() -> Iterator[None]:
    """Print how many seconds the block took, and how many of the processor."""
    start, used = time.perf_counter(), processor_seconds()
    yield
    print(json.dumps([time.perf_counter() - start, processor_seconds() - used]))


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def work_check(folder: Path) -> None:
    from lensmith.core.workspace import Workspace
    from lensmith.datasets.check.run import check_dataset
    from lensmith.datasets.read import open_dataset

    with timed():
        check_dataset(open_dataset(folder, Workspace(folder.parent)))


def _decode(path: str) -> int:
    import cv2

    return cv2.imread(path).shape[0]


def work_decode(folder: Path) -> None:
    import multiprocessing

    import cv2

    cv2.setNumThreads(1)
    files = _pictures(folder)
    with timed():
        pool = multiprocessing.get_context("fork").Pool(os.cpu_count())
        pool.map(_decode, files, chunksize=8)
        pool.close()
        pool.join()


def work_ultralytics(folder: Path) -> None:
    from lensmith.core.isolation import isolate_ultralytics

    isolate_ultralytics()
    from itertools import repeat
    from multiprocessing.pool import ThreadPool

    from ultralytics.data.utils import verify_image_label
    from ultralytics.utils import NUM_THREADS

    pictures = _pictures(folder)
    labels = [str(Path(path.replace("/images/", "/labels/")).with_suffix(".txt")) for path in pictures]
    names = (repeat(""), repeat(False), repeat(80), repeat(0), repeat(0), repeat(False))
    with timed(), ThreadPool(NUM_THREADS) as pool:
        list(pool.imap(verify_image_label, zip(pictures, labels, *names, strict=False)))


def _pictures(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in {".jpg", ".jpeg", ".png"}]


def _measured(work: str, folder: Path, cache: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--work", work, "--data", str(folder)],
        env={**os.environ, "CV_CACHE": str(cache)}, capture_output=True, text=True, check=True, cwd=_REPOSITORY,
    )  # fmt: skip
    wall, processor = json.loads(done.stdout.splitlines()[-1])
    return wall, processor


def _make_big(source: Path, target: Path) -> None:
    import cv2

    for number, path in enumerate(_pictures(source)[:_BIG]):
        place = target / ("train" if number % 3 else "valid") / "scene"
        place.mkdir(parents=True, exist_ok=True)
        big = cv2.resize(cv2.imread(path), (4000, 3000), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(place / f"{number}.jpg"), big, [cv2.IMWRITE_JPEG_QUALITY, 90])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("CV_TEST_DATA", str(_REPOSITORY.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--work", choices=["check", "decode", "ultralytics"])
    given = parser.parse_args(arguments)
    if given.work:
        globals()[f"work_{given.work}"](given.data)
        return
    with tempfile.TemporaryDirectory() as temporary:
        big = Path(temporary) / "12 megapixels"
        if not given.only or given.only in str(big):
            _make_big(given.data / "detect/chess-yolo", big)
        folders = [*(given.data / name for name in SETS), big]
        print(f"{'':<18} {'pictures':>8} {'':>10}{'check':>8}{'again':>8}{'decode':>8}{'ultral.':>8}"
              f"{'check/decode':>14}{'check/ultral.':>14}{'again/ultral.':>14}")  # fmt: skip
        for folder in folders:
            if given.only in str(folder) and folder.is_dir():
                _measure(folder, given.runs, Path(temporary) / "cache")


def _measure(folder: Path, runs: int, cache: Path) -> None:
    works = ["check", "again", "decode", *(["ultralytics"] if folder.name.endswith("-yolo") else [])]
    seen: dict[str, list[tuple[float, float]]] = {work: [] for work in works}
    for _ in range(runs):
        shutil.rmtree(cache, ignore_errors=True)
        for work in works:
            seen[work].append(_measured("check" if work == "again" else work, folder, cache))
    for number, what in enumerate(("seconds", "processor")):
        middle = {work: statistics.median(pair[number] for pair in pairs) for work, pairs in seen.items()}
        ultralytics = middle.get("ultralytics", float("nan"))
        times = "".join(
            f"{middle.get(work, float('nan')):>8.2f}" for work in ("check", "again", "decode", "ultralytics")
        )
        ratios = (middle["check"] / middle["decode"], middle["check"] / ultralytics, middle["again"] / ultralytics)
        shown = "".join(f"{ratio:>14.2f}" for ratio in ratios)
        print(f"{folder.name:<18} {len(_pictures(folder)):>8} {what:>10}{times}{shown}", flush=True)


if __name__ == "__main__":
    main()
