"""One YOLO label file: rows of `class cx cy w h`, or `class x1 y1 x2 y2 ...` for a polygon, as fractions 0..1.

A bad row is left out and named; it never costs the picture its other boxes.
"""

from __future__ import annotations

import codecs
import math
import re
import stat
from pathlib import Path

from ..model import Boxes, LabelProblem
from .boxes import ROUNDING, BadRowError, Rows, settle

_MOST_BYTES = 16 << 20
_OFF = 0.01  # of a side: corners of a rectangle may be off by so much, and sides so much off the picture's edges
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)


def read_labels(path: Path, classes: int, *, keypoints: bool = False) -> tuple[Boxes, list[LabelProblem]]:
    """Read the boxes of one picture.

    Args:
        path: The label file. A missing or empty one means a picture without objects.
        classes: How many classes the dataset has; ids run from 0 to one less.
        keypoints: Whether rows longer than a box go on with keypoints (data.yaml has `kpt_shape`), not polygons.

    Returns:
        The boxes that can be used, polygons turned into the boxes around them and edges clipped to the picture; and
        what was left out ("left out: ..."), cut ("clipped: ...") by more than rounding, or put right ("mended: ..."),
        by row, counted from 1, 0 for the whole file.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            what = "larger than 16 MB" if stat.S_ISREG(status.st_mode) else "no file"
            reason = f"left out: the whole file, it is {what}"
            return Boxes.empty(), [LabelProblem(path, 0, reason, "unreadable")]
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Boxes.empty(), []
    except OSError as error:
        reason = f"left out: the whole file, it cannot be read ({error.strerror or error})"
        return Boxes.empty(), [LabelProblem(path, 0, reason, "unreadable")]
    text, reason = decode_text(data)
    problems = [LabelProblem(path, 0, reason, "encoding")] if reason else []
    rows = Rows()
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        if "," in line or ";" in line:
            fields, mended = _without_commas(line, fields)
            if mended:
                problems.append(LabelProblem(path, number, f"mended: {mended}", "decimal-comma"))
        try:
            row = _parse(fields, classes, keypoints)
            polygon = len(fields) > 5 and not keypoints
            rows.add(number, *row, polygon=polygon, leaning=polygon and len(fields) == 9 and _leans(fields[1:]))
        except BadRowError as error:
            problems.append(LabelProblem(path, number, f"left out: {error}", error.fault))
    boxes = settle(rows, path, problems)
    left_out = {problem.row for problem in problems if problem.reason.startswith("left out")}
    # A row is mended or left out, not both.
    return boxes, [p for p in problems if not (p.reason.startswith("mended") and p.row and p.row in left_out)]


def decode_text(data: bytes) -> tuple[str, str]:
    """The text of a label file, and what is odd about its encoding: "mended: ..." or "left out: ...", or nothing."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace"), "mended: the file is UTF-16; YOLO labels are plain text"
    if b"\0" in data:
        if not data.strip(b"\0"):
            return "", "left out: the whole file, it holds nothing but NUL bytes"
        nul_at_odd, nul_at_even = data[1::2].count(0), data[0::2].count(0)
        half = len(data) // 2
        if len(data) >= 8 and max(nul_at_odd, nul_at_even) >= 0.9 * half and not min(nul_at_odd, nul_at_even):
            text = data.decode("utf-16-le" if nul_at_odd else "utf-16-be", errors="replace")
            return text, "mended: the file is UTF-16; YOLO labels are plain text"
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("latin-1"), "mended: the file is not UTF-8 text; odd bytes were passed over"


def _without_commas(line: str, fields: list[str]) -> tuple[list[str], str]:
    if all(_DECIMAL_COMMA.fullmatch(field) or "," not in field for field in fields) and ";" not in line:
        return [field.replace(",", ".") for field in fields], "decimal commas were read as points"
    return line.replace(",", " ").replace(";", " ").split(), "commas between the numbers were read as spaces"


def _parse(fields: list[str], classes: int, keypoints: bool) -> tuple[int, tuple[float, float, float, float]]:
    """One row as class id and centre and size, not yet clipped."""
    try:
        values = [float(field) for field in fields]
    except ValueError:
        raise BadRowError("not-a-number", "it holds something that is not a number") from None
    if not all(map(math.isfinite, values)):
        raise BadRowError("nan", "it holds NaN or infinity")
    count = len(values)
    if count != 5 and not (keypoints and count > 5) and (count < 7 or count % 2 == 0):
        reason = f"it has {count} numbers; a box has 5 (class cx cy w h), a polygon 7, 9, 11, ..."
        raise BadRowError("row-length", reason)
    class_id = int(values[0])
    if class_id != values[0]:
        raise BadRowError("unknown-class", f"the class id {fields[0][:20]} is not a whole number")
    if not 0 <= class_id < classes:
        raise BadRowError("unknown-class", f"the class id {class_id} has no name; ids run from 0 to {classes - 1}")
    numbers = values[1:5] if keypoints else values[1:]
    if min(numbers) < -ROUNDING or max(numbers) > 1 + ROUNDING:
        reason = "a number lies outside 0..1; YOLO labels are fractions of the picture, not pixels"
        raise BadRowError("out-of-range", reason)
    if len(numbers) > 4:
        return class_id, _around(numbers)
    cx, cy, w, h = numbers
    return class_id, (cx, cy, w, h)


def _around(polygon: list[float]) -> tuple[float, float, float, float]:
    xs, ys = polygon[0::2], polygon[1::2]
    x1, y1, x2, y2 = min(xs), min(ys), max(xs), max(ys)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def _leans(fields: list[str]) -> bool:
    """Whether four corners are those of a rectangle no side of which runs along an edge of the picture.

    In fractions of a picture that is not square a leaning rectangle is a parallelogram, so that is what is looked for.
    """
    x1, y1, x2, y2, x3, y3, x4, y4 = map(float, fields)
    size = max(abs(x3 - x1), abs(y3 - y1), abs(x4 - x2), abs(y4 - y2))
    closes = max(abs(x1 + x3 - x2 - x4), abs(y1 + y3 - y2 - y4)) <= _OFF * size
    upright = all(min(abs(dx), abs(dy)) <= _OFF * size for dx, dy in ((x2 - x1, y2 - y1), (x3 - x2, y3 - y2)))
    return closes and not upright
