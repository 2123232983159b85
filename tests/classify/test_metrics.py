"""Figures of a classifier against numbers worked out by hand, and against scikit-learn."""

import json
import time

import numpy as np
import pytest

from lensmith.classify.curves import (
    average_precision,
    precision_recall_curve,
    reliability,
    roc_auc,
    roc_curve,
)
from lensmith.classify.metrics import score, share_of
from lensmith.predict.results import Skipped

NAMES = ("a", "b", "c")


def sure_of(predicted: list[int], classes: int = 3) -> np.ndarray:
    """Probabilities whose highest is the class given."""
    return np.eye(classes)[predicted] * 0.7 + 0.1


def drawn(n: int, classes: int, seed: int = 0, skill: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Random labels and the probabilities of a classifier that knows something."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) + skill * np.eye(classes)[labels]
    power = np.exp(logits)
    return labels, (power / power.sum(axis=1, keepdims=True)).astype(np.float32)


def test_figures_of_a_small_confusion() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    scores = score(labels, sure_of([0, 0, 0, 1, 1, 0, 1]), NAMES, "test")
    assert scores.confusion.tolist() == [[3, 1, 0], [1, 1, 0], [0, 1, 0]]
    assert scores.accuracy.value == pytest.approx(4 / 7)
    assert scores.balanced_accuracy.value == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    first, second, third = scores.classes
    assert first.precision is not None
    assert first.f1 is not None
    assert second.f1 is not None
    assert (first.precision.value, first.f1.value) == pytest.approx((3 / 4, 3 / 4))
    assert second.f1.value == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))
    assert third.precision is None, "nothing was called so"
    assert third.f1 is not None
    assert third.f1.value == 0


def test_a_class_without_pictures_is_said_and_does_not_count() -> None:
    with np.errstate(all="raise"):
        scores = score(np.array([0, 1] * 5), sure_of([0, 1] * 5), ("a", "b", "never seen"), "test")
    assert (scores.balanced_accuracy.value, scores.f1.value) == (1.0, 1.0)
    nobody = scores.classes[2]
    assert (nobody.precision, nobody.recall, nobody.f1, nobody.roc_auc, nobody.average_precision) == (None,) * 5
    said = " ".join(scores.remarks())
    assert "No test picture shows never seen" in said
    assert "Only 10 test pictures" in said
    assert json.loads(json.dumps(scores.as_record()))["classes"][2]["pictures"] == 0


def test_enough_pictures_need_no_remark() -> None:
    assert score(*drawn(300, 3), NAMES, "test").remarks() == []


def test_intervals_get_narrower_with_more_pictures_and_hold_the_value() -> None:
    small, large = score(*drawn(40, 3), NAMES, "test"), score(*drawn(4000, 3), NAMES, "test")
    for scores in (small, large):
        for value in (scores.accuracy, scores.balanced_accuracy, scores.f1, *[one.recall for one in scores.classes]):
            assert value is not None
            assert 0 <= value.low < value.value <= value.high <= 1
    for name in ("accuracy", "balanced_accuracy", "f1"):
        wide, narrow = getattr(small, name), getattr(large, name)
        assert wide.high - wide.low > 5 * (narrow.high - narrow.low)


def test_what_is_all_right_has_an_interval_too() -> None:
    labels = np.array([0] * 20 + [1] * 5)
    scores = score(labels, sure_of(labels.tolist(), 2), ("a", "b"), "test")
    rare = scores.classes[1].recall
    assert rare is not None
    assert rare.low < scores.balanced_accuracy.low < scores.accuracy.low < 0.9


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_agrees_with_scikit_learn(classes: int) -> None:
    from sklearn import metrics

    labels, probability = drawn(500, classes)
    probability = probability.round(2)  # so that some are equal
    scores = score(labels, probability, tuple(f"class {k}" for k in range(classes)), "test")
    predicted = probability.argmax(axis=1)
    assert scores.accuracy.value == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert scores.balanced_accuracy.value == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert scores.f1.value == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    for k, one in enumerate(scores.classes):
        mine, positive = probability[:, k], labels == k
        assert one.roc_auc == pytest.approx(metrics.roc_auc_score(positive, mine))
        assert one.average_precision == pytest.approx(metrics.average_precision_score(positive, mine))
        false_rate, true_rate, _ = metrics.roc_curve(positive, mine, drop_intermediate=False)
        assert np.allclose(roc_curve(mine, positive), (false_rate, true_rate))
        precision, recall, _ = metrics.precision_recall_curve(positive, mine)
        ours = precision_recall_curve(mine, positive)
        # Theirs falls, and ends with a point that no threshold gives.
        assert np.allclose(ours, (recall[-2::-1], precision[-2::-1]))


