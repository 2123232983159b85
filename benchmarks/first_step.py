"""Seconds from the start of a process to the first training step, ours and Ultralytics' own.

    python benchmarks/first_step.py [--weights FILE.pt] [--pictures 200] [--imgsz 320] [--rounds 3]

On the synthetic pictures of `train_overhead.py`, on the CPU, each in a process of its own, in turns; medians:

import        `import ultralytics, torch; from ultralytics import YOLO`
ultralytics   `YOLO().train` until it has its first batch
cold, warm    `train_yolo` until then, with an empty cache and with that of the run before

Columns: seconds on the clock, seconds of computing by the process (which other programs disturb less), and what the
clock shows over "import". Linux only.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from train_overhead import make_dataset

_BATCH = 8
_IMPORT = "import ultralytics, torch; from ultralytics import YOLO"


def child(options: argparse.Namespace) -> None:
    """One start, in a process that ends with it."""
    from lensmith.core.isolation import isolate_ultralytics

    ours = options.child != "ultralytics"
    isolate_ultralytics()
    if ours:
        from lensmith.detect import job

        learned = job._learned

        def learn(*args: Any) -> bool:
            from lensmith.detect.trainer import SafeTrainer

            stop_at_first_batch(SafeTrainer)
            return learned(*args)

        job._learned = learn
        _train_ours(options)
    else:
        from ultralytics import YOLO
        from ultralytics.models.yolo.detect import DetectionTrainer

        stop_at_first_batch(DetectionTrainer)
        YOLO(str(options.weights or "yolov8n.yaml")).train(
            data=str(options.data / "data.yaml"), epochs=1, imgsz=options.imgsz, batch=_BATCH, device="cpu",
            plots=False, project=str(options.place), name="train",
        )  # fmt: skip
    raise SystemExit("the training ended without a first step")


def _train_ours(options: argparse.Namespace) -> None:
    from lensmith.core.workspace import Workspace
    from lensmith.datasets.read import open_dataset
    from lensmith.detect.config import YoloConfig
    from lensmith.detect.train import train_yolo

    place = Workspace(options.place)
    config = YoloConfig(
        model="yolov8n", weights=options.weights, from_scratch=options.weights is None, epochs=1, imgsz=options.imgsz,
        batch=_BATCH, device="cpu", force=True,
    )  # fmt: skip
    train_yolo(open_dataset(str(options.data), place), place, config)


def stop_at_first_batch(trainer: Any) -> None:
    """End the process, as done, when this trainer has its first batch."""
    original = trainer.run_callbacks

    def run_callbacks(self: Any, event: str) -> None:
        if event == "on_train_batch_start":
            os._exit(0)
        original(self, event)

    trainer.run_callbacks = run_callbacks


def measure(variant: str, data: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds on the clock and of computing until the first batch."""
    cache = data.parent / "cache"
    if variant == "cold":
        shutil.rmtree(cache, ignore_errors=True)
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, __file__, "--child", variant, "--data", str(data), "--place", place,
                   "--imgsz", str(options.imgsz)]  # fmt: skip
        command += ["--weights", str(options.weights)] if options.weights else []
        if variant == "import":
            command = [sys.executable, "-c", _IMPORT]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(command, env={**os.environ, "CV_CACHE": str(cache)}, capture_output=True, text=True,
                              check=False)  # fmt: skip
        seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{variant} failed:\n{done.stderr[-4000:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=lambda text: Path(text).resolve())
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=3)
    for name, kind in (("--child", str), ("--data", Path), ("--place", Path)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("import", "ultralytics", "cold", "warm")}
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        make_dataset(data, options.pictures)
        for _ in range(options.rounds):
            for variant, rows in found.items():
                rows.append(measure(variant, data, options))
    middle = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}
    print(f"{'':14}{'seconds':>9}{'computing':>11}{'over import':>13}")
    for name, (seconds, computing) in middle.items():
        print(f"{name:14}{seconds:>9.2f}{computing:>11.2f}{seconds - middle['import'][0]:>+13.2f}")


if __name__ == "__main__":
    main()
