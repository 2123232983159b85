"""Which pictures move to another split, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...core.words import many
from ..check.finding import CheckReport, Twin
from ..check.twins import groups
from ..model import SPLITS
from .kinds import LEAKS, REPAIRED, SPLITS_MISSING, SPREAD
from .log import Log, Plan
from .splits import Moved, Shelf, close_leaks, fill_missing, spread_classes

_STRONG = 0.97
"""From this similarity on there is no doubt that two pictures show the same."""
_MOST_UNLABELLED = 0.2
"""With more pictures than this without a label, a class is missing because its labels are."""


def plan_splits(plan: Plan, log: Log, report: CheckReport, kinds: frozenset[str], seed: int) -> None:
    """Close leaks, fill missing splits, and spread classes over the splits.

    Where alike pictures hang together so much that nothing would be left to train or to validate on, only those count
    of which there is no doubt, then only copies and what an augmentation made; when even that is too much, nothing
    moves.
    """
    kept = plan.kept()
    missing = next((found.kind for found in report.findings if found.kind in kinds & SPLITS_MISSING), None)
    test_too = "split-missing" in kinds and len(kinds) < len(REPAIRED)
    blame = {
        image: f"{twin.kind}-across"
        for twin in reversed(report.twins)
        if twin.across and f"{twin.kind}-across" in kinds & LEAKS
        for image in (twin.first.image, twin.second.image)
    }
    before = {plan.items[number].split for number in kept}
    needed = {"train", "valid"} if missing else {"train", "valid"} & before
    for twins, doubt in _evidence(report.twins):
        shelf = _shelf(plan, kept, twins, seed)
        closed = _close(plan, shelf, blame)
        filled = fill_missing(shelf, closed.splits, test_too=test_too) if missing else Moved(closed.splits)
        if needed <= set(filled.splits):
            _move(plan, log, kept, closed, lambda image: blame.get(image) or next(iter(blame.values())))
            if doubt and (closed.how or filled.how):
                plan.how.append(doubt)
            if missing:
                _move(plan, log, kept, filled, lambda _image: missing)
            if kinds & SPREAD and not _labels_lost(report):
                _move(plan, log, kept, spread_classes(shelf, filled.splits), lambda _image: "class-absent")
            return
    alike = many(len(_shelf(plan, kept, report.twins, seed).bound), "group")
    plan.how.append(
        f"The pictures are so alike or so few ({alike} that differ) that no split without leaks is possible, so none"
        " moved. Add pictures of other scenes."
    )


def _evidence(twins: Sequence[Twin]) -> Iterator[tuple[Sequence[Twin], str]]:
    """Pairs of alike pictures: all, then only the surer ones; and what is to be said about those left out."""
    yield twins, ""
    strong = [twin for twin in twins if twin.kind in {"copy", "sibling"} or twin.similarity >= _STRONG]
    yield strong, "So many pictures are alike that only those which are nearly the same were taken for the same."
    certain = [twin for twin in twins if twin.kind in {"copy", "sibling"}]
    yield certain, "So many pictures are alike that only copies and siblings were kept together."


def _shelf(plan: Plan, kept: Sequence[int], twins: Sequence[Twin], seed: int) -> Shelf:
    place = {number: index for index, number in enumerate(kept)}
    bound = [[place[number] for number in group if number in place] for group in groups(plan.items, twins)]
    items = [plan.items[number] for number in kept]
    return Shelf(items, plan.objects[list(kept)], [group for group in bound if group], seed)


def _close(plan: Plan, shelf: Shelf, blame: dict[Path, str]) -> Moved:
    leaking = [
        len({shelf.items[index].split for index in group}) > 1
        and any(shelf.items[index].image in blame for index in group)
        for group in shelf.bound
    ]
    return close_leaks(shelf, leaking, [sum(item.split == split for item in plan.items) for split in SPLITS])


def _labels_lost(report: CheckReport) -> bool:
    without = sum(found.count for found in report.findings if found.kind == "picture-without-label")
    return without > _MOST_UNLABELLED * report.pictures


def _move(plan: Plan, log: Log, kept: Sequence[int], moved: Moved, kind_of: Callable[[Path], str]) -> None:
    if moved.how:
        plan.how.append(moved.how)
    for number, split in zip(kept, moved.splits, strict=True):
        image, old = plan.items[number].image, plan.splits[number]
        if split != old:
            log.add(image, kind_of(image), "moved to another split", str(old), split)
            plan.splits[number] = split
