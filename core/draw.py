"""Boxes and labels drawn into a picture: for results, and for what a dataset holds."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SYSTEM_FONTS = (
    "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "PingFang.ttc", "msyh.ttc", "malgun.ttf",
    "meiryo.ttc", "seguiemj.ttf", "arial.ttf",
)  # fmt: skip
_NO_GLYPH = "\U0010fffe"  # a code point that no font may give a shape, so it shows a font's "missing" sign


@cache
def class_colour(class_id: int) -> Colour:
    """BGR. The same class always has the same colour, and neighbours in the list differ clearly."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + class_id * 0.618034) % 1, 0.8, 0.95)
    return (round(255 * blue), round(255 * green), round(255 * red))


def draw_boxes(
    bgr: np.ndarray, xyxy: np.ndarray, class_id: np.ndarray, labels: Sequence[str], *, text_pixels: int | None = None
) -> None:
    """Draw boxes with a label each into the picture itself.

    Args:
        bgr: uint8 `(h, w, 3)`.
        xyxy: `(n, 4)` in pixels; what lies outside is left out.
        class_id: `(n,)`; it chooses the colour.
        labels: One text for each box.
        text_pixels: Height of the letters; None takes what suits the picture at its full size.
    """
    height, width = bgr.shape[:2]
    thickness = max(2, round((width + height) / 2 * 0.004))
    size = text_pixels or _text_size(bgr)
    rows = list(zip(xyxy, class_id, labels, strict=True))
    for box, number, _ in reversed(rows):  # the first ends on top
        left, top, right, bottom = (round(float(value)) for value in box)
        corner = (min(right, width - 1), min(bottom, height - 1))
        cv2.rectangle(bgr, (left, top), corner, class_colour(int(number)), thickness)
    for box, number, label in reversed(rows):
        mask = _text_mask(label, size)
        above = round(float(box[1])) - mask.shape[0]
        y = above if above >= 0 else round(float(box[1]))
        x = min(round(float(box[0])), max(width - mask.shape[1], 0))
        _put_label(bgr, mask, x, y, class_colour(int(number)))


def draw_label(
    bgr: np.ndarray, text: str, background: Colour, *, at_bottom: bool = False, text_pixels: int | None = None
) -> None:
    """Write one line into the upper or lower left corner of the picture itself, on a BGR background."""
    mask = _text_mask(text, text_pixels or _text_size(bgr))
    _put_label(bgr, mask, 0, bgr.shape[0] - mask.shape[0] if at_bottom else 0, background)


def _text_size(bgr: np.ndarray) -> int:
    return max(11, round(min(bgr.shape[:2]) * 0.035))


def _put_label(bgr: np.ndarray, mask: np.ndarray, x: int, y: int, background: Colour) -> None:
    """Blend a label into the picture; what would lie outside is left out."""
    height, width = bgr.shape[:2]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + mask.shape[1], width), min(y + mask.shape[0], height)
    if right <= left or bottom <= top:
        return
    share = mask[top - y : bottom - y, left - x : right - x, None].astype(np.float32) / 255
    blue, green, red = background
    ink = 0 if 0.114 * blue + 0.587 * green + 0.299 * red > 140 else 255
    bgr[top:bottom, left:right] = np.rint(share * ink + (1 - share) * np.array(background, np.float32))


@lru_cache(maxsize=1024)
def _text_mask(text: str, size: int) -> np.ndarray:
    """How much ink each pixel of a label has, uint8 `(h, w)`, with a little room around the text."""
    line = " ".join(text.split())[:80] or " "
    return _ink(_font_for(line, size), line, room=max(2, size // 4))


def _ink(font: _Font, text: str, room: int) -> np.ndarray:
    left, _, right, bottom = font.getbbox(text)
    picture = Image.new("L", (round(right - min(left, 0)) + 2 * room, round(bottom) + 2 * room))
    ImageDraw.Draw(picture).text((room - min(left, 0), room), text, fill=255, font=font)
    return np.asarray(picture)


def _font_for(text: str, size: int) -> _Font:
    """The first font here that has all the letters; else the first one, which shows boxes for the others."""
    fonts = _fonts(size)
    wanted = frozenset(text) - {" "}
    return next((font for font in fonts if not any(_lacks(font, letter) for letter in wanted)), fonts[0])


@lru_cache(maxsize=32)
def _fonts(size: int) -> tuple[_Font, ...]:
    places = [*_matplotlib_font(), *_SYSTEM_FONTS]
    found: list[_Font] = []
    for place in places:
        try:
            found.append(ImageFont.truetype(place, size))
        except OSError:  # this machine does not have that font
            continue
    return (*found, ImageFont.load_default(size))


def _matplotlib_font() -> list[str]:
    """Matplotlib brings a font with many alphabets; it is found without importing the library."""
    spec = find_spec("matplotlib")
    folders = (spec.submodule_search_locations or []) if spec else []
    fonts = [Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf" for folder in folders]
    return [str(font) for font in fonts if font.is_file()]


@lru_cache(maxsize=4096)
def _lacks(font: _Font, letter: str) -> bool:
    """Whether the font shows its "missing" sign for a letter."""
    return np.array_equal(_ink(font, letter, 0), _ink(font, _NO_GLYPH, 0))
