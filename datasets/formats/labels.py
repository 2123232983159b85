"""One YOLO label file: rows of `class cx cy w h`, or `class x1 y1 x2 y2 ...` for a polygon, as fractions 0..1.

A bad row is left out and named; it never costs the picture its other boxes.
"""

from __future__ import annotations

import codecs
import math
from pathlib import Path

import numpy as np

from ..model import Boxes, LabelFault, LabelProblem

ROUNDING = 0.01
"""How far a number may lie outside 0..1 and still be taken for a rounding error, as a fraction of the picture."""
_SMALLEST_SIDE = 1e-6
_MOST_BYTES = 16 << 20


class _BadRowError(Exception):
    """Why a row cannot be used: for a program, and in a few words."""

    def __init__(self, fault: LabelFault, reason: str) -> None:
        super().__init__(reason)
        self.fault: LabelFault = fault


def read_labels(path: Path, classes: int) -> tuple[Boxes, list[LabelProblem]]:
    """Read the boxes of one picture.

    Args:
        path: The label file. A missing or empty one means a picture without objects.
        classes: How many classes the dataset has; ids run from 0 to one less.

    Returns:
        The boxes that can be used, polygons turned into the boxes around them and edges clipped to the picture; and
        what was left out ("left out: ...") or mended ("clipped: ...") by more than rounding, by row, counted from 1.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            return Boxes.empty(), [LabelProblem(path, 0, "left out: the whole file, it is larger than 16 MB", "unreadable")]
        text = _decode(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Boxes.empty(), []
    except OSError as error:
        reason = f"left out: the whole file, it cannot be read ({error.strerror or error})"
        return Boxes.empty(), [LabelProblem(path, 0, reason, "unreadable")]
    rows: dict[tuple[int, tuple[float, ...]], tuple[float, float, float, float]] = {}
    problems: list[LabelProblem] = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        try:
            class_id, corners, overshoot = _parse(fields, classes)
            key = (class_id, tuple(round(value, 6) for value in corners))
            if key in rows:
                raise _BadRowError("duplicate", "the same box stands in this file already")  # noqa: TRY301 - one exit for bad rows
        except _BadRowError as error:
            problems.append(LabelProblem(path, number, f"left out: {error}", error.fault))
            continue
        rows[key] = corners
        if overshoot > ROUNDING:
            problems.append(LabelProblem(path, number, "clipped: the box reaches past the edge of the picture", "clipped"))
    if not rows:
        return Boxes.empty(), problems
    x1, y1, x2, y2 = np.array(list(rows.values()), np.float64).T
    cxcywh = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1).astype(np.float32)
    return Boxes(cxcywh, np.array([class_id for class_id, _ in rows], np.int64)), problems


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="replace")


def _parse(fields: list[str], classes: int) -> tuple[int, tuple[float, float, float, float], float]:
    """One row as class id, corners x1 y1 x2 y2 clipped to 0..1, and how far they lay outside before."""
    try:
        values = [float(field) for field in fields]
    except ValueError:
        raise _BadRowError("not-a-number", "it holds something that is not a number") from None
    if not all(math.isfinite(value) for value in values):
        raise _BadRowError("nan", "it holds NaN or infinity")
    if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
        raise _BadRowError("row-length", f"it has {len(values)} numbers; a box has 5 (class cx cy w h), a polygon 7, 9, 11, ...")
    class_id = int(values[0])
    if class_id != values[0]:
        raise _BadRowError("unknown-class", f"the class id {fields[0][:20]} is not a whole number")
    if not 0 <= class_id < classes:
        raise _BadRowError("unknown-class", f"the class id {class_id} has no name; ids run from 0 to {classes - 1}")
    if not all(-ROUNDING <= value <= 1 + ROUNDING for value in values[1:]):
        raise _BadRowError("out-of-range", "a number lies outside 0..1; YOLO labels are fractions of the picture, not pixels")
    corners = _box_corners(values[1:]) if len(values) == 5 else _polygon_corners(values[1:])
    overshoot = max(max(-value, value - 1) for value in corners)
    x1, y1, x2, y2 = (min(max(value, 0.0), 1.0) for value in corners)
    if x2 - x1 < _SMALLEST_SIDE or y2 - y1 < _SMALLEST_SIDE:
        raise _BadRowError("no-area", "the box has no area")
    return class_id, (x1, y1, x2, y2), overshoot


def _box_corners(values: list[float]) -> tuple[float, float, float, float]:
    cx, cy, w, h = values
    if w <= 0 or h <= 0:
        raise _BadRowError("no-area", "the box has no area")
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def _polygon_corners(values: list[float]) -> tuple[float, float, float, float]:
    xs, ys = values[0::2], values[1::2]
    return min(xs), min(ys), max(xs), max(ys)
