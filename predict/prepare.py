"""The one way a decoded picture becomes a model's input: for training classifiers, for evaluation and for use."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np

from ..weights.bundle import Preprocessing


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the picture lies inside the model's input.

    Attributes:
        width, height: Size of the original picture in pixels.
        scale_x, scale_y: Input pixels per original pixel.
        left, top: Padding before the picture, in input pixels.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float
    left: int
    top: int

    def to_original(self, xyxy: np.ndarray) -> np.ndarray:
        """Boxes `(n, 4)` in input pixels as float32 `(n, 4)` in pixels of the original picture, clipped to it."""
        scale = np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y], np.float64)
        original = (xyxy.reshape(-1, 4) - np.array([self.left, self.top, self.left, self.top])) / scale
        limit = [self.width, self.height, self.width, self.height]
        return np.clip(original, 0, limit).astype(np.float32)


def fit(bgr: np.ndarray, preprocessing: Preprocessing) -> tuple[np.ndarray, Geometry]:
    """Resize a picture to the model's input.

    "letterbox" gives the same pixels as Ultralytics' LetterBox: one scale for both sides, rounded sizes, the odd pixel
    of padding at the right and below.

    Args:
        bgr: uint8 `(h, w, 3)`, any size.
        preprocessing: From the bundle's record.

    Returns:
        The input, uint8 BGR `(preprocessing.height, preprocessing.width, 3)`, with a stride smaller where the picture
        leaves room, and the way back.
    """
    height, width = bgr.shape[:2]
    if preprocessing.resize == "stretch":
        inner_width, inner_height = preprocessing.width, preprocessing.height
    else:
        scale = min(preprocessing.height / height, preprocessing.width / width)
        # A very thin picture keeps one pixel; floating point may round the long side past the input.
        inner_width = min(max(round(width * scale), 1), preprocessing.width)
        inner_height = min(max(round(height * scale), 1), preprocessing.height)
    outer_width, outer_height = preprocessing.width, preprocessing.height
    if preprocessing.stride is not None:
        outer_width = min(_with_a_margin(inner_width, preprocessing.stride), outer_width)
        outer_height = min(_with_a_margin(inner_height, preprocessing.stride), outer_height)
    spare_x, spare_y = outer_width - inner_width, outer_height - inner_height
    left, top = round(spare_x / 2 - 0.1), round(spare_y / 2 - 0.1)
    inner = bgr
    if (width, height) != (inner_width, inner_height):
        shrinks = inner_width * inner_height < width * height
        area = preprocessing.interpolation == "area" and shrinks
        inner = cv2.resize(bgr, (inner_width, inner_height), interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR)
    if spare_x or spare_y:
        inner = cv2.copyMakeBorder(
            inner, top, spare_y - top, left, spare_x - left, cv2.BORDER_CONSTANT, value=(preprocessing.pad_value,) * 3
        )
    geometry = Geometry(width, height, inner_width / width, inner_height / height, left, top)
    return np.ascontiguousarray(inner), geometry


def _with_a_margin(pixels: int, stride: int) -> int:
    """The least multiple of the stride that leaves half of one: things at the very edge are found less well."""
    return ceil(pixels / stride + 0.5) * stride
