"""Training pictures in tiles: small objects come as large as the detector will see them when it is used with tiles.

As in Akyon et al., "Slicing Aided Hyper Inference and Fine-tuning for Small Object Detection", ICIP 2022, the tiles are
added to the whole pictures, which teach what is larger than a tile.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..core.errors import LensmithError
from ..core.images import ImageError, inspect_image
from ..core.progress import say, warn
from ..core.words import many
from ..datasets.model import Boxes, Dataset, Item
from ..predict.tiles import tile_places
from ..weights.bundle import Tiles

_KEPT_SHARE = 0.4  # of a box's area: with less in the tile, nobody could say what it is
_SMALLEST_SIDE = 2.0  # pixels
_EMPTY_SHARE = 0.25  # tiles without an object, for each one with some: most of a large picture shows none
_ASKED = 60  # pictures that stand for all when the cost is foreseen
_BYTES_A_PIXEL = 0.4  # of a photograph as JPEG, quality 95
_MEBIBYTE = 1 << 20


class Part(NamedTuple):
    """One tile of a picture: its corners in pixels, and the boxes in it, as fractions of it."""

    place: tuple[int, int, int, int]
    boxes: Boxes


def cut(width: int, height: int, boxes: Boxes, tiles: Tiles, seed: int) -> list[Part]:
    """The tiles of a picture that are worth training on; none for a picture that is hardly larger than a tile.

    A box belongs to a tile with at least 0.4 of its area in it, and is clipped to it. Of the tiles without any box
    some are kept, a quarter of the number of the others; of a picture without boxes none, the whole picture will do.

    Args:
        width: Of the picture, in pixels.
        height: The same.
        boxes: What is on it.
        tiles: How to cut; `whole` is not looked at.
        seed: Decides which empty tiles are kept.
    """
    places = tile_places(width, height, tiles.model_copy(update={"whole": False}))
    if len(places) == 1 or not len(boxes):
        return []
    limit = np.array([width, height, width, height], np.float32)
    xyxy = np.clip(boxes.xyxy(width, height), 0, limit).astype(np.float64)
    parts = [_part(place, xyxy, boxes.class_id) for place in places.tolist()]
    full, empty = [part for part in parts if len(part.boxes)], [part for part in parts if not len(part.boxes)]
    most = min(len(empty), ceil(_EMPTY_SHARE * len(full)))
    chosen = np.random.default_rng(seed).choice(len(empty), most, replace=False)
    return full + [empty[i] for i in sorted(chosen)]


def _part(place: list[int], xyxy: np.ndarray, class_id: np.ndarray) -> Part:
    x1, y1, x2, y2 = place
    inside = np.clip(xyxy, [x1, y1, x1, y1], [x2, y2, x2, y2]) - [x1, y1, x1, y1]
    sides, full = inside[:, 2:] - inside[:, :2], (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)
    kept = (sides >= _SMALLEST_SIDE).all(axis=1) & (sides.prod(axis=1) >= _KEPT_SHARE * full)
    centre = inside[kept, :2] + sides[kept] / 2
    cxcywh = np.concatenate([centre, sides[kept]], axis=1) / [x2 - x1, y2 - y1, x2 - x1, y2 - y1]
    return Part((x1, y1, x2, y2), Boxes(cxcywh.astype(np.float32), class_id[kept]))


def say_cost(dataset: Dataset, items: Sequence[Item], tiles: Tiles, folder: Path) -> None:
    """Say how many tiles these pictures give, what they take on the disk, and how much longer an epoch is.

    Raises:
        LensmithError: the disk that `folder` will be on has no room for them.
    """
    asked = [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(_ASKED, len(items))).astype(int))]
    parts = pixels = seen = 0
    for item in asked:
        try:
            info = inspect_image(item.image)
        except ImageError:
            continue
        seen += 1
        places = [part.place for part in cut(info.width, info.height, dataset.boxes(item)[0], tiles, 0)]
        parts += len(places)
        pixels += sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in places)
    each = len(items) / max(seen, 1)
    size = each * pixels * _BYTES_A_PIXEL
    if not parts:
        warn(f"hardly a picture is larger than a tile of {tiles.size} pixels, so tiles change nothing")
        return
    free = shutil.disk_usage(folder).free
    if size > free:
        raise LensmithError(
            f"The tiles need about {size / _MEBIBYTE:.0f} MB, and the disk has {free / _MEBIBYTE:.0f} MB left.",
            where=folder,
            next_step="free some space, or use a larger --imgsz, or --tiles off",
        )
    say(
        f"tiles of {tiles.size} pixels: about {each * parts:.0f} of {many(len(items), 'picture')}, "
        f"{max(size / _MEBIBYTE, 1):.0f} MB on the disk until the training ends; an epoch takes about "
        f"{1 + parts / seen:.1f} times as long"
    )
