"""What a look through a dataset ends with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..model import Dataset, Item, Split

Severity = Literal["problem", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a dataset.

    Attributes:
        kind: Which check found it; `kinds.KINDS` has all of them.
        severity: "problem" spoils training or its result, "warning" probably does, "note" is worth knowing.
        what: One sentence with the number in it.
        files: All the files that it is about; none where it is about a class or a split.
        count: How many files, rows, pairs or classes it is about.
        why: Why it hurts, in a sentence or two.
        fix: What `cv fix-dataset` would do; empty where only a person can help.
        pairs: The files are pairs, one after the other: first, second, first, second, ...; a picture may come again.
    """

    kind: str
    severity: Severity
    what: str
    files: tuple[Path, ...] = ()
    count: int = 0
    why: str = ""
    fix: str = ""
    pairs: bool = False


TwinKind = Literal[
    "copy",  # the same bytes
    "sibling",  # two copies that Roboflow's augmentation made of one photograph (`.rf.` in the name)
    "near",  # the same photograph: mirrored, turned, cropped, brighter, compressed again
    "frame",  # neighbouring frames of one video
]


@dataclass(frozen=True, slots=True)
class Twin:
    """Two pictures that show the same thing, so that they belong into one split.

    Attributes:
        first, second: The pictures; where they lie in different splits, `first` lies in the earlier one of
            train, valid, test.
        kind: What makes them twins; the first that holds in the order copy, sibling, near, frame.
        similarity: 0..1, 1 for the same bytes.
    """

    first: Item
    second: Item
    kind: TwinKind
    similarity: float

    @property
    def across(self) -> bool:
        """Whether they lie in two splits: a leak."""
        return self.first.split != self.second.split


@dataclass(frozen=True)
class CheckReport:
    """All that a check found.

    Attributes:
        findings: The worst first.
        twins: Pictures that show the same thing; enough pairs to connect each group, not every pair in it.
        pictures: How many pictures were looked at.
        counts: How many of them each split has.
        objects: int64 `(3, classes)`: boxes of each class in train, valid and test; in classification, pictures.
    """

    dataset: Dataset
    findings: tuple[Finding, ...]
    twins: tuple[Twin, ...]
    pictures: int
    counts: Mapping[Split, int]
    objects: np.ndarray

    @property
    def leaked(self) -> dict[Path, Path]:
        """Pictures of "valid" and "test" that a picture of an earlier split gives away, and that picture."""
        return {twin.second.image: twin.first.image for twin in self.twins if twin.across}

    @property
    def fixable(self) -> bool:
        """Whether `cv fix-dataset` can do something about problems or warnings."""
        return any(finding.fix and finding.severity != "note" for finding in self.findings)

    @property
    def sound(self) -> bool:
        """Whether there is neither a problem nor a warning."""
        return all(finding.severity == "note" for finding in self.findings)
