"""The rules that every layout shares for turning labelled rows into the boxes of one picture.

All decisions are made on the float32 numbers that come out, so that what was read, written with all its digits and
read again comes out the same to the last bit.
"""

from __future__ import annotations

import itertools
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..model import Boxes, LabelFault, LabelProblem

ROUNDING = 0.01
"""How far a number may lie outside 0..1 and still be taken for a rounding error, as a fraction of the picture."""
_EXACT = 1e-6
"""An overshoot up to this is float32 noise and is left as it is: clipping it would move the box at every reading."""
_SMALLEST_SIDE = 1e-6
_WILD = 1e6
_INSANE = -1e6  # stands for the width of a box that has a wild number


class BadRowError(Exception):
    """Why a row cannot be used: for a program, and in a few words."""

    def __init__(self, fault: LabelFault, reason: str) -> None:
        super().__init__(reason)
        self.fault: LabelFault = fault


@dataclass(slots=True)
class Rows:
    """The usable rows of one picture's labels, before the rules.

    Attributes:
        number: What names the row in a message.
        class_id: Index into the class names.
        cxcywh: Centre and size as fractions of the picture, not yet clipped.
        polygon: Whether the box was taken around a polygon.
        leaning: Whether that polygon is a rectangle that leans to a side.
    """

    number: list[int] = field(default_factory=list)
    class_id: list[int] = field(default_factory=list)
    cxcywh: list[tuple[float, float, float, float]] = field(default_factory=list)
    polygon: list[bool] = field(default_factory=list)
    leaning: list[bool] = field(default_factory=list)

    def add(
        self,
        number: int,
        class_id: int,
        cxcywh: tuple[float, float, float, float],
        *,
        polygon: bool = False,
        leaning: bool = False,
    ) -> None:
        """Add one row."""
        self.number.append(number)
        self.class_id.append(class_id)
        self.cxcywh.append(cxcywh)
        self.polygon.append(polygon)
        self.leaning.append(leaning)


def settle(rows: Rows, file: Path, problems: list[LabelProblem]) -> Boxes:
    """Clip boxes to the picture and leave out those without area, outside it, or standing there twice.

    Args:
        rows: What was read.
        file: The label file, for the problems.
        problems: Those found so far; what is found here is added, and all are put in the order of the rows.
    """
    # Plain numbers: a picture has a few boxes, and numpy would take longer to start than this does to end.
    flat: list[float] = array("f", itertools.chain.from_iterable(map(_sane, rows.cxcywh))).tolist()
    kept: list[int] = []
    seen: set[tuple[int, int, int, int, int]] = set()
    for index, (number, class_id) in enumerate(zip(rows.number, rows.class_id, strict=True)):
        cx, cy, w, h = flat[4 * index : 4 * index + 4]
        x1, y1, x2, y2 = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
        overshoot = max(-x1, -y1, x2 - 1, y2 - 1)
        away = x2 <= 0 or y2 <= 0 or x1 >= 1 or y1 >= 1
        if overshoot > _EXACT and w > 0 and h > 0 and not away:
            x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, 1.0), min(y2, 1.0)
            clipped = array("f", ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)).tolist()
            flat[4 * index : 4 * index + 4] = cx, cy, w, h = clipped
        key = (class_id, round(cx * 1e6), round(cy * 1e6), round(w * 1e6), round(h * 1e6))
        if w == _INSANE:
            _leave_out(problems, file, number, "out-of-range", "a number is NaN, infinite or absurdly large")
        elif away:
            _leave_out(problems, file, number, "out-of-range", "the box lies outside the picture")
        elif w < _SMALLEST_SIDE or h < _SMALLEST_SIDE:
            _leave_out(problems, file, number, "no-area", "the box has no area")
        elif key in seen:
            _leave_out(problems, file, number, "duplicate", "the same box stands in this file already")
        else:
            seen.add(key)
            kept.append(index)
            if overshoot > ROUNDING:
                reason = "clipped: the box reaches past the edge of the picture"
                problems.append(LabelProblem(file, number, reason, "clipped"))
    if problems:
        problems.sort(key=lambda problem: problem.row)
    boxes = np.array(flat, np.float32).reshape(-1, 4)
    class_ids = np.array(rows.class_id, np.int64)
    if len(kept) < len(boxes):
        boxes, class_ids = boxes[kept], class_ids[kept]
    polygons, leaning = (sum(marks[index] for index in kept) for marks in (rows.polygon, rows.leaning))
    return Boxes(boxes, class_ids, polygons, leaning)


def _sane(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    return box if all(abs(value) < _WILD for value in box) else (0.5, 0.5, _INSANE, 0.0)


def _leave_out(problems: list[LabelProblem], file: Path, number: int, fault: LabelFault, reason: str) -> None:
    problems.append(LabelProblem(file, number, f"left out: {reason}", fault))
