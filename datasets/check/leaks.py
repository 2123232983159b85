"""Before a training: which pictures that will measure the model show what it learns from."""

from __future__ import annotations

from pathlib import Path

from ...core.progress import progress, warn
from ..model import SPLITS, Dataset, Split
from .run import check_dataset


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
            warn(f"{count} of the {report.counts[split]} {split} pictures show what pictures of an earlier split show")
    if found:
        warn(f"scores on them come out too high; see them: cv check-dataset {dataset.name} --html,"
             f" mend it: cv fix-dataset {dataset.name}")  # fmt: skip
    return found


def leak_sentence(split: str, leaked: int) -> str:
    """What to say beside a score that was measured on leaking pictures too."""
    verb = "shows" if leaked == 1 else "show"
    return f"{leaked} of the {split} pictures {verb} what the model was trained on, so this is better than it really is"
