"""Probabilities that mean what they say, and thresholds below which a classifier had better not answer. NumPy alone."""

from __future__ import annotations

import numpy as np

from ..report.target import Target
from ..report.thresholds import highest_for_recall, lowest_for_precision, too_few

LOWEST, HIGHEST = 0.05, 20.0
ENOUGH_PICTURES = 20
MANY_PICTURES = 100
_FAR = 5.0  # Guo et al. found 0.7 to 2.6 for networks on their own kind of pictures
_SMALLEST = 1e-38  # what a float32 probability of 0 may have been


def fit_temperature(probability: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes a classifier's probabilities fit what it gets right.

    Dividing the logits by it changes no answer, only how sure it sounds: Guo et al., "On calibration of modern neural
    networks", 2017. The negative log-likelihood is convex in one over the temperature, so the zero of its slope is
    found by halving. One picture's worth of the truth is spread over the other classes, as Platt does ("Probabilistic
    outputs for support vector machines", 1999): where every picture is called right, the likelihood alone would ask
    for boundless certainty.

    Args:
        probability: float `(n, classes)`, the model's own, for validation pictures. Never test pictures.
        labels: int64 `(n,)` true class ids.

    Returns:
        0.05 to 20; more than 1 makes the model sound less sure. 1 where there are fewer than 20 pictures. Few pictures
        have no narrower limits: a model that is boundlessly sure and often wrong needs a high one, see
        `about_temperature`.
    """
    n, classes = probability.shape
    if n < ENOUGH_PICTURES or classes < 2:
        return 1.0
    logits = np.log(np.maximum(probability.astype(np.float64), _SMALLEST))
    target = np.full((n, classes), 1 / ((n + 2) * (classes - 1)))
    target[np.arange(n), labels] = (n + 1) / (n + 2)
    wanted = (target * logits).sum()

    def slope(sharpness: float) -> float:
        scaled = logits * sharpness
        weight = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return float(((weight / weight.sum(axis=1, keepdims=True)) * logits).sum() - wanted)

    low, high = 1 / HIGHEST, 1 / LOWEST
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    found = 1 / (low * high) ** 0.5
    nearest = HIGHEST if found > 1 else LOWEST
    return float(nearest if np.isclose(found, nearest, rtol=1e-6) else found)


def about_temperature(temperature: float, pictures: int) -> list[str]:
    """What to know of a temperature that was fitted on so many validation pictures, in plain sentences."""
    if pictures < ENOUGH_PICTURES:
        return []
    if temperature in (LOWEST, HIGHEST):
        what = "less sure" if temperature > 1 else "surer"
        return [
            f"The probabilities were made {what} as far as that is allowed (temperature {temperature:g}, from"
            f" {pictures} validation pictures), and that was not enough: do not rely on how sure the model says it is."
        ]
    if temperature > _FAR:
        return [
            f"Before its probabilities were calibrated, the model was far surer than it was right (temperature"
            f" {temperature:.1f}, from {pictures} validation pictures): more pictures or fewer epochs help."
        ]
    if pictures < MANY_PICTURES and temperature != 1:
        return [
            f"The probabilities were calibrated on only {pictures} validation pictures (temperature {temperature:.2f}):"
            f" how sure the model says it is, is a rough figure. {MANY_PICTURES} or more make it a better one."
        ]
    return []


def choose_thresholds(probability: np.ndarray, labels: np.ndarray, target: Target) -> tuple[float, ...]:
    """A threshold for each class, so that answers at least that sure reach the target.

    For precision it is the lowest one that does, which leaves the fewest pictures unanswered, and for recall the
    highest. A class that cannot reach the target gets the threshold that comes nearest. For precision, one whose
    answers are all wrong gets 1, so that they are not given, and one that was never the answer gets the target itself,
    which is what calibrated probabilities promise. `shortfalls` says which.

    Args:
        probability: float `(n, classes)`, calibrated, for validation pictures.
        labels: int64 `(n,)` true class ids.
        target: What to reach.

    Returns:
        One value of 0..1 a class, each half-way between two pictures so that rounding does not decide.
    """
    answer, sure = probability.argmax(axis=1), probability.max(axis=1).astype(np.float64)
    chosen = []
    for k in range(probability.shape[1]):
        mine = answer == k
        chosen.append(_threshold(sure[mine], labels[mine] == k, int((labels == k).sum()), target))
    return tuple(chosen)


def shortfalls(
    probability: np.ndarray, labels: np.ndarray, thresholds: tuple[float, ...], target: Target, names: tuple[str, ...]
) -> list[str]:
    """Which classes do not reach the target with these thresholds on these pictures, in plain sentences."""
    answer, sure = probability.argmax(axis=1), probability.max(axis=1)
    said = too_few(len(labels), "validation pictures", target)
    for k, name in enumerate(names):
        called = answer == k
        given = called & (sure >= thresholds[k])
        among = given if target.metric == "precision" else labels == k
        if called.any() and not given.any() and target.metric == "precision":
            said.append(
                f"Every answer '{name}' was wrong on the validation pictures, so its threshold is {thresholds[k]:g}:"
                " it is answered no more."
            )
            continue
        if not among.any():
            why = "was never the answer" if target.metric == "precision" else "has no picture"
            said.append(f"'{name}' {why} on the validation pictures, so its threshold {thresholds[k]:.2f} is a guess.")
            continue
        reached = (given & (labels == k)).sum() / among.sum()
        if reached < target.value:
            said.append(
                f"'{name}' cannot reach {target}: with the threshold {thresholds[k]:.2f} it comes to {reached:.3f} on"
                " the validation pictures."
            )
    return said


def _threshold(sure: np.ndarray, right: np.ndarray, pictures: int, target: Target) -> float:
    """The threshold of one class: how sure the answers are that name it, which are right, and its pictures."""
    if target.metric == "precision":
        return lowest_for_precision(sure, right, target.value) if len(sure) else target.value
    return highest_for_recall(sure, right, pictures, target.value) if len(sure) and pictures else 0.0
