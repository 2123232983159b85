"""What Lensmith costs and gains over Ultralytics' own training of a detector.

    python benchmarks/train_overhead.py [--weights FILE.pt] [--pictures 32] [--imgsz 320] [--epochs 5] [--rounds 2]

Each training is a process of its own, on the same synthetic JPEGs of 1024 x 686 pixels, with the same detector
(yolov8n, from scratch unless `--weights` is given), seed, batch and number of epochs, without plots, on the CPU. Four
of them, in turns, the best of their rounds:

ultralytics, all cores    `YOLO().train` with torch on all cores, as Lensmith has it
lensmith, nothing kept    `train_yolo` with `cache=False`: the same work; what it takes more is our overhead
ultralytics               as it comes: on all cores but one, and each picture is read again and again
lensmith                  as it comes: on all cores, and pictures are kept in memory

Columns: seconds from the process's start to the end of the first step, without those of importing Ultralytics' trainer
("start"); median seconds of an epoch with its validation and checkpoint, without the first, and its ratio to the line
above it that it is compared with; the most memory that the process had. Linux only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parent.parent
_WIDTH, _HEIGHT, _BATCH = 1024, 686, 8
_VARIANTS = {
    "ultralytics, all cores": None,
    "lensmith, nothing kept": "ultralytics, all cores",
    "ultralytics": None,
    "lensmith": "ultralytics",
}


def make_dataset(root: Path, pictures: int) -> None:
    """A YOLO dataset with boxes of two colours on soft noise."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    for split, count in (("train", pictures), ("valid", max(pictures // 3, 4))):
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True)
        for number in range(count):
            soft = cv2.resize(rng.integers(40, 215, (86, 128, 3), dtype=np.uint8), (_WIDTH, _HEIGHT))
            grain = rng.integers(-12, 12, soft.shape, dtype=np.int16)
            bgr = np.clip(soft.astype(np.int16) + grain, 0, 255).astype(np.uint8)
            rows = []
            for _ in range(6):
                kind, (x, y) = int(rng.integers(2)), rng.uniform(0.15, 0.85, 2)
                w, h = rng.uniform(0.05, 0.2, 2)
                first, last = ((int((x + s * w / 2) * _WIDTH), int((y + s * h / 2) * _HEIGHT)) for s in (-1, 1))
                cv2.rectangle(bgr, first, last, ((40, 40, 220), (220, 60, 40))[kind], -1)
                rows.append(f"{kind} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n")
            cv2.imwrite(str(root / split / "images" / f"{number:04d}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])
            (root / split / "labels" / f"{number:04d}.txt").write_text("".join(rows))
    (root / "data.yaml").write_text(
        f"path: {root}\ntrain: train/images\nval: valid/images\nnc: 2\nnames: [red, blue]\n", encoding="utf-8"
    )


class Marks:
    """When things happened, in seconds since the process was started."""

    def __init__(self, started: float) -> None:
        self._started = started
        self.imported = self.first_step = 0.0
        self.epochs: list[float] = []

    def now(self) -> float:
        return time.time() - self._started

    def hear(self, event: str) -> None:
        if event == "on_train_batch_end" and not self.first_step:
            self.first_step = self.now()
        elif event in {"on_train_epoch_start", "on_train_end"}:
            self.epochs.append(self.now())

    def write(self, place: Path) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        record = {"imported": self.imported, "first_step": self.first_step, "epochs": self.epochs, "peak": peak}
        (place / "marks.json").write_text(json.dumps(record))


def child(options: argparse.Namespace) -> None:
    """One training, in a process of its own; ends with it, whatever would come after."""
    from lensmith.core.isolation import isolate_ultralytics

    marks = Marks(options.started)
    plain = options.child == "ultralytics"
    isolate_ultralytics()
    if plain:  # what Ultralytics would set by itself
        for name in ("OMP_NUM_THREADS", "GOMP_SPINCOUNT"):
            del os.environ[name]
    before = time.time()
    from ultralytics.models.yolo.detect import DetectionTrainer

    marks.imported = time.time() - before
    trainer: Any = DetectionTrainer
    if options.child.startswith("lensmith"):
        from lensmith.detect.trainer import SafeTrainer as trainer  # noqa: N813
    original = trainer.run_callbacks

    def run_callbacks(self: Any, event: str) -> None:
        original(self, event)
        marks.hear(event)
        if event == "on_train_end":
            marks.write(options.place)
            os._exit(0)

    trainer.run_callbacks = run_callbacks
    if options.child.startswith("lensmith"):
        _train_ours(options)
    else:
        _train_theirs(options, trainer, all_cores=not plain)
    raise SystemExit("the training ended without its end being heard")


def _train_ours(options: argparse.Namespace) -> None:
    from lensmith.core.workspace import Workspace
    from lensmith.datasets.read import open_dataset
    from lensmith.detect.config import YoloConfig
    from lensmith.detect.train import train_yolo

    place = Workspace(options.place)
    config = YoloConfig(
        model="yolov8n", weights=options.weights, from_scratch=options.weights is None, epochs=options.epochs,
        imgsz=options.imgsz, batch=_BATCH, device="cpu", cache=options.child == "lensmith", force=True,
    )  # fmt: skip
    train_yolo(open_dataset(str(options.data), place), place, config)


def _train_theirs(options: argparse.Namespace, trainer: Any, *, all_cores: bool) -> None:
    import torch
    from ultralytics import YOLO

    if all_cores:
        begin = trainer._setup_train

        def setup(self: Any) -> None:
            torch.set_num_threads(len(os.sched_getaffinity(0)))
            begin(self)

        trainer._setup_train = setup
    trainer.final_eval = lambda _self: None  # Lensmith measures on the bundle instead
    YOLO(str(options.weights or "yolov8n.yaml")).train(
        trainer=trainer, data=str(options.data / "data.yaml"), epochs=options.epochs, imgsz=options.imgsz,
        batch=_BATCH, device="cpu", seed=0, plots=False, project=str(options.place), name="train",
        pretrained=options.weights is not None,
    )  # fmt: skip


def measure(variant: str, data: Path, options: argparse.Namespace) -> dict[str, float]:
    """Run one training and give its figures."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, __file__, "--child", variant, "--data", str(data), "--place", temporary,
                   "--imgsz", str(options.imgsz), "--epochs", str(options.epochs), "--started", str(time.time()),
                   *(["--weights", str(options.weights)] if options.weights else [])]  # fmt: skip
        environment = {**os.environ, "CV_CACHE": str(data.parent / "cache")}
        done = subprocess.run(command, env=environment, cwd=_REPOSITORY, capture_output=True, text=True, check=False)
        marks = Path(temporary) / "marks.json"
        if not marks.exists():
            raise SystemExit(f"{variant} failed:\n{(done.stdout + done.stderr)[-4000:]}")
        found = json.loads(marks.read_text())
    starts = found["epochs"]
    seconds = [after - before for before, after in itertools.pairwise(starts[1:])]
    return {
        "start": found["first_step"] - found["imported"], "import": found["imported"],
        "epoch": statistics.median(seconds), "peak": found["peak"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=lambda text: Path(text).resolve())
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    for name, kind in (("--child", str), ("--data", Path), ("--place", Path), ("--started", float)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        make_dataset(data, options.pictures)
        found: dict[str, list[dict[str, float]]] = {variant: [] for variant in _VARIANTS}
        for _ in range(options.rounds):
            for variant, rows in found.items():
                rows.append(measure(variant, data, options))
    best = {variant: {key: min(row[key] for row in rows) for key in rows[0]} for variant, rows in found.items()}
    print(f"{options.pictures} pictures at {options.imgsz} px, batch {_BATCH}; importing Ultralytics' trainer takes "
          f"{min(row['import'] for row in best.values()):.1f} s")  # fmt: skip
    print(f"{'':26}{'start s':>9}{'epoch s':>9}{'ratio':>8}{'MiB':>8}{'more':>8}")
    for variant, row in best.items():
        peer = best.get(_VARIANTS[variant] or "")
        compared = f"{row['epoch'] / peer['epoch']:>8.3f}" if peer else " " * 8
        more = f"{row['peak'] - peer['peak']:>+8.0f}" if peer else ""
        print(f"{variant:26}{row['start']:>9.2f}{row['epoch']:>9.2f}{compared}{row['peak']:>8.0f}{more}")
    print(f"lensmith as it comes is {best['ultralytics']['epoch'] / best['lensmith']['epoch']:.2f} times as fast")


if __name__ == "__main__":
    main()
