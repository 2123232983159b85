"""The network drawn as a tower of blocks, from the picture at the top to the answer at the bottom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .layers import Part

_WIDTH, _ROW, _GAP, _TOP = 760, 34, 10, 44
_MIDDLE, _WIDEST, _NARROWEST = 330, 300, 26
_FILL: dict[str, str] = {
    "frozen": "#9ec5f5", "partly fine-tuned": "#f3c98b", "fine-tuned": "#f0a35e", "trained": "#8fd19e",
    "partly trained": "#c3e3c8", "random": "#e3c6e8", "fixed": "#d5dae2",
}  # fmt: skip


def draw_network(blocks: Sequence[Part]) -> str:
    """An SVG picture of a network.

    A bar is as wide as its feature map has pixels at a side, on a scale of logarithms; its colour says what training
    did with it.

    Args:
        blocks: From `layers.list_blocks`.

    Returns:
        SVG text, with everything a person named escaped.
    """
    height = _TOP + len(blocks) * (_ROW + _GAP)
    largest = max(max(part.shape[:2]) for part in blocks if len(part.shape) == 3)
    kinds = list(dict.fromkeys(part.learned for part in blocks))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#1d2430">'
    ]
    for number, kind in enumerate(kinds):
        x = 12 + 150 * number
        lines.append(f'<rect x="{x}" y="12" width="14" height="14" rx="3" fill="{_FILL[kind]}"/>')
        lines.append(f'<text x="{x + 20}" y="24">{escape(_WORDS[kind])}</text>')
    for number, part in enumerate(blocks):
        lines += _row(part, _TOP + number * (_ROW + _GAP), largest, is_last=number == len(blocks) - 1)
    return "\n".join([*lines, "</svg>"])


_WORDS: dict[str, str] = {
    "frozen": "frozen", "partly fine-tuned": "partly fine-tuned", "fine-tuned": "fine-tuned", "trained": "trained anew",
    "partly trained": "partly trained anew", "random": "left at random", "fixed": "nothing to learn",
}  # fmt: skip


def _row(part: Part, y: int, largest: int, *, is_last: bool) -> list[str]:
    side = max(part.shape[:2]) if len(part.shape) == 3 else 1
    share = math.log2(side + 1) / math.log2(largest + 1)
    width = max(_WIDEST * share, _NARROWEST)
    left, middle = _MIDDLE - width / 2, y + _ROW / 2
    parameters = f", {_shortly(part.parameters)} parameters" if part.parameters else ""
    rows = [
        f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{_ROW}" rx="5" fill="{_FILL[part.learned]}"/>',
        f'<text x="12" y="{middle + 4.5:.1f}">{escape(part.name)}</text>',
        f'<text x="{_MIDDLE + _WIDEST / 2 + 14}" y="{middle + 4.5:.1f}">{shape_text(part.shape)}{parameters}</text>',
    ]
    if not is_last:
        rows.append(f'<path d="M{_MIDDLE} {y + _ROW + 1} v{_GAP - 2}" stroke="#5b6675" stroke-width="1.5"/>')
    return rows


def shape_text(shape: Sequence[int]) -> str:
    """A shape in words: "38 x 38 x 256" (width first, as sizes of pictures are told), "256 numbers"."""
    if len(shape) != 3:
        return f"{math.prod(shape)} numbers"
    height, width, channels = shape
    return f"{width} x {height} x {channels}"


def _shortly(count: int) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f} {letter}"
    return str(count)
