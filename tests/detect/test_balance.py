"""Pictures of rare classes come more often; classes that are few are named."""

from __future__ import annotations

import numpy as np

from lensmith.detect.balance import imbalance_line, repeats


def _pictures(*classes: list[int]) -> list[np.ndarray]:
    return [np.array(ids, np.int64) for ids in classes]


def test_a_picture_comes_as_often_as_its_rarest_class_asks_for() -> None:
    pictures = _pictures(*[[0]] * 64, *[[0, 1]] * 36, [2], [], [0, 2])
    times = repeats(pictures, seed=0)
    # Class 0 lies on 101 pictures, class 1 on 36, class 2 on 2; the median is 36, so class 2 asks for sqrt(18) = 4.2.
    assert set(times[:100]) == {1}
    assert set(times[[100, 102]]) <= {4, 5}
    assert times[101] == 1


def test_what_lies_behind_the_point_is_drawn_with_the_seed() -> None:
    pictures = _pictures(*[[0]] * 300, *[[1]] * 200, *[[2]] * 100)
    times = repeats(pictures, seed=3)
    assert (times == repeats(pictures, seed=3)).all()
    assert (times != repeats(pictures, seed=4)).any()
    assert abs(times[500:].mean() - np.sqrt(2)) < 0.15


def test_no_picture_comes_more_than_eight_times() -> None:
    assert repeats(_pictures(*[[0]] * 500, *[[1]] * 500, [2]), seed=0).max() == 8


def test_without_boxes_every_picture_comes_once() -> None:
    assert repeats(_pictures([], []), seed=0).tolist() == [1, 1]


def test_classes_with_a_tenth_of_the_boxes_are_named() -> None:
    line = imbalance_line(_pictures([0] * 700, [1] * 300, [2] * 11), {0: "b1", 1: "b2", 2: "b3"})
    assert line is not None
    assert "1 class has few training boxes (b3 11; b1 700)" in line
    assert "--balance resample" in line
    assert imbalance_line(_pictures([0] * 9, [1]), {0: "b1", 1: "b2"}) is None
    assert imbalance_line(_pictures([0] * 9), {0: "b1"}) is None
