"""What will be done to each picture of a dataset, decided before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...core.images import inspect_image
from ..balance import count_objects
from ..check.finding import CheckReport
from ..check.twins import groups
from ..model import SPLITS, Boxes, Dataset, Item, LabelProblem, Split
from .kinds import (
    COPIES,
    LABELS_LOST,
    LEAKS,
    LEFT_OUT,
    REDRAWN,
    RENAMED,
    REPAIRED,
    SPLITS_MISSING,
    SPREAD,
    WRITTEN_ANEW,
)  # fmt: skip
from .splits import Moved, Shelf, close_leaks, fill_missing, spread_classes

SUFFIX_OF = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}


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
    """

    items: tuple[Item, ...]
    objects: np.ndarray
    splits: list[Split | None]
    names: dict[int, str] = field(default_factory=dict)
    redrawn: set[int] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)
    how: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def kept(self) -> list[int]:
        """The numbers of the pictures that the new dataset has."""
        return [number for number, split in enumerate(self.splits) if split is not None]


def make_plan(
    dataset: Dataset, report: CheckReport, kinds: frozenset[str], seed: int, advance: Callable[[float], None]
) -> Plan:
    """Decide what becomes of each picture.

    Args:
        dataset: The old dataset.
        report: What a check of it found.
        kinds: What to repair. What is put right by writing a dataset anew is put right in any case.
        seed: Decides between groups of pictures that are alike when splits change.
        advance: Called with 1 for each picture.
    """
    items = tuple(dataset.items())
    log = _Log(dataset, advance)
    plan = Plan(items, count_objects(dataset, items, log.labels), [item.split for item in items], changes=log.changes)
    found: dict[str, tuple[Path, ...]] = {}
    for finding in report.findings:
        found[finding.kind] = (*found.get(finding.kind, ()), *finding.files)
    found["label-unreadable"] = tuple(log.unreadable)
    number_of = {item.image: number for number, item in enumerate(items)}
    _plan_pictures(plan, log, {kind: found[kind] for kind in found if kind in kinds}, number_of)
    bound = groups(items, report.twins)
    _plan_copies(plan, log, report, kinds)
    _plan_splits(plan, log, report, kinds, bound, seed)
    for kind, files in found.items():
        # Label rows were logged one by one; what a reader puts right by itself is known by its finding only.
        if kind in WRITTEN_ANEW and not any(change.kind == kind for change in log.changes):
            for path in files or (dataset.root,):
                log.add(path, kind, WRITTEN_ANEW[kind])
    return plan


class _Log:
    """Collects changes."""

    def __init__(self, dataset: Dataset, advance: Callable[[float], None]) -> None:
        self.dataset = dataset
        self.advance = advance
        self.changes: list[Change] = []
        self.unreadable: set[Path] = set()

    def add(self, path: Path, kind: str, what: str, before: str = "", after: str = "") -> None:
        inside = path.is_relative_to(self.dataset.root)
        shown = path.relative_to(self.dataset.root).as_posix() if inside else path.as_posix()
        self.changes.append(Change(shown, kind, what, before, after))

    def labels(self, item: Item, _boxes: Boxes, problems: list[LabelProblem]) -> None:
        """The rows of one picture that a reader left out or mended."""
        self.advance(1)
        if any(problem.fault == "unreadable" for problem in problems):
            self.unreadable.add(item.image)
        rows: list[str] = []
        if problems and problems[0].file.suffix == ".txt" and any(problem.row for problem in problems):
            rows = problems[0].file.read_bytes().decode("utf-8", errors="replace").splitlines()
        for problem in problems:
            if f"label-{problem.fault}" not in WRITTEN_ANEW:
                continue
            before = rows[problem.row - 1].strip()[:200] if 0 < problem.row <= len(rows) else ""
            where = f"row {problem.row}: " if problem.row else ""
            self.add(problem.file, f"label-{problem.fault}", where + problem.reason, before)


def _plan_pictures(plan: Plan, log: _Log, found: Mapping[str, Sequence[Path]], number_of: Mapping[Path, int]) -> None:
    for kind in sorted(found):
        numbers = [number_of[path] for path in found[kind] if path in number_of]
        for number in numbers:
            image = plan.items[number].image
            if kind in LEFT_OUT | LABELS_LOST and plan.splits[number] is not None:
                plan.splits[number] = None
                log.add(image, kind, "left out")
            elif kind in REDRAWN:
                plan.redrawn.add(number)
            elif kind in RENAMED:
                plan.names[number] = image.stem + SUFFIX_OF[inspect_image(image).format]
                log.add(image, kind, "renamed after what it is", image.name, plan.names[number])
    redrawn = {kind: set(found[kind]) for kind in sorted(REDRAWN & found.keys())}
    for number in sorted(plan.redrawn):
        image = plan.items[number].image
        if plan.splits[number] is None:
            continue
        lossy = inspect_image(image).format in {"JPEG", "MPO"}
        plan.names[number] = image.stem + (".jpg" if lossy else ".png")
        for kind, images in redrawn.items():
            if image in images:
                what = f"written again as {'JPEG, quality 95' if lossy else 'PNG'}: 8-bit colours, upright, one frame"
                log.add(image, kind, what, image.name, plan.names[number])


