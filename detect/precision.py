"""Average precision with intervals: what it is on these pictures, and what it would be on other pictures like them.

The figure is the field's: precision made falling, read at 101 recalls, the mean of the ten overlaps (Lin et al.,
"Microsoft COCO", 2014, in the form in which Ultralytics computes it, so that the figures can be compared).

The interval is the bootstrap over pictures of `report.bootstrap`. To draw pictures again is to weight each by how often
it was drawn, so the detections are sorted and matched once, and a draw is two running sums. For a draw the exact area
under the falling precision stands in place of the 101 recalls; what the two differ by on the pictures as they are is
added to each draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..report.bootstrap import DRAWS, draw_counts
from .matching import IOU_LEVELS, Matches

_RECALLS = np.linspace(0, 1, 101)
_BUDGET = 250_000_000  # detections times draws: some seconds
_FEWEST_DRAWS = 200
_NUMBERS = 1 << 22  # in the largest array


def class_precision(matches: Matches, classes: int) -> np.ndarray:
    """Average precision of each class at each of `IOU_LEVELS`: float64 `(classes, 10)`, NaN for one without boxes."""
    boxes = np.bincount(matches.true_class, minlength=classes)
    found = np.full((classes, len(IOU_LEVELS)), np.nan)
    correct = matches.correct
    for k in np.flatnonzero(boxes):
        found[k] = average_precision(correct[matches.class_id == k], int(boxes[k]))
    return found


def average_precision(correct: np.ndarray, boxes: int) -> np.ndarray:
    """Average precision of one class.

    Args:
        correct: bool `(n, levels)`: which detections are right, the surest first.
        boxes: How many true boxes there are, at least one.

    Returns:
        float64 `(levels,)` in 0..1; with Ultralytics' reading a perfect detector gets 0.995.
    """
    hits = correct.cumsum(axis=0)
    recall = hits / boxes
    precision = hits / np.arange(1, len(correct) + 1)[:, None]
    return np.array([_read(recall[:, level], precision[:, level]) for level in range(correct.shape[1])])


def envelope(recall: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve of one class as it is read: recall with its ends `(n + 3,)`, and the best precision from there on."""
    end = recall[-1] if len(recall) else 1.0
    ends = np.concatenate(([0.0], recall, [end, 1.0]))
    best = np.concatenate(([1.0], precision, [0.0, 0.0]))
    return ends, np.maximum.accumulate(best[::-1])[::-1]


def _read(recall: np.ndarray, precision: np.ndarray) -> float:
    if not len(recall):
        return 0.0
    return float(np.trapezoid(np.interp(_RECALLS, *envelope(recall, precision)), _RECALLS))


@dataclass(frozen=True)
class Drawn:
    """What each draw of pictures came to: float64 `(draws, classes)`, NaN where a class was not drawn.

    Attributes:
        ap50, ap50_95: Average precision.
        precision, recall: At the thresholds.
    """

    ap50: np.ndarray
    ap50_95: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def draws_for(detections: int) -> int:
    """How often to draw: a thousand times, fewer where there are very many detections."""
    return int(np.clip(_BUDGET // max(detections, 1), _FEWEST_DRAWS, DRAWS))


def draw_precision(matches: Matches, sure: np.ndarray, classes: int, *, draws: int, seed: int = 0) -> Drawn:
    """Draw the pictures again and again, and work out each class's figures for each draw.

    Two models that were measured on the same pictures in the same order get the same draws, so that the difference of
    their figures can be drawn too.

    Args:
        matches: Of one model.
        sure: bool `(n,)`: which detections are shown, being above the threshold of their class.
        classes: How many there are.
        draws: How often.
        seed: Of the draws.
    """
    point = class_precision(matches, classes)
    area = _areas(matches, sure, classes, np.ones((matches.pictures, 1), np.float32))
    shift50, shift = point[:, 0] - area.ap50[0], point.mean(axis=1) - area.ap50_95[0]
    parts = []
    step = max(_NUMBERS // max(len(matches.class_id), 1), 8)
    for rows in draw_counts(np.ones(matches.pictures, np.int64), seed, draws):
        for start in range(0, len(rows), step):
            weight = np.ascontiguousarray(rows[start : start + step].T, np.float32)
            parts.append(_areas(matches, sure, classes, weight))
    return Drawn(
        ap50=np.clip(np.concatenate([part.ap50 for part in parts]) + shift50, 0, 1),
        ap50_95=np.clip(np.concatenate([part.ap50_95 for part in parts]) + shift, 0, 1),
        precision=np.concatenate([part.precision for part in parts]),
        recall=np.concatenate([part.recall for part in parts]),
    )


def _areas(matches: Matches, sure: np.ndarray, classes: int, weight: np.ndarray) -> Drawn:
    """The figures for some draws; `weight`: float32 `(pictures, draws)`, how often each picture was drawn."""
    shape = (weight.shape[1], classes)
    ap50, ap50_95, precision, recall = (np.full(shape, np.nan) for _ in range(4))
    correct = matches.correct
    for k in range(classes):
        mine = matches.class_id == k
        shown = mine & sure
        said = weight[matches.picture[shown]].sum(axis=0)
        right = weight[matches.picture[shown & correct[:, 0]]].sum(axis=0)
        with np.errstate(invalid="ignore"):
            precision[:, k] = right / said
        true = weight[matches.true_picture[matches.true_class == k]].sum(axis=0)
        drawn = true > 0
        if not drawn.any():
            continue
        area = _area_under(correct[mine], weight[matches.picture[mine]], np.maximum(true, 1))
        ap50[drawn, k], ap50_95[drawn, k] = area[0, drawn], area.mean(axis=0)[drawn]
        recall[drawn, k] = right[drawn] / true[drawn]
    return Drawn(ap50, ap50_95, precision, recall)


def _area_under(correct: np.ndarray, weight: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Area under the falling precision of one class: float64 `(10, draws)`.

    Only where a detection is right can the curve end a step, so the rest counts in the running sum and is let go.

    Args:
        correct: bool `(n, 10)`, the surest first.
        weight: float32 `(n, draws)`: how often each detection was drawn. Overwritten.
        true: `(draws,)` how many true boxes were drawn, at least 1.
    """
    steps = np.flatnonzero(correct.any(axis=1))
    if not len(steps):
        return np.zeros((correct.shape[1], len(true)))
    gained = weight[steps]
    said = np.maximum(np.cumsum(weight, axis=0, out=weight)[steps], 1)
    areas = []
    for right in correct[steps].T:
        part = gained[right]
        precision = np.cumsum(part, axis=0) / said[right]
        best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        areas.append((best * part).sum(axis=0, dtype=np.float64) / true)
    return np.stack(areas)
