"""What the probabilities of a classifier are worth: ROC, precision-recall and reliability curves. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15


def roc_curve(probability: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate, float64 `(k,)` each, rising from 0 to 1, at each distinct probability.

    Args:
        probability: `(n,)` of one class.
        positive: bool `(n,)`: whether it is the true one; both must occur.
    """
    hits, misses = _falling(probability, positive)
    return np.append(0, misses / misses[-1]), np.append(0, hits / hits[-1])


def precision_recall_curve(probability: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall, rising, and the precision at it, float64 `(k,)` each, at each distinct probability; see `roc_curve`."""
    hits, misses = _falling(probability, positive)
    return hits / hits[-1], hits / (hits + misses)


def roc_auc(probability: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve; pictures of equal probability count half."""
    false_rate, true_rate = roc_curve(probability, positive)
    return float(np.trapezoid(true_rate, false_rate))


def average_precision(probability: np.ndarray, positive: np.ndarray) -> float:
    """Mean of the precision over the steps of recall, without interpolation."""
    recall, precision = precision_recall_curve(probability, positive)
    return float((np.diff(recall, prepend=0) * precision).sum())


@dataclass(frozen=True)
class Reliability:
    """How often a classifier is right when it says how sure it is.

    Attributes:
        confidence: float64 `(bins,)` mean of the highest probability; NaN in an empty bin.
        accuracy: float64 `(bins,)` share of right answers; NaN in an empty bin.
        pictures: int64 `(bins,)`.
        ece: The distance between the two, averaged over the pictures.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    pictures: np.ndarray
    ece: float


def reliability(probability: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """Group the answers by how sure they are, in bins of equal width.

    Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", 2015, as used by Guo et al., "On
    calibration of modern neural networks", 2017.
    """
    sure = probability.max(axis=1).astype(np.float64)
    right = probability.argmax(axis=1) == labels
    # A bin holds its upper limit, as in Guo et al.
    place = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    pictures = np.bincount(place, minlength=bins)
    filled = np.where(pictures > 0, pictures, np.nan)
    confidence = np.bincount(place, sure, minlength=bins) / filled
    accuracy = np.bincount(place, right, minlength=bins) / filled
    ece = np.nansum(np.abs(confidence - accuracy) * pictures) / len(labels)
    return Reliability(confidence, accuracy, pictures, float(ece))


def _falling(probability: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many positives and negatives lie at each distinct probability or above, from the highest down."""
    order = np.argsort(-probability, kind="stable")
    last = np.append(np.diff(probability[order]) != 0, True)
    hits = np.cumsum(positive[order])
    return hits[last].astype(np.float64), (np.arange(1, len(hits) + 1) - hits)[last].astype(np.float64)
