"""Whole commands looked at from outside, ours and Ultralytics', for the benchmarks of predicting."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent
_YOLO = "import sys; from ultralytics.cfg import entrypoint; sys.argv[0] = 'yolo'; entrypoint()"


def cv_predict(source: Path, bundle: Path, *options: str) -> list[str]:
    """`cv predict` with its records thrown away, but written."""
    return [sys.executable, "-m", "lensmith.cli", "predict", str(source), "--weights", str(bundle), "--json", *options]


def yolo_predict(source: Path, checkpoint: Path, size: int, *options: str) -> list[str]:
    """`yolo predict` as it comes, nothing drawn, nothing saved."""
    return [sys.executable, "-c", _YOLO, "predict", f"model={checkpoint}", f"source={source}", f"imgsz={size}",
            "save=False", *options]  # fmt: skip


def seconds_of(command: Sequence[str], cache: Path) -> float:
    """How long a command takes from its start to its end.

    Ultralytics gets a settings folder of its own, stays off the network, and chooses its threads itself.

    Raises:
        SystemExit: it failed; with what it said last.
    """
    config = cache / "ultralytics-as-it-comes"
    config.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ, "CV_CACHE": str(cache), "CV_WORKSPACE": str(cache), "YOLO_CONFIG_DIR": str(config),
        "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false",
    }  # fmt: skip
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=cache, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    took = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:6])} ... ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return took


def slope(less: Sequence[float], more: Sequence[float]) -> float:
    """What the larger job took longer than the smaller one, in seconds, by the medians; the start counts for neither.

    Raises:
        SystemExit: nothing can be told: the machine was too busy, or the jobs too short.
    """
    longer = statistics.median(more) - statistics.median(less)
    if longer <= 0:
        raise SystemExit("the larger job took no longer than the smaller one: give more pictures, frames or rounds")
    return longer
