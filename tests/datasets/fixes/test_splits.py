"""Moving pictures between splits: nothing leaks afterwards, what need not move stays, splits keep their sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith.datasets.fixes.splits import Shelf, close_leaks, fill_missing, spread_classes
from lensmith.datasets.model import SPLITS, Item, Split


@st.composite
def shelves(draw: st.DrawFn) -> tuple[Shelf, list[bool], list[int]]:
    """Pictures in random splits and groups; which groups leak, and the sizes of the splits."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    number = draw(st.integers(3, 120))
    splits: list[Split] = ["train", "valid", "test"]
    splits += rng.choice(SPLITS, number - 3, p=(0.7, 0.2, 0.1)).tolist()
    items = [Item(Path(f"/data/{index:03d}.jpg"), split) for index, split in enumerate(splits)]
    owner = rng.integers(0, draw(st.integers(1, number)), number)
    bound = [np.flatnonzero(owner == group).tolist() for group in np.unique(owner)]
    leaking = [len({splits[index] for index in group}) > 1 for group in bound]
    objects = rng.poisson(rng.random(4), (number, 4))
    return Shelf(items, objects, bound, 0), leaking, [splits.count(split) for split in SPLITS]


@settings(deadline=None, max_examples=150)
@given(shelves())
def test_after_closing_leaks_no_group_lies_in_two_splits(given_shelf: tuple[Shelf, list[bool], list[int]]) -> None:
    shelf, leaking, sizes = given_shelf
    moved = close_leaks(shelf, leaking, sizes)
    before = [item.split for item in shelf.items]
    for group in shelf.bound:
        assert len({moved.splits[index] for index in group}) == 1
    assert bool(moved.how) == any(leaking)
    if "All pictures" not in moved.how:
        for group, leaks in zip(shelf.bound, leaking, strict=True):
            if not leaks:
                assert all(moved.splits[index] == before[index] for index in group)
    if moved.how and "Even so" not in moved.how:
        for split, size in zip(SPLITS, sizes, strict=True):
            assert 0.8 * size <= moved.splits.count(split) <= max(1.2 * size, size + 1)
    assert close_leaks(shelf, leaking, sizes) == moved


def test_sizes_that_cannot_be_kept_are_said_with_what_stands_in_the_way() -> None:
    groups = [50, 40, *[1] * 10]
    ends = np.cumsum(groups)
    bound = [list(range(end - size, end)) for end, size in zip(ends.tolist(), groups, strict=True)]
    splits: list[Split] = ["train"] * 70 + ["valid"] * 20 + ["test"] * 10
    splits[0], splits[50] = "valid", "test"
    items = [Item(Path(f"/data/{index:03d}.jpg"), split) for index, split in enumerate(splits)]
    leaking = [len({splits[index] for index in group}) > 1 for group in bound]
    shelf = Shelf(items, np.tile([1, 0], (100, 1)), bound, 0)
    moved = close_leaks(shelf, leaking, [splits.count(split) for split in SPLITS])
    assert "would be its share" in moved.how
    assert "the largest groups have 50 and 40" in moved.how


def test_many_rare_classes_do_not_blow_a_split_up() -> None:
    rng = np.random.default_rng(0)
    counts = np.zeros((400, 120), np.int64)
    for class_id in range(120):
        counts[rng.choice(400, 4, replace=False), class_id] = 1
    objects = np.hstack([counts, np.zeros((400, 1), np.int64)])
    splits: list[Split] = rng.choice(SPLITS, 400, p=(0.7, 0.2, 0.1)).tolist()
    items = [Item(Path(f"/data/{index:03d}.jpg"), split) for index, split in enumerate(splits)]
    bound = [[index, index + 200] for index in range(200)]
    leaking = [splits[first] != splits[second] for first, second in bound]
    sizes = [splits.count(split) for split in SPLITS]
    moved = close_leaks(Shelf(items, objects, bound, 0), leaking, sizes)
    for split, size in zip(SPLITS, sizes, strict=True):
        assert 0.8 * size <= moved.splits.count(split) <= 1.2 * size + 2


def test_a_split_that_had_more_than_its_share_of_the_objects_keeps_them() -> None:
    rng = np.random.default_rng(0)
    splits: list[Split] = ["train"] * 140 + ["valid"] * 40 + ["test"] * 20
    objects = rng.poisson(np.repeat([12.0, 3.0, 12.0], (140, 40, 20))[:, None], (200, 2))
    items = [Item(Path(f"/data/{index:03d}.jpg"), split) for index, split in enumerate(splits)]
    order = rng.permutation(200)
    bound = [order[start : start + 2].tolist() for start in range(0, 80, 2)] + [[int(index)] for index in order[80:]]
    leaking = [len({splits[index] for index in group}) > 1 for group in bound]
    moved = close_leaks(Shelf(items, objects, bound, 0), leaking, [splits.count(split) for split in SPLITS])
    had, has = (objects[[one == "train" for one in where]].sum() for where in (splits, moved.splits))
    assert has > 0.955 * had, f"training loses {had - has} of its {had} objects"


@settings(deadline=None, max_examples=100)
@given(shelves())
def test_spreading_classes_takes_none_away(given_shelf: tuple[Shelf, list[bool], list[int]]) -> None:
    shelf, leaking, sizes = given_shelf
    splits = close_leaks(shelf, leaking, sizes).splits
    after = spread_classes(shelf, splits).splits
    had, has = _classes(shelf, splits), _classes(shelf, after)
    for split in SPLITS:
        assert had[split] <= has[split] or not splits.count(split)
    for group in shelf.bound:
        assert len({after[index] for index in group}) == 1


def _classes(shelf: Shelf, splits: tuple[Split, ...]) -> dict[Split, set[int]]:
    where = np.array(splits)
    return {split: set(np.flatnonzero(shelf.objects[where == split, :-1].sum(axis=0)).tolist()) for split in SPLITS}


@settings(deadline=None, max_examples=100)
@given(shelves(), st.sampled_from([("train",), ("valid",), ("test",), ("train", "test"), ("train", "valid")]))
def test_missing_splits_are_filled_whole_groups_at_a_time(
    given_shelf: tuple[Shelf, list[bool], list[int]], there: tuple[Split, ...]
) -> None:
    shelf, _, _ = given_shelf
    splits: list[Split] = ["train"] * len(shelf.items)
    for number, group in enumerate(shelf.bound):
        for index in group:
            splits[index] = there[number % len(there)]
    filled = fill_missing(shelf, splits, test_too=True).splits
    for group in shelf.bound:
        assert len({filled[index] for index in group}) == 1
    if "train" in there:
        assert all(new == old for new, old in zip(filled, splits, strict=True) if old not in {"train"})
    if len(shelf.bound) >= 30 and there != ("valid",) and max(map(len, shelf.bound)) == 1:
        assert set(filled) == set(SPLITS)
