"""Temperature and thresholds: known answers, odd cases, and what is said."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from lensmith.classify.calibrate import (
    HIGHEST,
    about_temperature,
    choose_thresholds,
    fit_temperature,
    shortfalls,
)
from lensmith.classify.curves import reliability
from lensmith.core.errors import UsageError
from lensmith.predict.decode import apply_temperature
from lensmith.report.target import parse_target


def answers(n: int, factor: float, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities with their labels, made over-sure by multiplying the logits by the factor."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * 1.5
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(classes, p=row) for row in honest])
    return apply_temperature(honest, 1 / factor), labels


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_finds_the_temperature_that_was_put_in(factor: float) -> None:
    probability, labels = answers(4000, factor)
    temperature = fit_temperature(probability, labels)
    assert temperature == pytest.approx(factor, rel=0.06)
    before, after = (reliability(p, labels).ece for p in (probability, apply_temperature(probability, temperature)))
    assert after < 0.03
    assert factor == 1 or after < before / 2


def test_is_the_minimum_of_the_likelihood() -> None:
    probability, labels = answers(2000, 2.0)

    def loss(temperature: float) -> float:
        return -float(np.log(apply_temperature(probability, temperature)[np.arange(2000), labels]).mean())

    best = minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x
    assert fit_temperature(probability, labels) == pytest.approx(best, rel=0.01)


def test_all_right_does_not_become_certain() -> None:
    labels = np.arange(60) % 2
    probability = np.where(np.eye(2)[labels] == 1, 0.9, 0.1).astype(np.float32)
    calibrated = apply_temperature(probability, fit_temperature(probability, labels))
    # 60 of 60 right: one more picture could well be wrong.
    assert calibrated.max() == pytest.approx(61 / 62, abs=0.002)


def test_boundless_certainty_comes_down() -> None:
    labels = np.arange(60) % 2
    probability = np.eye(2, dtype=np.float32)[labels]
    probability[:6] = probability[:6, ::-1]
    temperature = fit_temperature(probability, labels)
    assert temperature == HIGHEST or apply_temperature(probability, temperature).max() < 0.99


def test_all_wrong_goes_to_the_highest_and_that_is_said() -> None:
    labels = np.arange(60) % 2
    temperature = fit_temperature(np.where(np.eye(2)[1 - labels] == 1, 0.99, 0.01), labels)
    assert temperature == HIGHEST
    assert "temperature 20, from 60 validation pictures" in about_temperature(temperature, 60)[0]


def test_what_is_said_of_a_temperature() -> None:
    assert "only 40 validation pictures" in about_temperature(1.7, 40)[0]
    assert "far surer than it was right (temperature 14.7" in about_temperature(14.7, 400)[0]
    assert not about_temperature(1.7, 100)
    assert not about_temperature(1.0, 5)


def test_few_pictures_change_nothing() -> None:
    probability, labels = answers(19, 3.0)
    assert fit_temperature(probability, labels) == 1.0


def test_one_tells_nothing_and_many_classes_work() -> None:
    probability, labels = answers(500, 2.0, classes=300)
    assert 1.0 < fit_temperature(probability, labels) < 4


def test_temperature_one_changes_nothing_and_rows_sum_to_one() -> None:
    probability, _ = answers(50, 1.0)
    assert apply_temperature(probability, 1.0) is probability
    extreme = np.array([[1.0, 0.0, 0.0], [1e-30, 1e-38, 1.0], [0.4, 0.3, 0.3]], np.float32)
    for temperature in (0.05, 0.5, 20.0):
        scaled = apply_temperature(extreme, temperature)
        assert scaled.dtype == np.float32
        assert np.allclose(scaled.sum(axis=1), 1)
        assert np.array_equal(scaled.argmax(axis=1), extreme.argmax(axis=1))


def test_temperature_divides_the_logits() -> None:
    logits = np.array([2.0, -1.0, 0.5])
    expected = np.exp(logits / 3) / np.exp(logits / 3).sum()
    assert np.allclose(apply_temperature(np.exp(logits) / np.exp(logits).sum(), 3.0), expected)


@pytest.mark.parametrize("text", ["precision=0.95", "recall=1"])
def test_targets_are_read_and_written(text: str) -> None:
    assert str(parse_target(text)) == text


@pytest.mark.parametrize("text", ["precision", "precision=95", "f1=0.9", "recall=0", "recall=nan", "precision=x", ""])
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(UsageError, match="no target"):
        parse_target(text)


def sure(*answers: tuple[float, bool]) -> tuple[np.ndarray, np.ndarray]:
    """Answers of class 0, so sure each, and whether they are right."""
    first = np.array([value for value, _ in answers])
    return np.stack([first, 1 - first], axis=1), np.array([0 if right else 1 for _, right in answers])


def test_precision_takes_the_lowest_threshold_that_reaches_it() -> None:
    probability, labels = sure((0.95, True), (0.9, True), (0.8, False), (0.7, True), (0.6, False))
    lowest = choose_thresholds(probability, labels, parse_target("precision=0.75"))
    assert lowest[0] == pytest.approx(0.65)  # 3 of 4
    strict = choose_thresholds(probability, labels, parse_target("precision=0.9"))
    assert strict[0] == pytest.approx(0.85)
    assert choose_thresholds(probability, labels, parse_target("precision=0.5"))[0] == 0


def test_recall_takes_the_highest_threshold_that_reaches_it() -> None:
    probability, labels = sure((0.95, True), (0.9, True), (0.8, False), (0.7, True), (0.6, False))
    assert choose_thresholds(probability, labels, parse_target("recall=0.6"))[0] == pytest.approx(0.85)
    assert choose_thresholds(probability, labels, parse_target("recall=1"))[0] == pytest.approx(0.65)


def test_what_cannot_be_reached_comes_nearest_and_is_said() -> None:
    probability, labels = sure((0.95, False), (0.9, True), (0.8, True), (0.7, False))
    target = parse_target("precision=0.9")
    chosen = choose_thresholds(probability, labels, target)
    assert chosen == pytest.approx((0.75, 0.9))
    said = shortfalls(probability, labels, chosen, target, ("cat", "dog"))
    assert "4 validation pictures cannot support precision=0.9" in said[0]
    assert "'cat' cannot reach precision=0.9" in said[1]
    assert "0.667" in said[1]
    assert "'dog' was never the answer" in said[2]


@pytest.mark.parametrize(("pictures", "said"), [(58, "58 validation pictures cannot support precision=0.95"), (59, "")])
def test_too_few_pictures_for_a_target_are_said(pictures: int, said: str) -> None:
    """0.95 ** 59 < 0.05: as many right answers in a row are unlikely of a worse model."""
    probability, labels = sure(*[(0.9, True)] * pictures)
    target = parse_target("precision=0.95")
    found = shortfalls(probability, labels, (0.0, 0.95), target, ("cat", "dog"))
    assert said in found[0]
    assert len(found) == 1 + bool(said)


def test_pictures_that_are_equally_sure_stay_together() -> None:
    probability, labels = sure((0.8, True), (0.8, False), (0.8, True), (0.6, False))
    chosen = choose_thresholds(probability, labels, parse_target("precision=0.9"))
    assert chosen[0] == pytest.approx(0.7)


def test_a_class_that_is_always_wrong_is_answered_no_more() -> None:
    probability, labels = sure((0.95, False), (0.9, False), (0.7, False))
    target = parse_target("precision=0.9")
    chosen = choose_thresholds(probability, labels, target)
    assert chosen == (1.0, 0.9)
    said = shortfalls(probability, labels, chosen, target, ("cat", "dog"))
    assert "Every answer 'cat' was wrong" in said[1]
    assert "threshold is 1" in said[1]
    assert "'dog' was never the answer" in said[2]
