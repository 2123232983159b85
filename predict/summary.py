"""What a run of the predict loop found, how long it took, and what it could not read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..core.words import many
from .model import Predictor
from .results import Detections, Prediction, Scores, Skipped

_SHOWN_SKIPS = 10
_SHOWN_ANSWERS = 20


@dataclass
class Summary:
    """Counts, filled in frame by frame.

    Attributes:
        frames: How many predictions were made.
        frames_with: For each class, in how many frames it was found.
        objects: For each class, how many objects were found (a classifier's answer counts as one).
        milliseconds: Sums by stage.
        seconds: Wall time from the first to the last step.
        answers: Of a classifier the first 20: the picture, and what it shows in words.
    """

    names: tuple[str, ...]
    frames: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    frames_with: Counter[str] = field(default_factory=Counter)
    milliseconds: dict[str, float] = field(default_factory=dict)
    skipped: Sequence[Skipped] = ()
    seconds: float = 0.0
    answers: list[tuple[str, str]] = field(default_factory=list)
    _started: float = field(default_factory=time.perf_counter)

    def add(self, prediction: Prediction) -> None:
        """Count one more frame."""
        self.frames += 1
        found = found_classes(prediction, self.names)
        self.objects.update(found)
        self.frames_with.update(set(found))
        if isinstance(prediction.result, Scores) and len(self.answers) < _SHOWN_ANSWERS:
            self.answers.append((prediction.frame.source, _answer(prediction.result, self.names)))
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


def _answer(scores: Scores, names: tuple[str, ...]) -> str:
    """What a classifier says, "daisy 59%", or "unknown (daisy 41%)" where it is not sure enough to say so."""
    likeliest = f"{names[int(scores.probability.argmax())]} {scores.confidence:.0%}"
    return f"unknown ({likeliest})" if scores.class_id is None else likeliest


def print_summary(summary: Summary, model: Predictor, title: str, console: Console, *, video: bool = False) -> None:
    """What `cv predict` says at its end: a classifier's answer for each picture, a table, and what was skipped."""
    if not video:
        print_answers(summary, console)
    one = "frame" if video else "picture"
    table = Table("class", title=escape(title), title_justify="left")
    counted = not summary.answers  # a classifier gives each picture one answer and finds no objects
    if counted:
        table.add_column("objects", justify="right")
    table.add_column(f"{one}s", justify="right")
    for name, count in summary.objects.most_common():
        table.add_row(escape(name), *([str(count)] if counted else []), str(summary.frames_with[name]))
    if not summary.objects:
        table.add_row("nothing found", "0", "0")
    console.print(table, markup=False)
    stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in summary.milliseconds_per_frame().items())
    console.print(
        f"{many(summary.frames, one)}, {summary.frames_per_second:.1f} per second, {model.engine_name} on "
        f"{model.device}" + (f"; ms per {one}: {stages}" if stages else ""),
        markup=False,
    )
    print_skipped(summary.skipped, console)


def print_answers(summary: Summary, console: Console) -> None:
    """What a classifier says of each picture, the first 20; nothing for a detector."""
    width = max((len(source) for source, _ in summary.answers), default=0)
    for source, answer in summary.answers:
        console.print(f"{source.ljust(width)}  {answer}".replace("\x1b", ""), markup=False)
    if summary.answers and (rest := summary.frames - len(summary.answers)):
        console.print(f"... and {rest} more: --json or --save has them all", markup=False)


def print_skipped(skipped: Sequence[Skipped], console: Console) -> None:
    """How many pictures could not be used, and the first ten with the reason; nothing where there are none."""
    if skipped:
        console.print(f"skipped: {len(skipped)}", style="yellow", markup=False)
        for path, reason in skipped[:_SHOWN_SKIPS]:
            console.print(f"  {path}: {reason}", style="yellow", markup=False)
        if len(skipped) > _SHOWN_SKIPS:
            console.print(f"  and {len(skipped) - _SHOWN_SKIPS} more", style="yellow", markup=False)
