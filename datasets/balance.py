"""What is in each split: pictures, and objects of each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .model import SPLITS, Dataset, Item, Split


@dataclass(frozen=True)
class Balance:
    """What is in each split.

    Attributes:
        pictures: Pictures by split.
        objects: Objects by split and class id; of a classification dataset pictures.
    """

    pictures: dict[Split, int]
    objects: dict[Split, tuple[int, ...]]


def count_objects(
    dataset: Dataset, items: Sequence[Item], advance: Callable[[float], None] | None = None
) -> np.ndarray:
    """How many objects of each class each picture has.

    Returns:
        int64 `(items, classes + 1)`. The last column is 1 for a picture without objects, so that those are shared out
        evenly as well. A classification picture has one object, its class.
    """
    counts = np.zeros((len(items), len(dataset.names) + 1), np.int64)
    for row, item in zip(counts, items, strict=True):
        class_ids = dataset.boxes(item)[0].class_id if item.class_id is None else np.array([item.class_id])
        row[:-1] = np.bincount(class_ids, minlength=len(dataset.names))
        row[-1] = len(class_ids) == 0
        if advance is not None:
            advance(1)
    return counts


def balance(objects: np.ndarray, splits: Sequence[Split]) -> Balance:
    """Pictures and objects in each split.

    Args:
        objects: See `count_objects`.
        splits: The split of each picture.
    """
    where = np.array(splits)
    return Balance(
        pictures={split: int((where == split).sum()) for split in SPLITS},
        objects={split: tuple(objects[where == split, :-1].sum(axis=0).tolist()) for split in SPLITS},
    )
