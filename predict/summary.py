"""What a run of the predict loop found, how long it took, and what it could not read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..core.words import many
from .advice import Situation, where_time_went
from .loop import Waited
from .model import Predictor
from .naming import ObjectNames, Tally
from .results import Count, Detections, Prediction, Scores, Skipped
from .sources import StreamSource

if TYPE_CHECKING:
    from .sources import Source

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
        waited: What the loop spent its time on.
        classified: For each class of the detector, how often a second model said what of its objects.
        counts: What passed lines and was in zones, as of the last frame.
        tracks: For each class, how many different objects were followed, each under the name that `naming.ObjectNames`
            gives it; empty where nothing is tracked.
        notes: What else is worth a line: frames of a camera that were passed over.
    """

    names: tuple[str, ...]
    frames: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    frames_with: Counter[str] = field(default_factory=Counter)
    milliseconds: dict[str, float] = field(default_factory=dict)
    skipped: Sequence[Skipped] = ()
    seconds: float = 0.0
    answers: list[tuple[str, str]] = field(default_factory=list)
    waited: Waited = field(default_factory=Waited)
    classified: dict[str, Counter[str]] = field(default_factory=dict)
    counts: tuple[Count, ...] = ()
    notes: list[str] = field(default_factory=list)
    _followed: Tally = field(default_factory=Tally)
    _called: ObjectNames = field(init=False)
    _started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self._called = ObjectNames(self.names)

    @property
    def tracks(self) -> Counter[str]:
        """See the attributes."""
        return self._followed.numbers

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
        if isinstance(prediction.result, Detections):
            self.counts = prediction.result.counts or self.counts
            self._follow(prediction.result)
            self._classify(prediction.result)
        self.seconds = time.perf_counter() - self._started

    def finish(self, source: Source) -> None:
        """The run is over, to its end or not: the whole time, what was skipped, and what a camera has to tell."""
        seconds = time.perf_counter() - self._started
        self.waited.output += seconds - self.seconds if self.frames else 0.0  # what still waited to be written
        self.seconds = seconds
        self.skipped = tuple(source.skipped)
        if isinstance(source, StreamSource):
            self.notes = told_of_source(source.read, source.passed_over, source.reconnections)

    def _follow(self, found: Detections) -> None:
        if found.track_id is None:
            return
        self._followed.forget(self._called.see(found))
        for track in found.track_id.tolist():
            if track >= 0 and track not in self._followed:
                self._followed.add(track, self._called.name(track))
            elif track >= 0:
                self._followed.rename(track, self._called.name(track))

    def _classify(self, found: Detections) -> None:
        if found.classified is None:
            return
        for row, class_id in enumerate(found.class_id.tolist()):
            self.classified.setdefault(self.names[class_id], Counter())[found.classified.name_of(row)] += 1

    @property
    def frames_per_second(self) -> float:
        """Frames by wall time, everything included."""
        return self.frames / self.seconds if self.seconds else 0.0

    def as_result(self) -> dict[str, object]:
        """For the run manifest."""
        return {
            "frames": self.frames, "skipped": [list(skip) for skip in self.skipped], "objects": dict(self.objects),
            "frames_with": dict(self.frames_with), "frames_per_second": round(self.frames_per_second, 2),
            "seconds_by_part": {name: round(seconds, 3) for name, seconds in vars(self.waited).items()},
            **({"classified": {name: dict(said) for name, said in self.classified.items()}} if self.classified else {}),
            **({"tracks": dict(self.tracks)} if self.tracks else {}),
            **({"counts": {count.name: count.as_record() for count in self.counts}} if self.counts else {}),
        }  # fmt: skip

    def told_of_stages(self) -> list[str]:
        """What the second model said, how many objects were followed, and what lines and zones counted: a line each."""
        lines = [
            f"{name} as the classifier sees it: " + _listed(answers)
            for name, answers in sorted(self.classified.items())
        ]
        if self.tracks:
            lines.append(f"different objects followed: {_listed(self.tracks)}")
        for count in self.counts:
            for word, by_class in count.numbers.items():
                lines.append(f"{count.name}, {word}: {_listed(by_class) or 'none'}")
        return lines

    def milliseconds_per_frame(self) -> dict[str, float]:
        """Mean time of each stage; "read" and "prepare" overlap with each other and with "model"."""
        return {stage: total / max(self.frames, 1) for stage, total in self.milliseconds.items()}

    def told_of_times(self, one: str) -> str:
        """The same in words, "ms per frame: model 5.0, show 1.2" of one "frame"; "" where nothing was timed."""
        stages = ", ".join(f"{stage} {took:.1f}" for stage, took in self.milliseconds_per_frame().items())
        return f"ms per {one}: {stages}" if stages else ""


