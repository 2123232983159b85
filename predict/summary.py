"""What a run of the predict loop found, how long it took, and what it could not read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from .model import Predictor
from .results import Detections, Prediction, Skipped

_SHOWN_SKIPS = 10


@dataclass
class Summary:
    """Counts, filled in frame by frame.

    Attributes:
        frames: How many predictions were made.
        frames_with: For each class, in how many frames it was found.
        objects: For each class, how many objects were found (a classifier's answer counts as one).
        milliseconds: Sums by stage.
        seconds: Wall time from the first to the last step.
    """

    names: tuple[str, ...]
    frames: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    frames_with: Counter[str] = field(default_factory=Counter)
    milliseconds: dict[str, float] = field(default_factory=dict)
    skipped: Sequence[Skipped] = ()
    seconds: float = 0.0
    _started: float = field(default_factory=time.perf_counter)

    def add(self, prediction: Prediction) -> None:
        """Count one more frame."""
        self.frames += 1
        found = found_classes(prediction, self.names)
        self.objects.update(found)
        self.frames_with.update(set(found))
        for stage, milliseconds in prediction.milliseconds.items():
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + milliseconds
        self.seconds = time.perf_counter() - self._started

    @property
    def frames_per_second(self) -> float:
        """Frames by wall time, everything included."""
        return self.frames / self.seconds if self.seconds else 0.0

    def as_result(self) -> dict[str, object]:
        """For the run manifest."""
        return {
            "frames": self.frames, "skipped": [list(skip) for skip in self.skipped], "objects": dict(self.objects),
            "frames_with": dict(self.frames_with), "frames_per_second": round(self.frames_per_second, 2),
        }  # fmt: skip

    def milliseconds_per_frame(self) -> dict[str, float]:
        """Mean time of each stage; "read" and "prepare" overlap with "model"."""
        return {stage: total / max(self.frames, 1) for stage, total in self.milliseconds.items()}


def found_classes(prediction: Prediction, names: tuple[str, ...]) -> list[str]:
    """The class names found in one frame, one for each object; "unknown" for a classifier that is not sure."""
    if isinstance(prediction.result, Detections):
        return [names[int(class_id)] for class_id in prediction.result.class_id]
    best = prediction.result.class_id
    return ["unknown" if best is None else names[best]]


def print_summary(summary: Summary, model: Predictor, title: str, console: Console) -> None:
    """The table at the end of `cv predict`, and the names of what was skipped."""
    table = Table("class", title=title, title_justify="left")
    table.add_column("objects", justify="right")
    table.add_column("frames", justify="right")
    for name, count in summary.objects.most_common():
        table.add_row(name, str(count), str(summary.frames_with[name]))
    if not summary.objects:
        table.add_row("nothing found", "0", "0")
    console.print(table, markup=False)
    stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in summary.milliseconds_per_frame().items())
    console.print(
        f"{summary.frames} frames, {summary.frames_per_second:.1f} per second, {model.engine_name} on {model.device}"
        + (f"; ms per frame: {stages}" if stages else ""),
        markup=False,
    )
    print_skipped(summary.skipped, console)


def print_skipped(skipped: Sequence[Skipped], console: Console) -> None:
    """How many pictures could not be used, and the first ten with the reason; nothing where there are none."""
    if skipped:
        console.print(f"skipped: {len(skipped)}", style="yellow", markup=False)
        for path, reason in skipped[:_SHOWN_SKIPS]:
            console.print(f"  {path}: {reason}", style="yellow", markup=False)
        if len(skipped) > _SHOWN_SKIPS:
            console.print(f"  and {len(skipped) - _SHOWN_SKIPS} more", style="yellow", markup=False)
