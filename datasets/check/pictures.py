"""What is wrong with single pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ...core.words import many
from .finding import Finding
from .kinds import finding
from .looks import Looks

_FEWEST_PIXELS = 10  # on a side; Ultralytics leaves smaller pictures out


def picture_findings(looks: Looks) -> Iterator[Finding]:
    """Findings of the kinds picture-unreadable to picture-tiny."""
    yield from _unusable(looks)
    fine = np.zeros(len(looks), bool)
    fine[looks.with_fault("")] = True
    seen: list[tuple[str, np.ndarray, str]] = [
        ("picture-misnamed", looks.misnamed, "{n} another format than the name says: {formats}."),
        ("picture-cmyk", _marked(looks, looks.with_mode("CMYK")), "{n} stored in print colours (CMYK)."),
        ("picture-16bit", looks.bits > 8, "{n} stored with more than 8 bits per channel."),
        ("picture-alpha", looks.transparent, "{n} stored with transparency."),
        ("picture-animated", looks.frames > 1, "{n} followed by more pictures in the same file."),
        ("picture-rotated", looks.orientation > 1, "{n} lying on the side or head and turned by a note in the file."),
        ("picture-tiny", np.minimum(looks.width, looks.height) < _FEWEST_PIXELS, "{n} smaller than 10 pixels."),
    ]
    for kind, marked, what in seen:
        where = np.flatnonzero(marked & fine)
        if len(where):
            formats = ", ".join(sorted({looks.format(int(number)) for number in where[:1000]}))
            text = what.format(n=f"{many(len(where), 'picture')} {'is' if len(where) == 1 else 'are'}", formats=formats)
            yield finding(kind, text, _paths(looks, where))


def _unusable(looks: Looks) -> Iterator[Finding]:
    kinds = {
        "picture-unreadable": ("missing", "unreadable"),
        "picture-truncated": ("truncated",),
        "picture-empty": ("empty",),
        "picture-too-large": ("too-large",),
    }
    for kind, faults in kinds.items():
        numbers = [int(number) for fault in faults for number in looks.with_fault(fault)]
        if numbers:
            reasons = list(dict.fromkeys(looks.reasons[number] for number in numbers))
            told = "; ".join(reasons[:2]) + ("; ..." if len(reasons) > 2 else "")
            yield finding(kind, f"{many(len(numbers), 'picture')} cannot be used: {told}.", _paths(looks, numbers))


def _marked(looks: Looks, where: np.ndarray) -> np.ndarray:
    marked = np.zeros(len(looks), bool)
    marked[where] = True
    return marked


def _paths(looks: Looks, where: Iterable[int] | np.ndarray) -> list[Path]:
    return [Path(looks.items.path(int(number))) for number in where]
