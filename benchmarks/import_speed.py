"""How long an import takes beside `cp -r` of the same folder, in the same run.

Pictures (10,000 of 50 KB unless told) with YOLO labels. In each round, one after the other: `cp -r` and a sync, an
import that copies, an import that makes hard links, and (`--all`) an import of the same as COCO. What an import does
besides copying: find out what lies there, read and check every label, hash every file, write labels and the record.

    python benchmarks/import_speed.py [--pictures 10000] [--kilobytes 50] [--rounds 5] [--folder DIR] [--all]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lensmith.core.workspace import Workspace
from lensmith.datasets.export_dataset import ExportConfig, export_dataset
from lensmith.datasets.import_dataset import ImportConfig, import_dataset


def make_source(root: Path, pictures: int, size: int) -> Path:
    """Files of the right size and name; an import looks into no picture of a split YOLO dataset."""
    rng = np.random.default_rng(0)
    for split, share in (("train", 0.7), ("valid", 0.2), ("test", 0.1)):
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True)
        for number in range(round(pictures * share)):
            (root / split / "images" / f"{number:06d}.jpg").write_bytes(_jpeg(rng, size))
            rows = rng.uniform(0.2, 0.4, (3, 4)).round(6).tolist()
            text = "".join(f"{number % 3} {' '.join(map(str, row))}\n" for row in rows)
            (root / split / "labels" / f"{number:06d}.txt").write_text(text)
    (root / "data.yaml").write_text("names: [a, b, c]\n")
    return root


def _jpeg(rng: np.random.Generator, size: int) -> bytes:
    """A header with a size, then noise: each file is another, and none packs."""
    import cv2

    head = cv2.imencode(".jpg", rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))[1].tobytes()
    return head[:-2] + rng.integers(0, 255, size - len(head), dtype=np.uint8).tobytes() + head[-2:]


def _copy(source: Path, home: Path) -> None:
    subprocess.run(["/bin/cp", "-r", str(source), str(home / "cp")], check=True)
    os.sync()


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--kilobytes", type=int, default=50, help="Size of a picture.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="Where to work; default: the system's place for temporary files.")
    parser.add_argument("--all", action="store_true", help="COCO as well.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        home = Path(temporary)
        source = make_source(home / "source", options.pictures, options.kilobytes * 1000)

        def imported(given: Path, link: bool) -> Callable[[], object]:
            return lambda: import_dataset(given, Workspace(home), ImportConfig(name="new", link=link))

        runs: dict[str, Callable[[], object]] = {
            "cp -r": lambda: _copy(source, home),
            "import, copies": imported(source, False),
            "import, hard links": imported(source, True),
        }
        if options.all:
            coco = export_dataset(source, "coco", Workspace(home), ExportConfig(to=home / "coco")).path
            runs["import of COCO, hard links"] = imported(coco, True)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                os.sync()
                started = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - started)
                shutil.rmtree(home / "cp", ignore_errors=True)
                shutil.rmtree(home / "datasets", ignore_errors=True)
    peer = seconds["cp -r"]
    print(f"{options.pictures} pictures, {options.rounds} rounds")
    print(f"{'':28} {'median s':>9} {'ratio':>6}  (ratio to `cp -r` of the same round: median, least and most)")
    for name, taken in seconds.items():
        ratios = [ours / theirs for ours, theirs in zip(taken, peer, strict=True)]
        spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
        print(f"{name:28} {statistics.median(taken):9.2f} {statistics.median(ratios):6.2f}  {spread}")


if __name__ == "__main__":
    main()
