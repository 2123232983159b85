"""A detector's curves and its confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..predict.results import Detections
from .matching import IOU_LEVELS, Matches, pairwise_iou
from .precision import envelope

CONFIDENCES = np.linspace(0, 1, 1000)
RECALLS = np.linspace(0, 1, 101)
_SMOOTHED_OVER = 50  # of 1000 points to each side, as Ultralytics does: one lucky picture must not choose


@dataclass(frozen=True)
class Curves:
    """What each class comes to at overlap 0.5, NaN for a class without boxes.

    Attributes:
        precision, recall, f1: float64 `(classes, 1000)` over `CONFIDENCES`.
        precision_at_recall: float64 `(classes, 101)` over `RECALLS`.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    precision_at_recall: np.ndarray

    @property
    def best(self) -> int:
        """Where in `CONFIDENCES` the mean F1 of the classes, smoothed, is highest."""
        known = ~np.isnan(self.f1).all(axis=1)
        if not known.any():
            return 0
        return int(smoothed(self.f1[known].mean(axis=0)).argmax())


def smoothed(curve: np.ndarray) -> np.ndarray:
    """A curve over `CONFIDENCES`, float64 `(1000,)`, each point the mean of its neighbourhood."""
    padded = np.pad(curve, _SMOOTHED_OVER, mode="edge")
    width = 2 * _SMOOTHED_OVER + 1
    return np.convolve(padded, np.ones(width) / width, mode="valid")


def curves_of(matches: Matches, classes: int) -> Curves:
    """The curves of each class, as Ultralytics draws them."""
    boxes = np.bincount(matches.true_class, minlength=classes)
    shape = (classes, len(CONFIDENCES))
    precision, recall, at_recall = np.full(shape, np.nan), np.full(shape, np.nan), np.full((classes, 101), np.nan)
    correct = matches.correct[:, 0]
    for k in np.flatnonzero(boxes):
        mine = matches.class_id == k
        hits = correct[mine].cumsum()
        right, share = hits / boxes[k], hits / np.arange(1, len(hits) + 1)
        falling = -matches.confidence[mine].astype(np.float64)
        if not len(hits):
            precision[k] = recall[k] = at_recall[k] = 0
            continue
        precision[k] = np.interp(-CONFIDENCES, falling, share, left=1)
        recall[k] = np.interp(-CONFIDENCES, falling, right, left=0)
        at_recall[k] = np.interp(RECALLS, *envelope(right, share))
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-16)
    return Curves(precision, recall, f1, at_recall)


def confuse(found: Detections, xyxy: np.ndarray, class_id: np.ndarray, classes: int) -> np.ndarray:
    """What was taken for what in one picture: int64 `(classes + 1, classes + 1)`, row truth, column answer.

    The last row is what was found where nothing is, the last column what was not found. A true box and a detection
    belong together when they overlap by half, whatever their classes: first those of the same class, then the others,
    in either case those that overlap most before those that overlap less.

    Args:
        found: The detections that are shown.
        xyxy: The true boxes `(m, 4)` in the same pixels.
        class_id: Their classes `(m,)`.
        classes: How many there are.
    """
    table = np.zeros((classes + 1, classes + 1), np.int64)
    true, said = np.full(len(class_id), classes), np.full(len(found), classes)
    overlap = pairwise_iou(xyxy, found.xyxy)
    pairs = np.argwhere(overlap >= IOU_LEVELS[0])
    same = class_id[pairs[:, 0]] == found.class_id[pairs[:, 1]]
    for i, j in pairs[np.lexsort((-overlap[pairs[:, 0], pairs[:, 1]], ~same))]:
        if true[i] == said[j] == classes:
            true[i], said[j] = found.class_id[j], class_id[i]
    np.add.at(table, (class_id, true), 1)
    lone = said == classes
    np.add.at(table, (np.full(lone.sum(), classes), found.class_id[lone]), 1)
    return table
