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
Place = tuple[int, int, int, int]  # left, top, right, bottom
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SYSTEM_FONTS = (
    "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "PingFang.ttc", "msyh.ttc", "malgun.ttf",
    "meiryo.ttc", "seguiemj.ttf", "arial.ttf",
)  # fmt: skip
_LEAST_TEXT = 11
_TEXT_STEP = 1.25
_LONGEST_LABEL = 80
_MOST_PLACED = 100  # of more labels than this there is room for none; looking for it would take longer than drawing
_NO_GLYPH = "\U0010fffe"  # a code point that no font may give a shape, so it shows a font's "missing" sign


@cache
def class_colour(class_id: int) -> Colour:
    """BGR. The same class always has the same colour, and neighbours in the list differ clearly."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + class_id * 0.618034) % 1, 0.8, 0.95)
    return (round(255 * blue), round(255 * green), round(255 * red))


def draw_boxes(
    bgr: np.ndarray,
    xyxy: np.ndarray,
    class_id: np.ndarray,
    labels: Sequence[str],
    *,
    text_pixels: int | None = None,
    taken: Sequence[Place] = (),
) -> None:
    """Draw boxes with a label each into the picture itself.

    Args:
        bgr: uint8 `(h, w, 3)`.
        xyxy: `(n, 4)` in pixels; what lies outside is left out.
        class_id: `(n,)`; it chooses the colour.
        labels: One text for each box.
        text_pixels: Height of the letters; None takes what suits the picture at its full size.
        taken: Where other texts stand, which labels keep clear of as they do of each other.
    """
    height, width = bgr.shape[:2]
    size = text_pixels or _text_size_for(bgr, xyxy, labels)
    thickness = max(2, round(min((width + height) * 0.002, size / 5)))
    rows = [tuple(round(float(value)) for value in box) for box in xyxy]
    for (left, top, right, bottom), number in reversed(list(zip(rows, class_id, strict=True))):  # the first ends on top
        corner = (min(right, width - 1), min(bottom, height - 1))
        cv2.rectangle(bgr, (left, top), corner, class_colour(int(number)), thickness)
    masks = [text_mask(label, size) for label in labels]
    places = _label_places(rows, [mask.shape for mask in masks], (width, height), taken)
    for mask, (x, y), number in reversed(list(zip(masks, places, class_id, strict=True))):
        put_label(bgr, mask, x, y, class_colour(int(number)))


def _label_places(
    boxes: Sequence[tuple[int, ...]],
    shapes: Sequence[tuple[int, ...]],
    size: tuple[int, int],
    others: Sequence[Place],
) -> list[tuple[int, int]]:
    """Upper left corners of the labels: above the box, or where they hide fewer of the labels before them."""
    width, height = size
    taken = list(others)
    for (left, top, right, bottom), (tall, wide) in zip(boxes, shapes, strict=True):
        x = min(left, max(width - wide, 0))
        above = top - tall if top >= tall else top
        below = min(bottom, max(height - tall, 0))
        flush_right = max(right - wide, 0)
        offered = [(x, above), (x, below), (flush_right, above), (flush_right, below), (x, min(top, height - tall))]
        if len(boxes) > _MOST_PLACED:
            offered = offered[:1]
        best = min((_hidden(place, tall, wide, taken), number) for number, place in enumerate(offered))
        x, y = offered[best[1]]
        taken.append((x, y, x + wide, y + tall))
    return [(x, y) for x, y, _, _ in taken[len(others) :]]


def _hidden(place: tuple[int, int], tall: int, wide: int, taken: Sequence[Place]) -> int:
    """How many pixels of the labels that are there already one more would hide."""
    x, y = place
    right, bottom = x + wide, y + tall
    return sum(
        (min(right, x2) - max(x, x1)) * (min(bottom, y2) - max(y, y1))
        for x1, y1, x2, y2 in taken
        if x1 < right and x < x2 and y1 < bottom and y < y2
    )


def draw_label(
    bgr: np.ndarray, text: str, background: Colour, *, at_bottom: bool = False, text_pixels: int | None = None
) -> None:
    """Write one line into the upper or lower left corner of the picture itself, on a BGR background."""
    mask = text_mask(text, text_pixels or text_size(bgr))
    put_label(bgr, mask, 0, bgr.shape[0] - mask.shape[0] if at_bottom else 0, background)


def text_size(bgr: np.ndarray) -> int:
    """Height of letters in pixels that suits a picture at its full size."""
    return max(_LEAST_TEXT, round(min(bgr.shape[:2]) * 0.035))


def _text_size_for(bgr: np.ndarray, xyxy: np.ndarray, labels: Sequence[str]) -> int:
    """The same, smaller where boxes are small or labels long, so that labels do not hide what they are about."""
    usual = text_size(bgr)
    if not len(xyxy):
        return usual
    side = float(np.median((xyxy[:, 2:] - xyxy[:, :2]).max(axis=1)))
    letters = max(sorted(map(len, labels))[len(labels) // 2], 1)
    least = max(_LEAST_TEXT, round(min(bgr.shape[:2]) * 0.018))
    wanted = min(0.2 * side, 3.5 * side / letters)
    size = least
    while size < usual and size * _TEXT_STEP <= wanted:  # in steps: letters that grow and shrink all the time flicker
        size = round(size * _TEXT_STEP)
    return min(size, usual)


def put_label(bgr: np.ndarray, mask: np.ndarray, x: int, y: int, background: Colour) -> None:
    """Blend a label from `text_mask` into the picture itself; what would lie outside is left out."""
    height, width = bgr.shape[:2]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + mask.shape[1], width), min(y + mask.shape[0], height)
    if right <= left or bottom <= top:
        return
    ink = cv2.cvtColor(mask[top - y : bottom - y, left - x : right - x], cv2.COLOR_GRAY2BGR)
    cv2.LUT(ink, _shades(background), dst=ink)
    bgr[top:bottom, left:right] = ink


@lru_cache(maxsize=1024)
def _shades(background: Colour) -> np.ndarray:
    """What an amount of ink looks like on a background: BGR uint8 `(1, 256, 3)`, dark ink on what is light."""
    blue, green, red = background
    ink = 0 if 0.114 * blue + 0.587 * green + 0.299 * red > 140 else 255
    share = np.arange(256, dtype=np.float32)[:, None] / 255
    return np.rint(share * ink + (1 - share) * np.array(background, np.float32)).astype(np.uint8)[None]


def text_mask(text: str, size: int) -> np.ndarray:
    """How much ink each pixel of a label has, uint8 `(h, w)`, with a little room around the text.

    Words are kept, not lines: a label of a number and a percentage is hardly ever the same again, its words are.
    """
    line = " ".join(text.split())[:_LONGEST_LABEL] or " "
    if not line.isascii():  # letters that join, and lines from right to left, are one piece
        return _line_mask(line, size)
    words = [_line_mask(word, size) for word in line.split(" ")]
    room, gap = max(2, size // 4), max(1, round(size * 0.3))
    wide = sum(word.shape[1] - 2 * room for word in words) + gap * (len(words) - 1) + 2 * room
    mask = np.zeros((max(word.shape[0] for word in words), wide), np.uint8)
    at = 0
    for word in words:  # the room around one word is where the gap to the next one is
        mask[: word.shape[0], at : at + word.shape[1]] |= word[:, : wide - at]
        at += word.shape[1] - 2 * room + gap
    return mask


@lru_cache(maxsize=4096)
def _line_mask(line: str, size: int) -> np.ndarray:
    room = max(2, size // 4)
    if not line.isascii():
        return _ink(_font_for(line, size), line, room)
    # Of a number that was never there before, every digit was.
    letters = [_letter_mask(letter, size) for letter in line]
    mask = np.zeros((letters[0][0].shape[0], sum(advance for _, advance in letters) + 4 * room), np.uint8)
    at = room  # a letter may reach out on both sides of its place
    for ink, advance in letters:
        mask[:, at - room : at - room + ink.shape[1]] |= ink
        at += advance
    return mask[:, : at + room]


@lru_cache(maxsize=1024)
def _letter_mask(letter: str, size: int) -> tuple[np.ndarray, int]:
    """One letter with room around it, and how far to the right the next one stands."""
    font = _font_for(letter, size)
    return _ink(font, letter, max(2, size // 4)), max(1, round(font.getlength(letter)))


def _ink(font: _Font, text: str, room: int) -> np.ndarray:
    left, _, right, bottom = font.getbbox(text)
    tall = max(bottom, font.getbbox("gj|")[3])  # all words are equally tall and stand on one line
    picture = Image.new("L", (round(right - min(left, 0)) + 2 * room, round(tall) + 2 * room))
    ImageDraw.Draw(picture).text((room - min(left, 0), room), text, fill=255, font=font)
    return np.asarray(picture)


def _font_for(text: str, size: int) -> _Font:
    """The first font here that has all the letters; else the first one, which shows boxes for the others."""
    fonts = _fonts(size)
    wanted = frozenset(text) - {" "}
    return next((font for font in fonts if not any(_lacks(font, letter) for letter in wanted)), fonts[0])


@lru_cache(maxsize=32)
def _fonts(size: int) -> tuple[_Font, ...]:
    return (*(ImageFont.truetype(place, size) for place in _font_files()), ImageFont.load_default(size))


@cache
def _font_files() -> tuple[str, ...]:
    """The fonts of this machine; looking for one goes through many folders."""
    found: list[str] = []
    for place in [*_matplotlib_font(), *_SYSTEM_FONTS]:
        try:
            path = ImageFont.truetype(place, _LEAST_TEXT).path
        except OSError:  # this machine does not have that font
            continue
        found.append(path if isinstance(path, str) else place)
    return tuple(found)


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
