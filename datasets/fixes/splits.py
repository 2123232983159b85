"""Splits that share nothing: who moves where when pictures that show the same thing lie in two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.words import many
from ..model import SPLITS, Item, Split
from ..stratify import share_out

_NEAR = 0.2
"""A split whose size differs from its share of the pictures by a larger part than this has not kept its size."""


@dataclass(frozen=True)
class Moved:
    """The splits after a repair.

    Attributes:
        splits: Of each picture.
        how: What was done and why, for a person; empty when nothing had to move.
    """

    splits: tuple[Split, ...]
    how: str = ""


@dataclass(frozen=True)
class Shelf:
    """The pictures that stay in a dataset, and which of them belong together.

    Attributes:
        items: The pictures.
        objects: int64 `(items, classes + 1)`, see `balance.count_objects`.
        bound: Groups of indices into `items` that show the same thing; each picture is in one.
        seed: See `stratify.assign`.
    """

    items: Sequence[Item]
    objects: np.ndarray
    bound: Sequence[Sequence[int]]
    seed: int


def close_leaks(shelf: Shelf, leaking: Sequence[bool], shares: Sequence[float]) -> Moved:
    """Put each leaking group into one split, so that every split keeps its size and its classes.

    Three ways, the first that leaves each split its share of the pictures, up to a fifth, and every class that it has:
    each leaking group goes where most of it is already (to the earlier split on a tie), which moves the fewest
    pictures; only the leaking groups are shared out anew; all groups are. When none does, the one that comes closest.

    Args:
        shelf: The pictures.
        leaking: Of each group, whether it has to go into one split.
        shares: Of train, valid and test in the pictures before; they need not add up to 1.
    """
    if not any(leaking):
        return Moved(tuple(item.split for item in shelf.items))
    before = np.array([SPLITS.index(item.split) for item in shelf.items], np.int64)
    free = np.zeros(len(shelf.items), bool)
    for group, leaks in zip(shelf.bound, leaking, strict=True):
        free[group] = leaks
    ways: tuple[tuple[str, Callable[[], np.ndarray]], ...] = (
        (
            "Each group of alike pictures went into the split that had most of it; nothing else moved.",
            lambda: _to_majority(shelf, before, leaking),
        ),
        (
            "The groups of alike pictures that lay in two splits were shared out by class; nothing else moved. (Had"
            " each gone where most of it was, a split would have lost a class or changed its size by a fifth.)",
            lambda: _share_anew(shelf, np.where(free, -1, before), before, shares),
        ),
        (
            "All pictures were split anew by class, alike ones together: so many lay in two splits that nothing less"
            " leaves every split its size and its classes.",
            lambda: _share_anew(shelf, np.full(len(before), -1, np.int64), before, shares),
        ),
    )
    tried: list[tuple[float, np.ndarray, str]] = []
    for how, way in ways:
        after = way()
        tried.append((_harm(shelf.objects, before, after, shares), after, how))
        if tried[-1][0] == 0:
            break
    harm, after, how = min(tried, key=lambda trial: trial[0])
    if harm:
        how += f" Even so, {_what_is_off(shelf, before, after, shares)}. More pictures of other scenes would help most."
    return Moved(tuple(SPLITS[number] for number in after.tolist()), how)


def fill_missing(shelf: Shelf, splits: Sequence[Split], *, test_too: bool) -> Moved:
    """Take pictures for the splits that are missing out of those that are there.

    Without "train", or with nothing but "train", all pictures are split 70/20/10; without "valid" a fifth of "train"
    becomes it.

    Args:
        shelf: The pictures.
        splits: Where each is now.
        test_too: Also make a "test", of a tenth of all pictures out of "train", when that alone is missing. It is no
            mistake to have none, so a person has to ask for it.
    """
    there = set(splits)
    if "train" not in there or there == {"train"}:
        pool, parts, ratios = SPLITS, SPLITS, (70.0, 20.0, 10.0)
        how = "All pictures were split 70/20/10 by class, alike ones together."
    elif "valid" not in there:
        pool, parts, ratios = ("train",), ("train", "valid"), (80.0, 20.0)
        how = "There was no 'valid' split: it got a fifth of 'train', by class, alike pictures together."
    elif "test" not in there and test_too:
        tenth = len(splits) / 10
        pool, parts, ratios = ("train",), ("train", "test"), (splits.count("train") - tenth, tenth)
        how = "There was no 'test' split: it got a tenth of the pictures out of 'train', by class, alike ones together."
    else:
        return Moved(tuple(splits))
    kept = [number for number, split in enumerate(splits) if split in pool]
    place = {number: index for index, number in enumerate(kept)}
    groups = [[place[number] for number in group if number in place] for group in shelf.bound]
    items = [shelf.items[number] for number in kept]
    chosen = share_out(items, shelf.objects[kept], [group for group in groups if group], ratios, shelf.seed)
    new: list[Split] = list(splits)
    for number, part in zip(kept, chosen.tolist(), strict=True):
        new[number] = parts[part]
    return Moved(tuple(new), how)


def spread_classes(shelf: Shelf, splits: Sequence[Split]) -> Moved:
    """Bring each class into the splits that lack it, where there are enough groups of pictures for that.

    A split that lacks a class gets its share of the groups that have it, small ones first, from the splits that have
    most of them; none gives its last group of any class away.
    """
    where = np.array([SPLITS.index(splits[group[0]]) for group in shelf.bound], np.int64)
    has = np.array([(shelf.objects[group, :-1] > 0).any(axis=0) for group in shelf.bound], bool)
    sizes = np.array([len(group) for group in shelf.bound], np.int64)
    there = sorted({int(number) for number in where})
    share = {number: float(sizes[where == number].sum() / sizes.sum()) for number in there}
    filled: list[str] = []
    for class_id in np.argsort(has.sum(axis=0), kind="stable").tolist():
        total = int(has[:, class_id].sum())
        lacking = [number for number in there if total and not has[where == number, class_id].any()]
        if total < len(there):
            continue
        for number in lacking:
            wanted = max(1, round(share[number] * total))
            if _fetch(where, has, sizes, class_id, number, wanted):
                filled.append(SPLITS[number])
    new: list[Split] = list(splits)
    for group, number in zip(shelf.bound, where.tolist(), strict=True):
        for index in group:
            new[index] = SPLITS[number]
    named = " and ".join(f"'{split}'" for split in dict.fromkeys(filled))
    how = f"Pictures moved to {named} to have classes there that were missing." if filled else ""
    return Moved(tuple(new) if filled else tuple(splits), how)


def _fetch(where: np.ndarray, has: np.ndarray, sizes: np.ndarray, class_id: int, target: int, wanted: int) -> int:
    """Move up to `wanted` groups with a class to a split, changing `where`; return how many moved."""
    left = {number: has[where == number].sum(axis=0) for number in range(len(SPLITS))}
    having = np.flatnonzero(has[:, class_id])
    moved = 0
    for group in having[np.argsort(sizes[having], kind="stable")].tolist():
        home = int(where[group])
        if moved == wanted:
            break
        if home != target and (left[home][has[group]] > 1).all():
            left[home] -= has[group]
            where[group] = target
            moved += 1
    return moved


def _to_majority(shelf: Shelf, before: np.ndarray, leaking: Sequence[bool]) -> np.ndarray:
    after = before.copy()
    for group, leaks in zip(shelf.bound, leaking, strict=True):
        if leaks:
            after[group] = np.bincount(before[group]).argmax()
    return after


def _share_anew(shelf: Shelf, fixed: np.ndarray, before: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Each split gets as many objects of each class as it had: training must not pay for a true score."""
    there = np.flatnonzero(np.array(shares) > 0)
    place_of = np.full(len(SPLITS) + 1, -1, np.int64)  # the last one is where -1 points
    place_of[there] = np.arange(len(there))
    ratios = [shares[number] for number in there.tolist()]
    had = np.array([shelf.objects[before == number].sum(axis=0) for number in there.tolist()])
    parts = share_out(shelf.items, shelf.objects, shelf.bound, ratios, shelf.seed, fixed=place_of[fixed], wanted=had)
    return there[parts]


