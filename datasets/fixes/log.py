"""What will be done to a dataset, and the log of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..model import Boxes, Dataset, Item, LabelProblem, Split, spoilt


@dataclass(frozen=True)
class Change:
    """One thing that is done differently in the new dataset.

    Attributes:
        file: The file of the old dataset, below its folder, with forward slashes.
        kind: The kind of finding that it repairs.
        what: What is done, for a person.
        before, after: What stood there and what stands there now: a file name, a split, the row of a label file.
    """

    file: str
    kind: str
    what: str
    before: str = ""
    after: str = ""


@dataclass
class Plan:
    """All that will be done.

    Attributes:
        items: Every picture of the old dataset.
        objects: int64 `(items, classes + 1)`, see `balance.count_objects`.
        splits: Of each picture in the new dataset; None for those left out.
        names: New file names by the number of the picture.
        redrawn: Pictures that are written again as plain ones.
        changes: The log.
        how: How pictures moved between splits and why, for a person.
        questions: What was found and left to a person.
        unlabelled: Pictures of which nothing is known, because no row of their label file can be used.
    """

    items: tuple[Item, ...]
    objects: np.ndarray
    splits: list[Split | None]
    names: dict[int, str] = field(default_factory=dict)
    redrawn: set[int] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)
    how: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    unlabelled: set[Path] = field(default_factory=set)

    def kept(self) -> list[int]:
        """The numbers of the pictures that the new dataset has."""
        return [number for number, split in enumerate(self.splits) if split is not None]


class Log:
    """Collects changes while a plan is made.

    Attributes:
        changes: What was collected.
        spoilt: Pictures whose label file has no row that can be used, and the kind of finding that says why.
    """

    def __init__(self, dataset: Dataset, advance: Callable[[float], None]) -> None:
        self.dataset = dataset
        self.advance = advance
        self.changes: list[Change] = []
        self.spoilt: dict[Path, str] = {}

    def add(self, path: Path, kind: str, what: str, before: str = "", after: str = "") -> None:
        """Take in a change of the file at `path`."""
        inside = path.is_relative_to(self.dataset.root)
        shown = path.relative_to(self.dataset.root).as_posix() if inside else path.as_posix()
        self.changes.append(Change(shown, kind, what, before, after))

    def labels(self, item: Item, boxes: Boxes, problems: list[LabelProblem]) -> None:
        """The rows of one picture that a reader left out or mended."""
        self.advance(1)
        if spoilt(boxes, problems):
            self.spoilt[item.image] = f"label-{next(problem.fault for problem in problems if problem.left_out)}"
        rows: list[str] = []
        if problems and problems[0].file.suffix == ".txt" and any(problem.row for problem in problems):
            rows = problems[0].file.read_bytes().decode("utf-8", errors="replace").splitlines()
        for problem in problems:
            if problem.fault == "size-differs":  # nothing that writing anew would mend
                continue
            before = rows[problem.row - 1].strip()[:200] if 0 < problem.row <= len(rows) else ""
            where = f"row {problem.row}: " if problem.row else ""
            self.add(problem.file, f"label-{problem.fault}", where + problem.reason, before)
