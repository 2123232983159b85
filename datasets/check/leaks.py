"""Before a training: which pictures that will measure the model show what it learns from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...core.progress import progress, warn
from ...core.words import many
from ...report.paired import FEWEST_PICTURES
from ..model import SPLITS, Dataset, Split
from .run import check_dataset


@dataclass(frozen=True)
class LeakEffect:
    """A model's score on one split with the pictures that an earlier split gives away, and without them.

    Attributes:
        split: "valid" or "test".
        pictures, leaked: How many pictures it has, and how many of them leak.
        metric: "mAP50" for a detector, "accuracy" for a classifier.
        with_leaked: On all pictures; None when none of them has a box.
        without_leaked: On those that do not leak; None when all do, or none of the others has a box.
    """

    split: str
    pictures: int
    leaked: int
    metric: str
    with_leaked: float | None
    without_leaked: float | None

    def sentence(self, model: str) -> str:
        """The same in plain words, and which of the two figures can be trusted."""
        return (
            f"The {self.metric} of {model} on '{self.split}': {_shown(self.with_leaked)} on all {self.pictures}"
            f" pictures, {_shown(self.without_leaked)} without the {self.leaked} that"
            f" {'leaks' if self.leaked == 1 else 'leak'}. {self._trust}"
        )

    @property
    def _trust(self) -> str:
        why = "Pictures that leak show what the model was trained on"
        rest = self.pictures - self.leaked
        if self.without_leaked is None:
            return f"{why}, so how good it is on new pictures is not known."
        if rest < FEWEST_PICTURES:
            others = many(rest, "other picture")
            return f"{why}. With only {others} nobody can tell how good it is on new ones: trust neither figure."
        return f"{why}: trust the second figure."


def warn_of_leaks(dataset: Dataset) -> dict[Split, int]:
    """Count the pictures of "valid" and "test" that an earlier split gives away, and warn when there are any.

    Looks at each picture unless a check has done so before.

    Returns:
        How many of each split that has some.
    """
    with progress("looking for pictures that two splits share", dataset.count()) as advance:
        report = check_dataset(dataset, advance=advance)
    leaked = frozenset[Path](report.leaked)
    found: dict[Split, int] = {}
    for split in SPLITS:
        if count := sum(item.image in leaked for item in dataset.items(split)):
            found[split] = count
            pictures, verb = many(report.counts[split], f"{split} picture"), "shows" if count == 1 else "show"
            warn(f"{count} of the {pictures} {verb} what pictures of an earlier split show")
    if found:
        warn(f"scores on them come out too high; see them: cv check-dataset {dataset.name} --html,"
             f" mend it: cv fix-dataset {dataset.name}")  # fmt: skip
    return found


def _shown(score: float | None) -> str:
    return "nothing to measure" if score is None else f"{score:.3f}"
