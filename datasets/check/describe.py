"""A picture's look in 256 bytes, and the ways in which two looks can be laid over each other."""

from __future__ import annotations

import itertools
from functools import lru_cache

import cv2
import numpy as np

SIDE = 16  # a descriptor is the picture reduced to 16 x 16 grey values
DESCRIPTOR_BYTES = SIDE * SIDE
TURNS = 8  # upright and mirrored, each turned by 0, 90, 180 and 270 degrees

Window = tuple[float, float, float, float]  # left, top, width, height as fractions of the picture
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)


def describe(picture: np.ndarray) -> bytes:
    """Reduce a picture to 16 x 16 grey values, whatever its shape: 256 bytes, row by row.

    So few values survive compression, brightness and resizing; a mirrored, turned or slightly cropped picture gives
    values that can be computed from these, which is what the search does.

    Args:
        picture: uint8, grey `(h, w)` or BGR `(h, w, 3)`, any size; a long side of 64..256 pixels is enough.
    """
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return (cv2.cvtColor(small, cv2.COLOR_BGR2GRAY) if small.ndim == 3 else small).tobytes()


def turned(picture: np.ndarray, turn: int) -> np.ndarray:
    """A picture `(h, w, ...)` in one of its 8 positions; 0 leaves it as it is.

    Bit 4 of `turn` swaps rows and columns, then bit 2 mirrors top to bottom and bit 1 left to right.
    """
    if turn & 4:
        picture = picture.swapaxes(0, 1)
    if turn & 2:
        picture = picture[::-1]
    return picture[:, ::-1] if turn & 1 else picture


def windows(size: float, steps: int) -> list[Window]:
    """Cut-outs of `size` times the width and height, at `steps` x `steps` places from corner to corner."""
    places = np.linspace(0, 1 - size, steps).tolist()
    return [(left, top, size, size) for top, left in itertools.product(places, places)]


@lru_cache(maxsize=TURNS)
def turning(turn: int) -> np.ndarray:
    """int64 `(256,)`: the order of a descriptor's bytes that makes it the turned picture's."""
    return turned(np.arange(DESCRIPTOR_BYTES).reshape(SIDE, SIDE), turn).ravel()


@lru_cache(maxsize=512)
def projection(window: Window, order: int) -> np.ndarray:
    """The matrix that turns a flat descriptor into the low frequencies of a cut-out of its picture.

    Frequencies are a cosine transform's, down and across, but for the mean, which brightness moves.

    Returns:
        float32 `(256, d)`; d = order * (order + 1) / 2 - 1 pairs of frequencies, see `frequencies`.
    """
    left, top, width, height = window
    down, across = (_cosines(order) @ _cut_out(start, length) for start, length in ((top, height), (left, width)))
    vertical, horizontal = frequencies(order)
    matrix = down[vertical][:, :, None] * across[horizontal][:, None, :]
    return np.ascontiguousarray(matrix.reshape(-1, DESCRIPTOR_BYTES).T, np.float32)


def frequencies(order: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of frequencies `(vertical, horizontal)`, int64 `(d,)` each, whose sum is 1 .. order - 1."""
    vertical, horizontal = np.nonzero(np.add.outer(np.arange(order), np.arange(order)) < order)
    return vertical[1:], horizontal[1:]


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows `(..., d)` scaled to length 1; rows of nothing stay nothing."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-6)


def _cosines(order: int) -> np.ndarray:
    frequency, place = np.arange(order)[:, None], np.arange(SIDE)[None]
    return np.cos(np.pi * (place + 0.5) * frequency / SIDE)


def _cut_out(start: float, length: float) -> np.ndarray:
    """Linear interpolation that stretches part of a row of 16 values over all 16."""
    at = np.clip((start + (np.arange(SIDE) + 0.5) / SIDE * length) * SIDE - 0.5, 0, SIDE - 1)
    below = np.minimum(at.astype(int), SIDE - 2)
    matrix = np.zeros((SIDE, SIDE))
    matrix[np.arange(SIDE), below] = 1 - (at - below)
    matrix[np.arange(SIDE), below + 1] += at - below
    return matrix
