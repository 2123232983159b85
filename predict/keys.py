"""What a person may do while `cv live` runs: the same keys in a window and on the page."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..core.draw import draw_label, text_mask, text_size

Command = Literal["quit", "pause", "save", "upload", "surer", "less sure", "help"]

KEYS: dict[str, Command] = {
    "q": "quit", "Q": "quit", "\x1b": "quit", " ": "pause", "s": "save", "S": "save", "u": "upload", "U": "upload",
    "+": "surer", "=": "surer", "-": "less sure", "?": "help", "h": "help", "H": "help",
}  # fmt: skip
HELP = (
    ("q", "quit"), ("space", "pause, and go on with the newest frame"), ("s", "save this frame"),
    ("u", "upload this frame for labelling"), ("+ -", "show only what is surer, or more"),
    ("?", "show or hide these keys"),
)  # fmt: skip
_STEP = 0.05
_LEAST, _MOST = 0.05, 0.95
_LEAST_PIXELS = 7
_BACKGROUND = (32, 32, 32)


class Threshold:
    """The confidence above which something is shown, which keys change while the model runs.

    Args:
        given: What the person asked for; None is the model's own, which may have one for each class.
        usual: Where the first key begins when there is none: what the model was made with, 0..1.
    """

    def __init__(self, given: float | None, usual: float) -> None:
        self.value = given
        self._usual = usual

    def change(self, steps: int) -> float:
        """Go so many steps of 0.05 up, or down, and say where that is."""
        start = self._usual if self.value is None else self.value
        self.value = min(max(round(start / _STEP + steps) * _STEP, _LEAST), _MOST)
        return self.value


def draw_help(bgr: np.ndarray) -> None:
    """Write what the keys do into the upper left corner of the picture itself."""
    pixels = text_size(bgr)
    widest = max(text_mask(f"{key}  {does}", pixels).shape[1] for key, does in HELP)
    pixels = max(_LEAST_PIXELS, min(pixels, pixels * bgr.shape[1] // widest))
    for number, (key, does) in enumerate(HELP):
        top = round(number * 1.7 * pixels)
        if top + pixels < bgr.shape[0]:
            draw_label(bgr[top:], f"{key}  {does}", _BACKGROUND, text_pixels=pixels)
