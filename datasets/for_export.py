"""Which pictures measure an export, and which calibrate one in int8."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError, LensmithError, NotFoundError
from ..core.files import sha256_of
from ..core.manifest import DatasetRef
from ..core.progress import say, warn
from ..core.words import many
from ..core.workspace import Workspace
from .fingerprint import fingerprint
from .holdout import MEASURED_SPLITS, first_split
from .known import Learner
from .model import Dataset, Item, Split
from .read import open_dataset


@dataclass(frozen=True)
class Measured:
    """A split to measure on."""

    dataset: Dataset
    split: Split
    items: tuple[Item, ...]

    @property
    def reference(self) -> DatasetRef:
        """Which dataset it was, for the record."""
        return DatasetRef(name=self.dataset.name, fingerprint=fingerprint(self.dataset))


@dataclass(frozen=True)
class Wanted:
    """What a person said of the pictures to measure on; None: nothing.

    Attributes:
        dataset: A dataset's name or folder.
        calibrate: The same of the one that calibrates, which measures too where no other is named.
        split: Which split.
    """

    dataset: str | None = None
    calibrate: str | None = None
    split: Split | None = None


@dataclass(frozen=True)
class ForExport:
    """What an export is made and measured with.

    Attributes:
        measured: A split to measure on; None: there is none.
        calibrated: The dataset and the pictures that calibrate it; None: it needs none.
    """

    measured: Measured | None
    calibrated: tuple[DatasetRef, tuple[Path, ...]] | None


def pictures_for_export(
    learner: Learner,
    wanted: Wanted,
    fits: Callable[[Dataset], None],
    workspace: Workspace,
    *,
    calibrate_with: int | None,
    seed: int,
) -> ForExport:
    """Find the pictures that measure an export, and those that calibrate it; says so where some do both.

    Args:
        learner: The model.
        wanted: See `_to_measure`.
        fits: Likewise.
        workspace: Where names are looked up.
        calibrate_with: So many training pictures at most; None: it needs none.
        seed: Which of them.

    Raises:
        NotFoundError, DataError: a dataset that was named is not there or holds no such pictures, or none that
            calibrates was named and the model's own is not here.
    """
    measured = _to_measure(learner, wanted, fits, workspace)
    if calibrate_with is None:
        return ForExport(measured, None)
    calibrated = _to_calibrate(learner, wanted.calibrate, workspace, most=calibrate_with, seed=seed)
    if measured:
        warn_of_leak(calibrated[1], [item.image for item in measured.items])
    return ForExport(measured, calibrated)


def _to_measure(
    learner: Learner, wanted: Wanted, fits: Callable[[Dataset], None], workspace: Workspace
) -> Measured | None:
    """The pictures to measure on: of the dataset that was named for it, or calibrates, or that the model was made from.

    Args:
        learner: The model.
        wanted: Without a split it is test, or valid where there are no labelled test pictures; train only if asked for.
        fits: Raises a DataError where the model cannot be measured on a dataset.
        workspace: Where names are looked up.

    Returns:
        None where no dataset was named for it and none of the others has such pictures: said, and why.

    Raises:
        NotFoundError, DataError: what was named is not there, or holds no such pictures.
    """
    if wanted.dataset:
        dataset = open_dataset(wanted.dataset, workspace, to_measure=True)
        fits(dataset)
        split = wanted.split or first_split(dataset)
        items = tuple(dataset.items(split))
        if not items:
            raise NotFoundError(f"The dataset has no '{split}' pictures.", where=dataset.root)
        return Measured(dataset, split, items)
    reasons: list[str] = []
    for dataset in _others(learner, wanted.calibrate, workspace, reasons):
        try:
            fits(dataset)
        except DataError as error:
            reasons.append(f"'{dataset.name}' does not fit: {error.what.rstrip('.')}")
            continue
        splits = (wanted.split,) if wanted.split else MEASURED_SPLITS
        for split in splits:
            items = tuple(dataset.items(split))
            if any(_is_labelled(dataset, item) for item in items):
                return Measured(dataset, split, items)
        reasons.append(f"'{dataset.name}' has no labelled {' or '.join(splits)} pictures")
    if wanted.split:
        raise NotFoundError(
            f"There is nothing to measure on: {'; '.join(reasons)}.", where="--split",
            next_step="name a dataset with --dataset, or leave out --split",
        )  # fmt: skip
    say(f"not measured: {'; '.join(reasons)}; --dataset names another")
    return None


def _others(learner: Learner, calibrate: str | None, workspace: Workspace, reasons: list[str]) -> Iterator[Dataset]:
    """Datasets that nobody named for it; that the model's own is not here is added to `reasons`."""
    if calibrate:
        yield open_dataset(calibrate, workspace)
    own = own_dataset(learner)
    if own:
        yield own
    else:
        reasons.append("the dataset that it was made from is not here as it was")


def _is_labelled(dataset: Dataset, item: Item) -> bool:
    return item.class_id is not None or dataset.label(item)[0] is not None


def own_dataset(learner: Learner) -> Dataset | None:
    """The dataset that a model was made from, where it is found and unchanged."""
    if learner.reference is None:
        return None
    for home in dict.fromkeys(learner.places()):
        try:
            found = open_dataset(home, Workspace(home.parent))
            if fingerprint(found) == learner.reference.fingerprint:
                return found
        except (LensmithError, OSError):
            continue  # it is no dataset, or none any more
    return None


def _to_calibrate(
    learner: Learner, given: str | None, workspace: Workspace, *, most: int, seed: int
) -> tuple[DatasetRef, tuple[Path, ...]]:
    """Training pictures by the seed, `most` of them at most; never those of valid or test, which measure the result.

    Raises:
        NotFoundError: nothing was given, and the model's own dataset is not here.
        DataError: there are no training pictures.
    """
    dataset = open_dataset(given, workspace) if given else own_dataset(learner)
    if dataset is None:
        raise NotFoundError(
            "A model in int8 is calibrated with pictures such as it will see, and the dataset that it was made from is "
            "not here as it was.",
            where="--int8",
            next_step="name a dataset: --calibrate DATASET (its training pictures are used; labels do not matter)",
        )
    pictures = sorted(item.image for item in dataset.items("train"))
    if not pictures:
        raise DataError("The dataset has no training pictures to calibrate with.", where=dataset.root)
    chosen = tuple(sorted(random.Random(seed).sample(pictures, min(most, len(pictures)))))  # noqa: S311 - no secret
    return DatasetRef(name=dataset.name, fingerprint=fingerprint(dataset)), chosen


def warn_of_leak(calibrated: Sequence[Path], measured: Sequence[Path]) -> None:
    """Say so when pictures that calibrate the model also measure it."""
    sizes = {path.stat().st_size for path in calibrated}
    alike = [path for path in measured if path.stat().st_size in sizes]
    if not alike:
        return
    known = {sha256_of(path) for path in calibrated}
    both = sum(sha256_of(path) in known for path in alike)
    if both:
        warn(f"{many(both, 'picture')} that it is measured on also calibrated it, so it may do a little worse on new "
             "ones")  # fmt: skip