def _harm(objects: np.ndarray, before: np.ndarray, after: np.ndarray, shares: Sequence[float]) -> float:
    """What a move does to the splits: 0 when each keeps its size, nearly, and its classes."""
    harm = 0.0
    for number, share in enumerate(shares):
        harm += _off_size(int((after == number).sum()), share / sum(shares) * len(after))
        had, has = (objects[places == number].sum(axis=0) > 0 for places in (before, after))
        harm += float((had & ~has).sum())
    return harm


def _off_size(pictures: int, share: float) -> float:
    """By how much of its share a split has become too large or too small; one picture too many does no harm."""
    if not share or share < pictures <= share + 1:
        return 0.0
    return max(abs(pictures / share - 1) - _NEAR, 0.0)


def _what_is_off(shelf: Shelf, before: np.ndarray, after: np.ndarray, shares: Sequence[float]) -> str:
    """Which splits have not kept their size or their classes, and what stands in the way."""
    said: list[str] = []
    for number, share in enumerate(shares):
        pictures, wanted = int((after == number).sum()), share / sum(shares) * len(after)
        if _off_size(pictures, wanted):
            said.append(f"'{SPLITS[number]}' has {pictures} pictures where {wanted:.0f} would be its share")
        had, has = (shelf.objects[places == number, :-1].sum(axis=0) > 0 for places in (before, after))
        if lost := int((had & ~has).sum()):
            said.append(f"'{SPLITS[number]}' lost {many(lost, 'class', 'classes')}")
    sizes = sorted(map(len, shelf.bound), reverse=True)
    why = f"pictures that show the same thing must not be parted, and there are only {len(sizes)} that differ"
    if sizes[0] > min(share for share in shares if share) / sum(shares) * len(after):
        largest = " and ".join(map(str, sizes[:2]))
        why = f"pictures that show the same thing must not be parted, and the largest groups have {largest} of them"
    return f"{' and '.join(said) or 'pictures without objects are spread unevenly'}: {why}"
