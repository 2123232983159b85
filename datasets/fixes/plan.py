"""What will be done to each picture of a dataset, decided before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ...core.errors import DataError
from ...core.images import SUFFIXES_OF, inspect_image
from ..balance import count_objects
from ..check.finding import CheckReport
from ..check.twins import groups
from ..model import SPLITS, Boxes, Dataset
from .kinds import COPIES, LEFT_OUT, REDRAWN, RENAMED, WRITTEN_ANEW
from .log import Log, Plan
from .moves import plan_splits

_WHAT_IS_WRONG = "cv check-dataset says what is wrong with each picture and label"


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
    log = Log(dataset, advance)
    plan = Plan(items, count_objects(dataset, items, log.labels), [item.split for item in items], changes=log.changes)
    found: dict[str, tuple[Path, ...]] = {}
    for finding in report.findings:
        found[finding.kind] = (*found.get(finding.kind, ()), *finding.files)
    found.pop("label-unreadable", None)  # its files are label files
    number_of = {item.image: number for number, item in enumerate(items)}
    _plan_pictures(plan, log, {kind: found[kind] for kind in found if kind in kinds}, number_of)
    for image, kind in log.spoilt.items():
        if kind not in kinds:
            plan.unlabelled.add(image)
        elif plan.splits[number_of[image]] is not None:
            plan.splits[number_of[image]] = None
            log.add(image, kind, "left out: no row of its label file can be used, so nobody knows what is on it")
    if not plan.kept():
        raise DataError("Nothing usable is left of this dataset.", where=dataset.root, next_step=_WHAT_IS_WRONG)
    _plan_copies(plan, log, report, kinds)
    plan_splits(plan, log, report, kinds, seed)
    for kind, files in found.items():
        # Label rows were logged one by one; what a reader puts right by itself is known by its finding only.
        if kind in WRITTEN_ANEW and not any(change.kind == kind for change in log.changes):
            for path in files or (dataset.root,):
                log.add(path, kind, WRITTEN_ANEW[kind])
    return plan


def _plan_pictures(plan: Plan, log: Log, found: Mapping[str, Sequence[Path]], number_of: Mapping[Path, int]) -> None:
    for kind in sorted(found):
        numbers = [number_of[path] for path in found[kind] if path in number_of]
        for number in numbers:
            image = plan.items[number].image
            if kind in LEFT_OUT and plan.splits[number] is not None:
                plan.splits[number] = None
                log.add(image, kind, "left out")
            elif kind in REDRAWN:
                plan.redrawn.add(number)
            elif kind in RENAMED:
                plan.names[number] = image.stem + SUFFIXES_OF[inspect_image(image).format][0]
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


def _plan_copies(plan: Plan, log: Log, report: CheckReport, kinds: frozenset[str]) -> None:
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


def _keep_one(plan: Plan, log: Log, members: list[int]) -> None:
    items = plan.items
    classes = sorted({items[number].class_id for number in members}, key=str)
    if len(classes) > 1:
        names = ", ".join(items[number].image.as_posix() for number in members)
        plan.questions.append(f"The same picture lies in {len(classes)} classes; delete what is wrong: {names}")
        for class_id in classes:
            _keep_one(plan, log, [number for number in members if items[number].class_id == class_id])
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