def told_of_source(read: int, overtaken: int, reconnections: int) -> list[str]:
    """What a camera or a stream has to tell at the end."""
    lines = [f"{many(read, 'frame')} came in, {overtaken} were overtaken by newer ones"]
    return [*lines, f"the source was lost and came back: {reconnections}"] if reconnections else lines


def found_classes(prediction: Prediction, names: tuple[str, ...]) -> list[str]:
    """The class names found in one frame, one for each object; "unknown" for a classifier that is not sure."""
    if isinstance(prediction.result, Detections):
        return [names[int(class_id)] for class_id in prediction.result.class_id]
    best = prediction.result.class_id
    return ["unknown" if best is None else names[best]]


def _listed(counts: Mapping[str, int]) -> str:
    """The most frequent first: "car 3, bus 1"."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _answer(scores: Scores, names: tuple[str, ...]) -> str:
    """What a classifier says, "daisy 59%", or "unknown (daisy 41%)" where it is not sure enough to say so."""
    likeliest = f"{names[int(scores.probability.argmax())]} {scores.confidence:.0%}"
    return f"unknown ({likeliest})" if scores.class_id is None else likeliest


def print_summary(
    summary: Summary, model: Predictor, title: str, console: Console, *, situation: Situation, video: bool = False
) -> None:
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
    times = summary.told_of_times(one)
    console.print(
        f"{many(summary.frames, one)}, {summary.frames_per_second:.1f} per second, {model.engine_name} on "
        f"{model.device}" + (f"; {times}" if times else ""),
        markup=False,
    )
    where = where_time_went(summary.waited, summary.milliseconds, model, situation) if summary.frames > 1 else ""
    for line in [*summary.told_of_stages(), *summary.notes, *([where] if where else [])]:
        console.print(line.replace("\x1b", ""), markup=False)
    print_skipped(summary.skipped, console, more="--json or --save names them all")


def print_answers(summary: Summary, console: Console) -> None:
    """What a classifier says of each picture, the first 20; nothing for a detector."""
    width = max((len(source) for source, _ in summary.answers), default=0)
    for source, answer in summary.answers:
        console.print(f"{source.ljust(width)}  {answer}".replace("\x1b", ""), markup=False)
    if summary.answers and (rest := summary.frames - len(summary.answers)):
        console.print(f"... and {rest} more: --json or --save has them all", markup=False)


def print_skipped(skipped: Sequence[Skipped], console: Console, *, more: str = "") -> None:
    """How many pictures could not be used, and the first ten with the reason; nothing where there are none.

    Args:
        skipped: All of them.
        console: Where it is said.
        more: How to learn the names of the rest.
    """
    if skipped:
        console.print(f"skipped: {len(skipped)}", style="yellow", markup=False)
        for path, reason in skipped[:_SHOWN_SKIPS]:
            console.print(f"  {path}: {reason}", style="yellow", markup=False)
        if len(skipped) > _SHOWN_SKIPS:
            rest = f"  and {len(skipped) - _SHOWN_SKIPS} more" + (f": {more}" if more else "")
            console.print(rest, style="yellow", markup=False)
