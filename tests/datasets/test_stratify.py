"""Groups are shared out whole, by size and by class, the same way every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith.datasets.model import Item
from lensmith.datasets.stratify import assign, share_out

RATIOS = (70, 20, 10)


@st.composite
def _groups(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Multi-label groups of any size: objects per class, and pictures."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    number, classes = draw(st.integers(1, 60)), draw(st.integers(0, 6))
    sizes = rng.integers(1, draw(st.integers(2, 12)), number)
    return rng.poisson(draw(st.floats(0.01, 3)) * rng.random(classes) * sizes[:, None]), sizes


@settings(deadline=None, max_examples=150)
@given(_groups(), st.sampled_from([RATIOS, (0.8, 0.2), (1,) * 5]), st.integers(0, 5))
def test_every_group_gets_a_place_and_no_split_grows_far_beyond_its_share(
    groups: tuple[np.ndarray, np.ndarray], ratios: tuple[float, ...], seed: int
) -> None:
    counts, sizes = groups
    places = assign(counts, sizes, ratios, seed)
    assert places.shape == sizes.shape
    assert places.dtype == np.int64
    assert set(places.tolist()) <= set(range(len(ratios)))
    assert (assign(counts, sizes, ratios, seed) == places).all()
    for split, ratio in enumerate(ratios):
        share = ratio / sum(ratios) * sizes.sum()
        assert sizes[places == split].sum() < 1.2 * share + sizes.max() + 1e-6


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 9))
def test_with_classes_that_are_not_rare_sizes_and_classes_are_within_one_group_of_their_share(
    seed: int, classes: int, largest: int
) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, largest + 1, 60 * classes)
    counts = np.eye(classes, dtype=np.int64)[np.arange(60 * classes) % classes] * sizes[:, None]
    places = assign(counts, sizes, RATIOS, seed)
    for split, ratio in enumerate(RATIOS):
        share = ratio / 100
        assert sizes[places == split].sum() < share * sizes.sum() + largest
        of_class = counts[places == split].sum(axis=0)
        assert (np.abs(of_class - share * counts.sum(axis=0)) <= largest).all()


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (1, {0}),
        (2, {0, 1}),
        (3, {0, 1, 2}),
        (5, {0, 1, 2}),
    ],
)
def test_a_rare_class_is_in_as_many_splits_as_it_can_be_train_first(groups: int, expected: set[int]) -> None:
    counts = np.zeros((200, 2), np.int64)
    counts[:, 0] = 3
    counts[:groups, 1] = 1
    for seed in range(10):
        places = assign(counts, np.ones(200, np.int64), RATIOS, seed)
        assert set(places[:groups].tolist()) == expected


def test_a_split_that_was_left_without_a_class_gets_a_group_of_it() -> None:
    # Whoever shares out class by class gives the last class to two splits only.
    counts = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1], [0, 1, 1]])
    places = assign(counts, np.ones(5, np.int64), (1, 1, 1), 0)
    for split in range(3):
        assert (counts[places == split].sum(axis=0) > 0).all()


def test_pictures_without_objects_are_shared_out_too() -> None:
    counts = np.zeros((100, 2), np.int64)
    counts[:40, 0] = 5
    counts[40:, 1] = 1  # the column for pictures without objects
    places = assign(counts, np.ones(100, np.int64), RATIOS, 0)
    assert [int((places[40:] == split).sum()) for split in range(3)] == [42, 12, 6]


def test_groups_that_are_fixed_stay_and_the_rest_levels_out() -> None:
    counts = np.ones((40, 1), np.int64)
    fixed = np.array([0] * 20 + [-1] * 20)
    places = assign(counts, np.ones(40, np.int64), (50, 25, 25), 3, fixed=fixed)
    assert (places[:20] == 0).all()
    assert np.bincount(places).tolist() == [20, 10, 10]


def test_large_groups_do_not_all_end_in_the_largest_split() -> None:
    sizes = np.array([10] * 30 + [1] * 300)
    places = assign(sizes[:, None], sizes, RATIOS, 0)
    assert [int((places[:30] == split).sum()) for split in range(3)] == [21, 6, 3]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32))
def test_no_group_is_cut_and_the_order_of_pictures_makes_no_difference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = [Item(Path(f"/data/{number:03d}.jpg"), "train") for number in range(80)]
    objects = rng.integers(0, 4, (80, 3))
    owner = rng.integers(0, 40, 80)
    parts = share_out(items, objects, _bound(owner), RATIOS, seed)
    for group in _bound(owner):
        assert len(set(parts[group].tolist())) == 1
    order = rng.permutation(80)
    shuffled = share_out([items[i] for i in order], objects[order], _bound(owner[order]), RATIOS, seed)
    assert (shuffled == parts[order]).all()


def _bound(owner: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(owner == number).tolist() for number in np.unique(owner)]
