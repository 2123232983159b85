"""Intervals: what they cover, and what is said where nothing varies."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith.report.bootstrap import difference, draw_counts, figure, wilson


def test_draws_keep_the_sum_and_come_again() -> None:
    counts = np.array([3, 0, 7])
    first = np.concatenate(list(draw_counts(counts, seed=4)))
    assert first.shape == (1000, 3)
    assert (first.sum(axis=1) == 10).all()
    assert not first[:, 1].any()
    assert np.array_equal(first, np.concatenate(list(draw_counts(counts, seed=4))))
    assert not np.array_equal(first, np.concatenate(list(draw_counts(counts, seed=5))))


def test_an_interval_is_that_of_drawing_the_pictures_themselves() -> None:
    """The multinomial shortcut against the bootstrap as the book writes it."""
    right = np.arange(80) < 62
    drawn = np.concatenate([rows[:, 1] / 80 for rows in draw_counts(np.array([18, 62]))])
    rng = np.random.default_rng(1)
    plain = right[rng.integers(0, 80, (4000, 80))].mean(axis=1)
    mine = figure(right.mean(), drawn, 80)
    assert (mine.low, mine.high) == pytest.approx(np.percentile(plain, (2.5, 97.5)), abs=0.015)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(300):
        right = rng.random(60) < 0.8
        counts = np.array([60 - right.sum(), right.sum()])
        low, high = figure(right.mean(), np.concatenate([r[:, 1] / 60 for r in draw_counts(counts, seed)]), 60)[1:]
        held += low <= 0.8 <= high
    assert 0.9 <= held / 300 <= 0.985


def test_all_right_is_not_certain() -> None:
    all_right = figure(1.0, np.ones(1000), 30)
    assert (all_right.value, all_right.high) == (1.0, 1.0)
    assert all_right.low == pytest.approx(0.886, abs=0.001)  # 30 of 30, from tables of the Wilson interval
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=0.001)
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=0.001)


def test_a_difference_is_drawn_in_pairs() -> None:
    """Two models that agree on nearly all pictures differ by little, however hard the pictures are."""
    hard = np.random.default_rng(0).random(400) < 0.5
    better = hard.copy()
    better[np.flatnonzero(~hard)[:12]] = True
    gain = difference(hard, better)
    assert gain.value == pytest.approx(12 / 400)
    assert 0 < gain.low < gain.value < gain.high < 0.06
    worse = difference(better, hard)
    assert worse.value == -gain.value
    assert difference(hard, hard) == (0, 0, 0)
