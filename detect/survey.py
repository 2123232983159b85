"""A quick look at a dataset's sizes: how many pictures and boxes, and how large they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.images import ImageError
from ..datasets.formats.picture_size import size_of
from ..datasets.model import Dataset

_SAMPLE = 400  # pictures that are looked at; a tenth of the boxes is then known within a few percent


@dataclass(frozen=True)
class Survey:
    """What a dataset is like, by at most 400 of its training pictures.

    Attributes:
        pictures: Training pictures.
        boxes: Their boxes; estimated where not all pictures were looked at.
        classes: How many classes there are.
        fewest: Boxes of the rarest class that has any, 0 without boxes.
        most_in_one: The most boxes in one picture.
        long_side: Median of the longer sides of the pictures in pixels, 0 when none can be read.
        small_box: Sides of the smallest tenth of the boxes (square root of the area) reach up to this share of their
            picture's longer side; 0 without boxes.
    """

    pictures: int
    boxes: int
    classes: int
    fewest: int
    most_in_one: int
    long_side: int
    small_box: float

    @property
    def boxes_each(self) -> float:
        """Boxes in a picture, on average."""
        return self.boxes / max(self.pictures, 1)


def survey(dataset: Dataset) -> Survey:
    """Look at a detection dataset's training pictures; headers and labels are read, no pixels."""
    items = list(dataset.items("train"))
    chosen = [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(_SAMPLE, len(items))).astype(int))]
    counts, sides, shares = np.zeros(max(len(dataset.names), 1), np.int64), [], []
    most = 0
    for item in chosen:
        try:
            width, height = size_of(item.image)
        except ImageError:
            continue
        boxes, _ = dataset.boxes(item)
        sides.append(max(width, height))
        most = max(most, len(boxes))
        counts += np.bincount(boxes.class_id, minlength=len(counts))[: len(counts)]
        size = boxes.cxcywh[:, 2:] * np.array([width, height], np.float32)
        shares.append(np.sqrt(np.clip(size, 0, None).prod(axis=1)) / max(width, height))
    share = len(sides) / max(len(items), 1)
    found = np.concatenate(shares) if shares else np.zeros(0)
    return Survey(
        pictures=len(items),
        boxes=round(counts.sum() / share) if share else 0,
        classes=len(dataset.names),
        fewest=round(counts[counts > 0].min() / share) if counts.any() else 0,
        most_in_one=most,
        long_side=int(np.median(sides)) if sides else 0,
        small_box=float(np.quantile(found, 0.1)) if len(found) else 0.0,
    )
