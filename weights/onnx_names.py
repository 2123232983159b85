"""What Ultralytics writes into an `.onnx` file about its model: names, size and task, as text of Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .protobuf import Damaged

_ENTRY = re.compile(r"\s*(\d{1,6})\s*:\s*('((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\s*(,|$)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def names_of(text: str) -> list[str]:
    """Class names out of `{0: 'cat', 1: "dog's"}`, by their numbers. Read by hand, not evaluated.

    Raises:
        Damaged: it is something else, or the numbers are not 0, 1, 2 and so on.
    """
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise Damaged("its class names are written in an unknown way")
    inner, at, found = inner[1:-1].strip(), 0, {}
    while at < len(inner):
        match = _ENTRY.match(inner, at)
        if match is None:
            raise Damaged("its class names are written in an unknown way")
        single, double = match[3], match[4]
        found[int(match[1])] = _ESCAPED.sub(r"\1", single if single is not None else double)
        at = match.end()
    if not found or sorted(found) != list(range(len(found))):
        raise Damaged("its classes are not numbered from 0")
    return [found[number] for number in range(len(found))]


def side_of(metadata: Mapping[str, str]) -> int | None:
    """The side of the input in pixels, from `imgsz`, None where it is not told or not square."""
    sides = [int(side) for side in re.findall(r"\d{1,5}", metadata.get("imgsz", "")[:100])]
    return sides[0] if sides and len(set(sides)) == 1 else None


def task_of(metadata: Mapping[str, str]) -> str | None:
    """What Ultralytics says its model does, "detect" or "classify" or another; None where it is not told."""
    task: Any = metadata.get("task")
    return task[:40] if task else None
