"""Counting: objects that cross a line, and objects in a zone. An object is where the centre of its box is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import cv2
import numpy as np

from ..core.errors import UsageError
from .naming import ObjectNames, Tally
from .results import Count, Detections, Prediction, Scores

_BAND = 0.05  # of the box's longer side: nearer to the line than this an object is on neither side
_LONGEST_NAME = 40

Point = tuple[float, float]


@dataclass(frozen=True)
class Region:
    """A line or a zone, as a person gave it.

    Attributes:
        name: What it is called in records and on the picture.
        points: Two ends of a line, or three or more corners of a zone; x and y, all in shares of the frame's width and
            height if none is above 1, else in pixels.
    """

    name: str
    points: tuple[Point, ...]

    @property
    def is_line(self) -> bool:
        """Whether it is a line, not a zone."""
        return len(self.points) == 2

    def in_pixels(self, width: int, height: int) -> np.ndarray:
        """Its points in pixels of a frame of this size, float32 `(k, 2)`; they may lie beside it."""
        points = np.array(self.points, np.float32)
        return points * np.array([width, height], np.float32) if points.max() <= 1 else points

    def need_inside(self, width: int, height: int) -> None:
        """Raises UsageError when it lies beside a frame of this size."""
        points = self.in_pixels(width, height)
        if points[:, 0].min() > width or points[:, 1].min() > height:
            raise UsageError(
                f"'{self.name}' lies outside of the frame, which has {width} x {height} pixels.",
                where="--line" if self.is_line else "--zone",
                next_step="give shares of the frame instead, 0 to 1: 0,0.5,1,0.5",
            )


def parse_regions(lines: Sequence[str], zones: Sequence[str]) -> tuple[Region, ...]:
    """What `--line` and `--zone` say: `x1,y1,x2,y2` and more, with a name in front where one is wanted: `door=...`.

    Raises:
        UsageError: it is none, encloses nothing, or two have the same name.
    """
    given = [("line", text) for text in lines] + [("zone", text) for text in zones]
    regions: list[Region] = []
    for kind, text in given:
        many = len(lines if kind == "line" else zones) > 1
        number = 1 + sum(region.is_line == (kind == "line") for region in regions)
        region = _parse(kind, text, f"{kind}-{number}" if many else kind)
        if any(region.name == other.name for other in regions):
            what = f"There are two lines or zones called '{region.name}'."
            raise UsageError(what, where=f"--{kind}", next_step="give each a name of its own: door=0,0.5,1,0.5")
        regions.append(region)
    return tuple(regions)


def _parse(kind: str, text: str, usual_name: str) -> Region:
    name, equals, rest = text.rpartition("=")
    name = " ".join(name.split()) if equals else usual_name
    offered = "x1,y1,x2,y2 such as 0,0.5,1,0.5" if kind == "line" else "x1,y1,x2,y2,x3,y3 such as 0,0,0.5,0,0.5,1,0,1"

    def wrong(what: str) -> UsageError:
        return UsageError(what, where=f"--{kind} {text}", next_step=f"give {offered}: shares of the frame, or pixels")

    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise wrong(f"The name of a {kind} has 1 to {_LONGEST_NAME} letters.")
    try:
        numbers = [float(part) for part in rest.split(",")]
    except ValueError:
        raise wrong(f"This {kind} is not a row of numbers with commas between them.") from None
    if not all(isfinite(number) and 0 <= number < 1_000_000 for number in numbers):
        raise wrong(f"The numbers of a {kind} are 0 or more.")
    if kind == "line" and len(numbers) != 4:
        raise wrong(f"A line has two ends, which are 4 numbers; here are {len(numbers)}.")
    if kind == "zone" and (len(numbers) < 6 or len(numbers) % 2):
        raise wrong(f"A zone has three corners or more, with two numbers each; here are {len(numbers)} numbers.")
    if max(numbers) > 1 and any(0 < number < 1 for number in numbers):
        raise wrong(f"This {kind} mixes shares of the frame, 0 to 1, with pixels.")
    points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    if kind == "line" and points[0] == points[1]:
        raise wrong("Both ends of this line are the same point.")
    if kind == "zone" and cv2.contourArea(np.array(points, np.float32)) == 0:
        raise wrong("This zone encloses nothing.")
    return Region(name, points)


class Counting:
    """Counts at lines and in zones, from the start of the run, see `Stage`.

    An object crosses a line when its centre goes from one side to the other between the line's two ends. "in" is from
    the left hand to the right of someone who stands at the first end and looks to the second: downwards for a line from
    left to right. Within a twentieth of the box's longer side it counts as on neither side, so that a box that trembles
    on the line is not counted again and again. Hidden for a while, an object is counted when it comes out on the other
    side with the same id.

    Each object has one name, see `naming.ObjectNames`, and is counted under it: where more frames make it another, what
    it did before is counted under the new one too.

    This is geometry on two numbers for each object, so it is done here: the line of `supervision` 0.31 forgets an
    object that was hidden for two frames, and counts one that went around the line's end.

    Args:
        regions: From `parse_regions`.
        names: The detector's classes.
    """

    name = "count"

    def __init__(self, regions: Sequence[Region], names: tuple[str, ...]) -> None:
        self._names, self._regions = names, tuple(regions)
        self._begun = False
        self._called = ObjectNames(names)
        self._counters = [_Line(region) if region.is_line else _Zone(region) for region in regions]

    def asks(self, confidence: float | None) -> float | None:
        """See `Stage.asks`."""
        return confidence

    def apply(self, predictions: Sequence[Prediction]) -> list[Detections | Scores]:
        """See `Stage.apply`; detections get their `counts`.

        Raises:
            UsageError: a line or zone lies beside the first frame.
        """
        return [self._count(one) if isinstance(one.result, Detections) else one.result for one in predictions]

    def _count(self, prediction: Prediction) -> Detections | Scores:
        found = prediction.result
        if not isinstance(found, Detections):
            return found
        height, width = prediction.frame.bgr.shape[:2]
        if not self._begun:  # later frames of another size end nothing: one bad picture is no reason to stop
            for region in self._regions:
                region.need_inside(width, height)
            self._begun = True
        centres = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
        sides = np.abs(found.xyxy[:, 2:] - found.xyxy[:, :2]).max(axis=1, initial=0)
        track_id = np.full(len(found), -1, np.int64) if found.track_id is None else found.track_id
        over = self._called.see(found)
        for one in self._counters:
            one.forget(over)
        objects = [
            _Object(
                int(track),
                self._called.label(int(track)) if track >= 0 else found.label(row, self._names),
                (float(x), float(y)),
                float(side),
            )
            for row, (track, (x, y), side) in enumerate(zip(track_id, centres, sides, strict=True))
        ]
        tracked = found.track_id is not None
        return replace(found, counts=tuple(one.count(objects, width, height, tracked) for one in self._counters))


@dataclass(frozen=True, slots=True)
class _Object:
    track: int
    label: str
    centre: Point
    side: float


@dataclass(slots=True)
class _Passer:
    """An object near a line: the side it is on (-1 or 1, 0: not known yet), and where it was there last."""

    side: int
    place: Point


@dataclass
class _Line:
    region: Region
    into: Tally = field(default_factory=Tally)
    out: Tally = field(default_factory=Tally)
    passers: dict[int, _Passer] = field(default_factory=dict)

    def count(self, objects: Sequence[_Object], width: int, height: int, tracked: bool) -> Count:
        points = self.region.in_pixels(width, height)
        start, end = ((float(x), float(y)) for x, y in points)
        for one in objects:
            if tracked and one.track >= 0:
                for tally in (self.into, self.out):
                    tally.rename(one.track, one.label)
                self._look_at(one, start, end)
        return Count(self.region.name, points, {"in": dict(self.into.numbers), "out": dict(self.out.numbers)})

    def forget(self, tracks: set[int]) -> None:
        for track in tracks:
            self.passers.pop(track, None)
        for tally in (self.into, self.out):
            tally.forget(tracks)

    def _look_at(self, one: _Object, start: Point, end: Point) -> None:
        length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
        distance = _turn(start, end, one.centre) / length  # in pixels; above 0 on the right hand of who looks along it
        side = 0 if abs(distance) <= _BAND * one.side else 1 if distance > 0 else -1
        passer = self.passers.get(one.track)
        if passer is None:
            if side:
                self.passers[one.track] = _Passer(side, one.centre)
            return
        if not side:
            return
        if side != passer.side and _meets(passer.place, one.centre, start, end):
            (self.into if side > 0 else self.out).add(one.track, one.label)
        passer.side, passer.place = side, one.centre


@dataclass
class _Zone:
    region: Region
    entered: Tally = field(default_factory=Tally)

    def count(self, objects: Sequence[_Object], width: int, height: int, tracked: bool) -> Count:
        points = self.region.in_pixels(width, height)
        inside = [one for one in objects if cv2.pointPolygonTest(points, one.centre, False) >= 0]
        numbers = {"inside": dict(Counter(one.label for one in inside))}
        if tracked:
            for one in objects:
                self.entered.rename(one.track, one.label)
            for one in inside:
                if one.track >= 0 and one.track not in self.entered:
                    self.entered.add(one.track, one.label)
            numbers["entered"] = dict(self.entered.numbers)
        return Count(self.region.name, points, numbers)

    def forget(self, tracks: set[int]) -> None:
        self.entered.forget(tracks)


def _turn(a: Point, b: Point, c: Point) -> float:
    """The cross product of a->b and a->c: above 0 when c is on the right hand of who looks from a to b on a screen."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _meets(a: Point, b: Point, start: Point, end: Point) -> bool:
    """Whether the way from a to b, which lie on two sides of a line, goes through between its ends."""
    return _turn(a, b, start) * _turn(a, b, end) <= 0
