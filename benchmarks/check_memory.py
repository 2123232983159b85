"""How much memory and time a check takes as datasets grow.

    python benchmarks/check_memory.py [--counts 10000,50000,100000]

Makes datasets of 64-pixel JPEGs with a label file each (one box a picture), checks each in a process of its own with an
empty cache and then once more, and samples the memory of that process with all its helpers ten times a second: the sum
of their proportional set sizes (PSS), in which a page that several processes share counts once. Linux only.

"per picture" is the time beside that of the smallest dataset: 1.00 is linear. "before twins" leaves out the search for
pictures that show the same, which grows a little faster.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent
_SECONDS_BETWEEN = 0.1


def make(root: Path, count: int) -> None:
    """A YOLO dataset of `count` different pictures, seven of ten for training."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    for split, share in (("train", 7), ("valid", 2), ("test", 1)):
        images, labels = root / split / "images", root / split / "labels"
        images.mkdir(parents=True)
        labels.mkdir()
        for number in range(count * share // 10):
            picture = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
            (images / f"{split}{number:06d}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
            cx, cy, w, h = rng.uniform(0.3, 0.6, 4)
            (labels / f"{split}{number:06d}.txt").write_text(f"{number % 4} {cx:.6f} {cy:.6f} {w:.6f} {h:.6f}\n")
    (root / "data.yaml").write_text("names: [a, b, c, d]\n")


def work(folder: Path) -> None:
    """Check one dataset and print how long it took, all of it and without the search for twins."""
    from lensmith.core.workspace import Workspace
    from lensmith.datasets.check import run
    from lensmith.datasets.read import open_dataset

    seconds = {"twins": 0.0}
    find = run.find_twins

    def timed(*arguments: object) -> object:
        start = time.perf_counter()
        found = find(*arguments)  # type: ignore[arg-type]
        seconds["twins"] = time.perf_counter() - start
        return found

    run.find_twins = timed  # type: ignore[assignment]
    start = time.perf_counter()
    report = run.check_dataset(open_dataset(folder, Workspace(folder.parent)))
    seconds["all"] = time.perf_counter() - start
    print(json.dumps({**seconds, "twins found": len(report.twins)}))


def tree_megabytes(pid: int) -> float:
    """PSS of a process and all below it."""
    total, waiting = 0, [pid]
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        try:
            rollup = (process / "smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            for children in process.glob("task/*/children"):
                waiting += [int(child) for child in children.read_text().split()]
        except (OSError, StopIteration):  # it has just ended
            continue
    return total / 1024


def measure(folder: Path, cache: Path) -> tuple[dict[str, float], float]:
    """What `work` says, and the peak of memory in MB."""
    peak = 0.0
    with subprocess.Popen(
        [sys.executable, __file__, "--work", str(folder)],
        env={**os.environ, "CV_CACHE": str(cache)}, stdout=subprocess.PIPE, text=True, cwd=_REPOSITORY,
    ) as process:  # fmt: skip
        tick = threading.Event()
        while process.poll() is None:
            peak = max(peak, tree_megabytes(process.pid))
            tick.wait(_SECONDS_BETWEEN)
        assert process.stdout is not None
        said = process.stdout.read()
    return json.loads(said.splitlines()[-1]), peak


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="10000,50000,100000")
    parser.add_argument("--work", type=Path)
    given = parser.parse_args(arguments)
    if given.work:
        work(given.work)
        return
    print(f"{'pictures':>9} {'run':>6} {'seconds':>8} {'before twins':>13} {'per picture':>12} {'peak MB':>8}")
    first: dict[str, float] = {}
    for count in map(int, given.counts.split(",")):
        with tempfile.TemporaryDirectory() as temporary:
            folder, cache = Path(temporary) / "set", Path(temporary) / "cache"
            make(folder, count)
            for run in ("first", "again"):
                seconds, peak = measure(folder, cache)
                before = seconds["all"] - seconds["twins"]
                share = first.setdefault(run, before / count)
                print(f"{count:>9} {run:>6} {seconds['all']:>8.1f} {before:>13.1f} {before / count / share:>12.2f}"
                      f" {peak:>8.0f}", flush=True)  # fmt: skip
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
