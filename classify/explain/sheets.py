"""What each block of the network makes of a picture: its channels as small grey maps on one sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from ...core.draw import draw_label
from ...core.words import many
from ...predict.engines.keras import as_rgb
from .layers import Part, only_passes_on

_TILE_PIXELS, _GAP_PIXELS, _TITLE_PIXELS = 96, 4, 30
_MOST_CHANNELS = 64


class FeatureSheets:
    """Draws the feature maps of a classifier's blocks.

    Args:
        model: From `build_classifier`.
        blocks: From `layers.list_blocks`; those with a feature map are drawn.
        scope: The device in Keras' words.

    Attributes:
        blocks: Those that are drawn.
        layers: Of each the layer that is looked at.
    """

    def __init__(self, model: Any, blocks: Sequence[Part], scope: str) -> None:
        import keras

        self._device = lambda: keras.device(scope)
        self.blocks = [part for part in blocks if part.kind == "block"]
        self.layers = [_last_map(model, part) for part in self.blocks]
        self._model = keras.Model(model.input, [model.get_layer(name).output for name in self.layers])

    def draw(self, picture: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """The sheets of one picture.

        Args:
            picture: uint8 BGR at the model's input size.

        Yields:
            For each block its name, and a sheet, uint8 BGR: up to 64 channels in a square, those that tell places
            apart most, each scaled by itself from its lowest value (black) to its highest (white).
        """
        with self._device():
            outputs = self._model.predict_on_batch(as_rgb(picture[None]))
        outputs = [outputs] if len(self.blocks) == 1 else outputs
        for part, output in zip(self.blocks, outputs, strict=True):
            yield part.name, draw_sheet(np.asarray(output[0], np.float32), part.name)


def draw_sheet(features: np.ndarray, title: str) -> np.ndarray:
    """One sheet.

    Args:
        features: float32 `(h, w, channels)`.
        title: What the sheet is called; size and number of channels are written behind it.

    Returns:
        uint8 BGR.
    """
    height, width, channels = features.shape
    spread = features.reshape(-1, channels).std(axis=0)
    liveliest = np.sort(np.argsort(-spread, kind="stable")[:_MOST_CHANNELS])  # many channels see nothing in a picture
    shown = len(liveliest)
    columns = math.ceil(math.sqrt(shown))
    rows = math.ceil(shown / columns)
    scale = _TILE_PIXELS / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    step_x, step_y = size[0] + _GAP_PIXELS, size[1] + _GAP_PIXELS
    sheet = np.full((_TITLE_PIXELS + rows * step_y, columns * step_x), 40, np.uint8)
    for place, channel in enumerate(liveliest):
        y, x = divmod(place, columns)
        tile = cv2.resize(_as_grey(features[..., channel]), size, interpolation=cv2.INTER_NEAREST)
        top, left = _TITLE_PIXELS + y * step_y, x * step_x
        sheet[top : top + size[1], left : left + size[0]] = tile
    bgr = cv2.cvtColor(sheet, cv2.COLOR_GRAY2BGR)
    which = f"{shown} of {channels} channels" if channels > shown else many(channels, "channel")
    draw_label(bgr, f"{title}: {width} x {height}, {which}", (40, 40, 40), text_pixels=14)
    return bgr


def _last_map(model: Any, part: Part) -> str:
    """The block's last feature map, before it is pooled to what the next block takes in."""
    maps = [layer for name in part.layers if len((layer := model.get_layer(name)).output.shape) == 4]
    return next((layer for layer in reversed(maps) if not only_passes_on(layer)), maps[-1]).name


def _as_grey(channel: np.ndarray) -> np.ndarray:
    lowest, highest = float(channel.min()), float(channel.max())
    if highest <= lowest:
        return np.zeros(channel.shape, np.uint8)
    return np.rint((channel - lowest) / (highest - lowest) * 255).astype(np.uint8)
