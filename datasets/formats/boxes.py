"""The rules that every layout shares for turning labelled rows into the boxes of one picture.

All decisions are made on the float32 numbers that come out, so that what was read, written with all its digits and
read again comes out the same to the last bit.
"""

from __future__ import annotations

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
    """

    number: list[int] = field(default_factory=list)
    class_id: list[int] = field(default_factory=list)
    cxcywh: list[tuple[float, float, float, float]] = field(default_factory=list)
    polygon: list[bool] = field(default_factory=list)

    def add(
        self, number: int, class_id: int, cxcywh: tuple[float, float, float, float], *, polygon: bool = False
    ) -> None:
        """Add one row."""
        self.number.append(number)
        self.class_id.append(class_id)
        self.cxcywh.append(cxcywh)
        self.polygon.append(polygon)


def settle(rows: Rows, file: Path, problems: list[LabelProblem]) -> Boxes:
    """Clip boxes to the picture and leave out those without area, outside it, or standing there twice.

    Args:
        rows: What was read.
        file: The label file, for the problems.
        problems: Those found so far; what is found here is added, and all are put in the order of the rows.
    """
    if not rows.number:
        return Boxes.empty()
    given = np.array(rows.cxcywh, np.float64)
    sane = (np.abs(given) < _WILD).all(axis=1, keepdims=True)
    given = np.where(sane, given, 0.5)
    exact = given.astype(np.float32).astype(np.float64)
    half = exact[:, 2:] / 2
    low, high = exact[:, :2] - half, exact[:, :2] + half
    overshoot = np.maximum(-low, high - 1).max(axis=1)
    away = ((high <= 0) | (low >= 1)).any(axis=1)
    flat = (exact[:, 2:] <= 0).any(axis=1)
    over = overshoot > _EXACT
    if over.any():
        low, high = low[over].clip(0, 1), high[over].clip(0, 1)
        exact[over] = np.concatenate([(low + high) / 2, high - low], axis=1).astype(np.float32)
    flat |= (exact[:, 2:] < _SMALLEST_SIDE).any(axis=1)
    verdicts = np.column_stack([sane, flat, away, overshoot > ROUNDING]).tolist()
    keys = np.rint(exact * 1e6).astype(np.int64).tolist()
    kept: list[int] = []
    seen: set[tuple[int, ...]] = set()
    for index, (number, class_id) in enumerate(zip(rows.number, rows.class_id, strict=True)):
        key = (class_id, *keys[index])
        is_sane, is_flat, is_away, is_clipped = verdicts[index]
        if not is_sane:
            _leave_out(problems, file, number, "out-of-range", "a number is NaN, infinite or absurdly large")
        elif is_flat and not is_away:
            _leave_out(problems, file, number, "no-area", "the box has no area")
        elif is_away:
            _leave_out(problems, file, number, "out-of-range", "the box lies outside the picture")
        elif key in seen:
            _leave_out(problems, file, number, "duplicate", "the same box stands in this file already")
        else:
            seen.add(key)
            kept.append(index)
            if is_clipped:
                reason = "clipped: the box reaches past the edge of the picture"
                problems.append(LabelProblem(file, number, reason, "clipped"))
    problems.sort(key=lambda problem: problem.row)
    polygons = sum(rows.polygon[index] for index in kept)
    return Boxes(
        exact[kept].astype(np.float32).reshape(-1, 4),
        np.array([rows.class_id[index] for index in kept], np.int64),
        polygons,
    )


def _leave_out(problems: list[LabelProblem], file: Path, number: int, fault: LabelFault, reason: str) -> None:
    problems.append(LabelProblem(file, number, f"left out: {reason}", fault))