def _plan_copies(plan: Plan, log: _Log, report: CheckReport, kinds: frozenset[str]) -> None:
    """Keep one of each set of copies: the best labelled, of those the one in the earliest split."""
    kept = plan.kept()
    if not kinds & COPIES:
        return
    usable = {plan.items[number].image: number for number in kept}
    twins = [
        twin for twin in report.twins
        if twin.kind == "copy" and twin.first.image in usable and twin.second.image in usable
    ]  # fmt: skip
    for group in groups([plan.items[number] for number in kept], twins):
        if len(group) < 2:
            continue
        members = [kept[place] for place in group]
        across = len({plan.items[number].split for number in members}) > 1
        for same in _sets_of_copies(plan, members, across, kinds):
            _keep_one(plan, log, same)


def _sets_of_copies(plan: Plan, members: list[int], across: bool, kinds: frozenset[str]) -> Iterator[list[int]]:
    """Those of which one is to be kept: all of them, or where only copies within a split are at stake those of each."""
    if across and "copy-across" in kinds:
        yield members
    elif "copy-within" in kinds:
        for split in SPLITS:
            inside = [number for number in members if plan.items[number].split == split]
            if len(inside) > 1:
                yield inside


def _keep_one(plan: Plan, log: _Log, members: list[int]) -> None:
    items = plan.items
    if len({items[number].class_id for number in members}) > 1:
        names = ", ".join(items[number].image.as_posix() for number in members)
        plan.questions.append(f"The same picture lies in two classes; delete the wrong one: {names}")
        return
    boxes = {number: log.dataset.boxes(items[number])[0] for number in members}
    best = max(members, key=lambda number: (len(boxes[number]), -number))  # numbers run from train to test
    for number in members:
        if number == best:
            continue
        across = items[number].split != items[best].split
        agree = _row_set(boxes[number]) == _row_set(boxes[best])
        what = "left out, a copy" if agree else "left out, a copy with fewer boxes or other ones"
        kept = items[best].image.relative_to(log.dataset.root).as_posix()
        log.add(items[number].image, "copy-across" if across else "copy-within", f"{what} of {kept}")
        plan.splits[number] = None


def _row_set(boxes: Boxes) -> set[tuple[float, ...]]:
    rows = zip(boxes.class_id.tolist(), boxes.cxcywh.tolist(), strict=True)
    return {(class_id, *(round(value, 4) for value in box)) for class_id, box in rows}


def _plan_splits(
    plan: Plan,
    log: _Log,
    report: CheckReport,
    kinds: frozenset[str],
    bound: Sequence[Sequence[int]],
    seed: int,
) -> None:
    """Close leaks, then fill missing splits."""
    kept = plan.kept()
    place = {number: index for index, number in enumerate(kept)}
    inner = [[place[number] for number in group if number in place] for group in bound]
    shelf = Shelf([plan.items[number] for number in kept], plan.objects[kept], [g for g in inner if g], seed)
    blame = {
        image: f"{twin.kind}-across"
        for twin in reversed(report.twins)
        if twin.across and f"{twin.kind}-across" in kinds & LEAKS
        for image in (twin.first.image, twin.second.image)
    }
    leaking = [
        len({shelf.items[index].split for index in group}) > 1
        and any(shelf.items[index].image in blame for index in group)
        for group in shelf.bound
    ]
    moved = close_leaks(shelf, leaking, [sum(item.split == split for item in plan.items) for split in SPLITS])
    _move(plan, log, kept, moved, lambda image: blame.get(image) or next(iter(blame.values())))
    missing = next((finding.kind for finding in report.findings if finding.kind in kinds & SPLITS_MISSING), None)
    if missing:
        moved = fill_missing(shelf, moved.splits, test_too="split-missing" in kinds and len(kinds) < len(REPAIRED))
        _move(plan, log, kept, moved, lambda _image: missing)
    if kinds & SPREAD:
        _move(plan, log, kept, spread_classes(shelf, moved.splits), lambda _image: "class-absent")


def _move(plan: Plan, log: _Log, kept: Sequence[int], moved: Moved, kind_of: Callable[[Path], str]) -> None:
    if moved.how:
        plan.how.append(moved.how)
    for number, split in zip(kept, moved.splits, strict=True):
        image, old = plan.items[number].image, plan.splits[number]
        if split != old:
            log.add(image, kind_of(image), "moved to another split", str(old), split)
            plan.splits[number] = split
