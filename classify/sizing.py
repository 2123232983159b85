"""The size of a classifier's input, and what that means for the pictures at hand."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.images import ImageError, ImageInfo, inspect_image
from ..datasets.model import Item
from ..weights.backbones import Backbone, find_backbone
from ..weights.bundle import Preprocessing

_LOOKED_AT = 64
_STEP = 32
_GREY_MODES = frozenset({"1", "L", "LA", "I", "I;16", "F"})


@dataclass(frozen=True)
class InputChoice:
    """What a classifier's input will be.

    Attributes:
        preprocessing: A square, which pictures are stretched to.
        remarks: What a person should know about it, a sentence each.
    """

    preprocessing: Preprocessing
    remarks: tuple[str, ...]


def choose_input(backbone: str, imgsz: int | None, items: Sequence[Item]) -> InputChoice:
    """The size that was asked for; or the backbone's own, but less where the pictures are smaller.

    The headers of at most 64 pictures, spread evenly over all, are looked at. What counts is the median of their short
    sides, rounded up to the next 32; our own small network takes it as it is.

    Args:
        backbone: A name in `weights.backbones.BACKBONES`.
        imgsz: Side in pixels that the person asked for, or None.
        items: Training pictures; those that cannot be read are passed over.
    """
    record = find_backbone(backbone)
    infos = _headers(items)
    short = round(statistics.median(min(info.width, info.height) for info in infos)) if infos else None
    side = imgsz or _fitting(record, short)
    remarks = [*_about_size(record, imgsz, side, short), *_about_channels(infos)]
    return InputChoice(Preprocessing(width=side, height=side, resize="stretch", interpolation="area"), tuple(remarks))


def _fitting(backbone: Backbone, short: int | None) -> int:
    if short is None:
        return backbone.default_size
    enough = short if backbone.builder is None else -(-short // _STEP) * _STEP
    return min(max(enough, backbone.smallest_size), backbone.default_size)


def _about_size(backbone: Backbone, imgsz: int | None, side: int, short: int | None) -> list[str]:
    if short is None:
        return []
    pictures = f"the pictures are small (half of them {short} pixels or less on the short side)"
    if imgsz is not None:
        return [f"{pictures} and are enlarged to {side}, which shows no more of them"] if short < side else []
    if short < backbone.smallest_size:
        return [f"{pictures} and are enlarged to {side}, the smallest that {backbone.name} takes"]
    if side < backbone.default_size:
        return [f"{pictures}, so {backbone.name} sees them at {side} pixels, not at its usual {backbone.default_size}"]
    return []


def _about_channels(infos: Sequence[ImageInfo]) -> list[str]:
    grey = sum(info.mode in _GREY_MODES for info in infos)
    if not grey:
        return []
    which = "the pictures are grey and are" if grey == len(infos) else "some pictures are grey: they are"
    return [f"{which} shown as three equal channels"]


def _headers(items: Sequence[Item]) -> list[ImageInfo]:
    places = np.unique(np.linspace(0, len(items) - 1, min(_LOOKED_AT, len(items))).astype(int)) if items else ()
    infos = []
    for place in places:
        try:
            infos.append(inspect_image(items[int(place)].image))
        except ImageError:
            continue  # whoever reads all pictures says which cannot be used
    return infos
