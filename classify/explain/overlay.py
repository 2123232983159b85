"""The map laid over the picture it belongs to."""

from __future__ import annotations

import cv2
import numpy as np

from ...core.draw import class_colour, draw_label
from ...predict.draw import draw
from ...predict.prepare import Geometry
from ...predict.results import Frame, Prediction
from .model import Explained

_LEAST_PIXELS, _MOST_PIXELS = 320, 1024
_GAP = 8


def heat_on_picture(heat: np.ndarray, prepared_shape: tuple[int, int], geometry: Geometry) -> np.ndarray:
    """A map of the model's input as a map of the picture: padding is cut away, stretching undone.

    Args:
        heat: float32 `(h, w)`, covering the whole input.
        prepared_shape: Height and width of the model's input in pixels.
        geometry: Where the picture lies in the input.

    Returns:
        float32 `(geometry.height, geometry.width)`, between the lowest and the highest value of `heat`.
    """
    height, width = prepared_shape
    on_input = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
    inner_height, inner_width = round(geometry.height * geometry.scale_y), round(geometry.width * geometry.scale_x)
    inner = on_input[geometry.top : geometry.top + inner_height, geometry.left : geometry.left + inner_width]
    return cv2.resize(inner, (geometry.width, geometry.height), interpolation=cv2.INTER_LINEAR)


def strongest_place(heat: np.ndarray) -> tuple[int, int] | None:
    """The pixel (x, y) where a map is highest, None where it is 0 everywhere."""
    if not heat.any():
        return None
    y, x = np.unravel_index(int(heat.argmax()), heat.shape)
    return int(x), int(y)


def paint(bgr: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The picture under the map: red where most speaks for the class, untouched where nothing does.

    Args:
        bgr: uint8 `(h, w, 3)`.
        heat: float32 `(h, w)`, 0..1.
    """
    colours = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_JET)
    share = (0.65 * np.sqrt(heat))[..., None]
    return np.rint(bgr * (1 - share) + colours * share).astype(np.uint8)


def side_by_side(prediction: Prediction, explained: Explained, heat: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The picture with the answer beside the same picture with the map and the class that it is about.

    Args:
        prediction: From the loop.
        explained: Its result.
        heat: From `heat_on_picture`.
        names: The class names.

    Returns:
        uint8 BGR; each half is the picture, made smaller or larger to 320 to 1024 pixels at its longer side.
    """
    bgr, heat = _shown_size(prediction.frame.bgr, heat)
    left = draw(Prediction(Frame(bgr, prediction.frame.source), explained), names)
    right = paint(bgr, heat)
    sure = explained.probability[explained.explained]
    nothing = "" if heat.any() else ": nothing speaks for it"
    draw_label(right, f"why {names[explained.explained]} {sure:.0%}{nothing}", class_colour(explained.explained))
    return np.hstack([left, np.full((bgr.shape[0], _GAP, 3), 255, np.uint8), right])


def _shown_size(bgr: np.ndarray, heat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = bgr.shape[:2]
    longest = max(height, width)
    scale = min(max(longest, _LEAST_PIXELS), _MOST_PIXELS) / longest
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(bgr, size, interpolation=how), cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR)
