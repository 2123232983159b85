"""Which pictures measure an export, and which calibrate one in int8."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError, LensmithError, NotFoundError
from ..core.files import sha256_of
from ..core.manifest import DatasetRef
from ..core.progress import say, warn
from ..core.words import many
from ..core.workspace import Workspace
from .fingerprint import fingerprint
from .holdout import first_split
from .known import Learner
from .model import Dataset, Item, Split
from .read import open_dataset


@dataclass(frozen=True)
class Measured:
    """A split to measure on."""

    dataset: Dataset
    split: Split
    items: tuple[Item, ...]


def to_measure(learner: Learner, given: str | None, split: Split | None, workspace: Workspace) -> Measured | None:
    """The pictures to measure on.

    Args:
        learner: The model.
        given: A dataset's name or folder; None takes the one that the model was made from.
        split: Which split; None takes test, or valid where there are no test pictures.
        workspace: Where names are looked up.

    Returns:
        None where nothing was given, and the model's own dataset is gone, was changed or has no such pictures: said.

    Raises:
        NotFoundError, DataError: what was given is not there, or holds no such pictures.
    """
    dataset = open_dataset(given, workspace, to_measure=True) if given else own_dataset(learner)
    if dataset is None:
        say("not measured: the dataset that it was made from is not here as it was; --dataset names another")
        return None
    try:
        chosen = split or first_split(dataset)
    except NotFoundError as error:
        if given:
            raise
        say(f"not measured: {error.what}")
        return None
    items = tuple(dataset.items(chosen))
    if not items:
        raise NotFoundError(f"The dataset has no '{chosen}' pictures.", where=dataset.root)
    return Measured(dataset, chosen, items)


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


def to_calibrate(
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
