"""Which pictures to learn from and which to validate on, also where a dataset has no "valid" split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..core.errors import DataError, NotFoundError
from ..core.progress import progress
from .balance import count_objects
from .check.run import check_dataset
from .check.twins import groups
from .model import Dataset, Item, Split
from .stratify import share_out

HELD_OUT_SHARE = 0.2
MEASURED_SPLITS: tuple[Split, ...] = ("test", "valid")  # the first that a dataset has measures


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

    Pictures that show the same thing stay together (copies, what an augmentation made of one photograph,
    near-duplicates, neighbouring frames: `check_dataset` knows them, and remembers), else the model would be validated
    on what it has seen. Objects of a detection dataset count as the classes of a classification one do, see `stratify`.
    The choice depends on the pictures, their names, their labels and the seed alone.

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
    chosen = _hold_out(dataset, train, seed)
    if not chosen:
        raise DataError(
            "The dataset has no 'valid' split, and too few different training pictures to hold some out.",
            where=dataset.root,
            next_step="add more pictures, or a 'valid' split",
        )
    kept = tuple(item for item in train if item not in chosen)
    return TrainingSplits(kept, tuple(item for item in train if item in chosen), held_out=True)


def first_split(dataset: Dataset) -> Split:
    """The split to measure on: "test", or "valid" where there are no test pictures.

    Raises:
        NotFoundError: there are neither.
    """
    for split in MEASURED_SPLITS:
        if next(dataset.items(split), None) is not None:
            return split
    raise NotFoundError(
        "The dataset has neither test nor valid pictures.",
        where=dataset.root,
        next_step="make some: cv split-dataset; or measure on what it has: --split train",
    )


def _hold_out(dataset: Dataset, items: tuple[Item, ...], seed: int) -> set[Item]:
    """A fifth of the pictures, and of each class that more than one group of alike pictures has."""

    def only_train(split: Split) -> Iterator[Item]:
        return iter(items if split == "train" else ())

    with progress("looking for pictures that show the same thing", len(items)) as advance:
        twins = check_dataset(replace(dataset, iterate=only_train), advance=advance).twins
    objects = count_objects(dataset, items)
    shares = (1 - HELD_OUT_SHARE, HELD_OUT_SHARE)
    parts = share_out(items, objects, groups(items, twins), shares, seed)
    return {item for item, part in zip(items, parts.tolist(), strict=True) if part}