def test_curves_of_equal_probabilities() -> None:
    positive = np.array([True, False, False, False])
    assert roc_auc(np.full(4, 0.5), positive) == 0.5
    assert average_precision(np.full(4, 0.5), positive) == 0.25


def test_calibration_error_by_hand() -> None:
    # Two answers at 0.8 of which one is right, two at 0.6 of which both are: (2 * 0.3 + 2 * 0.4) / 4.
    probability = np.array([[0.8, 0.2], [0.8, 0.2], [0.6, 0.4], [0.6, 0.4]])
    found = reliability(probability, np.array([0, 1, 0, 0]))
    assert found.ece == pytest.approx(0.35)
    assert found.pictures.sum() == 4
    assert np.isnan(found.accuracy).sum() == 13
    assert reliability(np.array([[1.0, 0.0]]), np.array([0])).ece == 0
    limits = np.array([[0.5, 0.5], [0.75, 0.25], [0.75, 0.25], [1.0, 0.0]])
    assert reliability(limits, np.zeros(4, int), bins=4).pictures.tolist() == [0, 1, 2, 1], (
        "an upper limit belongs to it"
    )


def test_unknown_answers_are_counted_and_left_out_of_their_accuracy() -> None:
    labels = np.array([0, 0, 1, 1])
    answered = np.array([True, False, True, True])
    scores = score(labels, sure_of([0, 1, 1, 0], 2), ("a", "b"), "test", answered=answered)
    assert (scores.answered, scores.unknown) == (0.75, 0.25)
    assert scores.accuracy.value == 0.5
    assert scores.accuracy_answered is not None
    assert scores.accuracy_answered.value == pytest.approx(2 / 3)
    assert {"answered", "accuracy_answered"} <= set(scores.summary())
    nothing = score(labels, sure_of([0, 1, 1, 0], 2), ("a", "b"), "test", answered=np.zeros(4, bool))
    assert nothing.accuracy_answered is None
    assert share_of(np.zeros(0, bool)) is None


def test_the_record_is_json_and_names_what_was_skipped() -> None:
    scores = score(*drawn(50, 3), NAMES, "test", skipped=(Skipped("a.jpg", "cut off"),))
    record = json.loads(json.dumps(scores.as_record()))
    assert record["skipped"] == [{"path": "a.jpg", "reason": "cut off"}]
    assert set(record["accuracy"]) == {"value", "low", "high"}
    assert set(record["classes"][0]["recall"]) == {"value", "low", "high"}


def test_ten_thousand_pictures_of_many_classes_take_flat_time() -> None:
    """No timing promise: only that nothing here grows with pictures times classes squared."""
    labels, probability = drawn(10_000, 200, skill=4)
    started = time.process_time()
    scores = score(labels, probability, tuple(map(str, range(200))), "test")
    assert scores.pictures == 10_000
    print(f"scored in {time.process_time() - started:.2f} s")


def test_a_model_with_a_single_answer_is_said() -> None:
    labels = np.arange(40) % 2
    always = np.tile(np.array([[0.7, 0.3]], np.float32), (40, 1))
    assert "Every test picture was called 'cat'" in score(labels, always, ("cat", "dog"), "test").remarks()[0]
    assert not score(labels, np.eye(2, dtype=np.float32)[labels], ("cat", "dog"), "test").remarks()
