"""Which pictures to learn from and which to validate on, also where a dataset has no "valid" split."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

from ..core.errors import DataError
from .model import Dataset, Item

HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class TrainingSplits:
    """Pictures for training.

    Attributes:
        train: To learn from.
        valid: To validate on.
        held_out: Whether `valid` was taken out of "train", because the dataset has no "valid" split.
    """

    train: tuple[Item, ...]
    valid: tuple[Item, ...]
    held_out: bool


def training_splits(dataset: Dataset, seed: int) -> TrainingSplits:
    """The dataset's own splits; without "valid", a fifth of "train" is held out by the seed, class by class.

    Copies of one photograph that Roboflow made (`name.rf.HASH.jpg`) stay together, else the model would be validated on
    what it has seen. The choice depends on the names of the pictures and the seed alone.

    Raises:
        DataError: there are no training pictures, or too few different ones to hold any out.
    """
    train, valid = tuple(dataset.items("train")), tuple(dataset.items("valid"))
    if not train:
        raise DataError(
            "The dataset has no training pictures.",
            where=dataset.root,
            next_step="put pictures and their labels into its 'train' folder",
        )
    if valid:
        return TrainingSplits(train, valid, held_out=False)
    chosen = _hold_out(train, seed)
    if not chosen:
        raise DataError(
            "The dataset has no 'valid' split, and too few different training pictures to hold some out.",
            where=dataset.root,
            next_step="add more pictures, or a 'valid' split",
        )
    kept = tuple(item for item in train if item not in chosen)
    return TrainingSplits(kept, tuple(item for item in train if item in chosen), held_out=True)


def _hold_out(items: tuple[Item, ...], seed: int) -> set[Item]:
    """A fifth of each class's photographs, but never the only one. Detection pictures are one class here."""
    photos: dict[int | None, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        photos[item.class_id][item.image.stem.split(".rf.")[0]].append(item)
    chosen: set[Item] = set()
    for copies in photos.values():
        wanted = round(HELD_OUT_SHARE * len(copies)) or min(1, len(copies) - 1)
        for photo in sorted(copies, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())[:wanted]:
            chosen.update(copies[photo])
    return chosen
