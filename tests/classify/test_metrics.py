"""Figures of a classifier against numbers worked out by hand."""

import json

import numpy as np
import pytest

from lensmith.classify.metrics import score


def test_figures_of_a_small_confusion() -> None:
    truth = np.array([0, 0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 0, 1, 1, 0, 1])
    scores = score(truth, predicted, ("a", "b", "c"), "test")
    assert scores.confusion.tolist() == [[3, 1, 0], [1, 1, 0], [0, 1, 0]]
    assert scores.accuracy == pytest.approx(4 / 7)
    assert scores.balanced_accuracy == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert [c.precision for c in scores.classes] == pytest.approx([3 / 4, 1 / 3, 0])
    assert scores.classes[0].f1 == pytest.approx(3 / 4)
    assert scores.classes[1].f1 == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))


def test_a_class_without_pictures_does_not_count() -> None:
    scores = score(np.array([0, 1]), np.array([0, 1]), ("a", "b", "never seen"), "test")
    assert (scores.balanced_accuracy, scores.f1) == (1.0, 1.0)
    assert json.loads(json.dumps(scores.as_record()))["classes"][2]["pictures"] == 0
