"""What a rehearsal is made of: eight pictures out of a dataset, and what its figures mean for the long run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import DataError
from ..core.images import ImageError, read_image
from ..core.workspace import Workspace
from ..datasets.formats.picture import Picture
from ..datasets.holdout import HELD_OUT_SHARE
from ..datasets.model import Dataset, Item, Split
from ..datasets.record import FolderOrigin
from ..datasets.write import NewDataset, write_dataset
from .config import YoloConfig

_COUNTS: tuple[tuple[Split, int], ...] = (("train", 6), ("valid", 2))
_LOOKED_AT = 200  # pictures; the labels of all would take long in a large dataset
_BACKWARD = 3  # a training step takes about three times as long as looking at the pictures


@dataclass(frozen=True)
class Measured:
    """What a rehearsal measured.

    Attributes:
        step_seconds: The median training step.
        batch: Pictures in a step.
        imgsz: Their side in pixels.
        checkpoint_bytes: Size of a checkpoint.
        bundle_bytes: Size of the finished model's folder.
    """

    step_seconds: float
    batch: int
    imgsz: int
    checkpoint_bytes: int
    bundle_bytes: int


@dataclass(frozen=True)
class Estimate:
    """What the long run will take, roughly: a factor of two either way is possible.

    Attributes:
        epoch_seconds: An epoch, validation included.
        seconds: All epochs, or the time budget where that is less.
        run_bytes: What stays in the run's folder.
        bundle_bytes: What the finished model takes.
    """

    epoch_seconds: float
    seconds: float
    run_bytes: int
    bundle_bytes: int

    @property
    def most_bytes(self) -> int:
        """The most that is there at one time: while it trains, the two checkpoints before are kept too."""
        return 3 * self.run_bytes + 2 * self.bundle_bytes


def choose_pictures(dataset: Dataset, seed: int = 0) -> dict[Split, list[Item]]:
    """Six pictures to learn from and two to validate on that can be read and have boxes, of as many classes as can be.

    Without a "valid" split those to validate on are training pictures too; where there are too few, some are in both.

    Raises:
        DataError: no picture with a box can be read.
    """
    chosen: dict[Split, list[Item]] = {}
    for split, count in _COUNTS:
        items = list(dataset.items(split)) or list(dataset.items("train"))
        order = np.random.default_rng(seed).permutation(len(items))[:_LOOKED_AT]
        fresh = [items[place] for place in order if items[place] not in chosen.get("train", [])]
        chosen[split] = _various(dataset, fresh or items, count)
        if not chosen[split]:
            raise DataError(
                f"No {split} picture that can be read has a labelled box.",
                where=dataset.root,
                next_step=f"see what is wrong with them: cv check-dataset {dataset.name}",
            )
    return chosen


def _various(dataset: Dataset, items: Sequence[Item], count: int) -> list[Item]:
    """So many pictures, first those that show a class which none before shows."""
    first: list[Item] = []
    others: list[Item] = []
    seen: set[int] = set()
    for item in items:
        classes = set(dataset.boxes(item)[0].class_id.tolist())
        if not classes or (len(others) >= count and not classes - seen) or not _is_readable(item):
            continue
        (first if classes - seen else others).append(item)
        seen |= classes
        if len(first) >= count:
            break
    return [*first, *others][:count]


def _is_readable(item: Item) -> bool:
    try:
        read_image(item.image)
    except (ImageError, OSError):
        return False
    return True


def write_pictures(dataset: Dataset, chosen: Mapping[Split, Sequence[Item]], place: Workspace, name: str) -> None:
    """Copy pictures with their boxes into a dataset of their own, in a workspace of its own."""
    pictures = [
        Picture(item.image, f"{number}{item.image.suffix}", split, dataset.boxes(item)[0])
        for split, items in chosen.items()
        for number, item in enumerate(items)
    ]
    place.root.mkdir()
    origin = FolderOrigin(path=str(dataset.root), format=dataset.format, linked=False)
    write_dataset(place, NewDataset(name, "detect", dataset.names, origin), pictures)


def estimate_of(dataset: Dataset, config: YoloConfig, measured: Measured, imgsz: int) -> Estimate:
    """The long run's time and place on the disk, from the rehearsal's.

    A picture's time grows with its pixels; what a step costs beside them, and what a larger batch saves, is left out.
    """
    train, valid = dataset.count("train"), dataset.count("valid")
    if not valid:
        valid = round(train * HELD_OUT_SHARE)
        train -= valid
    per_picture = measured.step_seconds / measured.batch * (imgsz / measured.imgsz) ** 2
    epoch = per_picture * (train + valid / _BACKWARD)
    seconds = epoch * config.epochs
    return Estimate(
        epoch_seconds=epoch,
        seconds=seconds if config.time is None else min(seconds, config.time),
        run_bytes=2 * measured.checkpoint_bytes,
        bundle_bytes=measured.bundle_bytes,
    )
