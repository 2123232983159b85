"""A process looked at from outside: what it wrote, when, and what it took of the processors. Linux only."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")
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


def follow(command: Sequence[str], cache: Path) -> Course:
    """Run a process, which gets `--place FOLDER` to write into, and note when each epoch is told of."""
    with tempfile.TemporaryDirectory(dir=cache.parent) as temporary:
        place = Path(temporary)
        command = [*command, "--place", temporary]
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
                raise SystemExit(f"{' '.join(command)} failed:\n{log.read()[-4000:]}")
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
