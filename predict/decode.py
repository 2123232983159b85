"""From a model's raw output for one picture to detections or scores, with NumPy alone."""

from __future__ import annotations

import numpy as np

from ..core.errors import DataError
from ..weights.bundle import BundleRecord, DetectorRecord, Preprocessing
from .prepare import Geometry
from .results import Detections, Scores

_MAX_CANDIDATES = 30_000  # for suppression; the surest of them are more than any picture holds
_BLOCK = 128


def decode_detections(
    raw: np.ndarray, record: BundleRecord, geometry: Geometry, confidence: float | None, *, several: bool = False
) -> Detections:
    """The objects in one picture.

    Args:
        raw: float32 for one picture: `(4 + classes, anchors)` or `(boxes, 6)`, see `DetectorRecord.output`.
        record: The bundle's record.
        geometry: From `prepare.fit` of the same picture.
        confidence: Only detections above this are kept, 0..1; None takes the bundle's threshold of each class.
        several: Whether a box may be of several classes at once, as Ultralytics' `val` counts. Its `predict` and ours
            give a box one class.

    Returns:
        Detections in pixels of the original picture, the surest first, at most `max_det`. Rows that are not finite
        numbers, and boxes of which nothing lies inside the picture, are left out.

    Raises:
        DataError: the output's shape or a class number does not fit the record.
    """
    detector = _detector(record)
    thresholds = thresholds_of(record, confidence)
    xyxy, class_id, score = read_rows(raw, record, float(thresholds.min()), several=several)
    if confidence is None and record.thresholds is not None:
        sure = score > thresholds[class_id]
        xyxy, class_id, score = xyxy[sure], class_id[sure], score[sure]
    if detector.output == "raw":
        kept = suppress(xyxy, class_id, score, detector.iou, detector.max_det)
    else:
        kept = np.argsort(-score, kind="stable")[: detector.max_det]
    boxes = geometry.to_original(xyxy[kept])
    visible = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    kept = kept[visible]
    return Detections(boxes[visible], class_id[kept], score[kept])


def read_rows(
    raw: np.ndarray, record: BundleRecord, confidence: float, *, several: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the model says before suppression: xyxy float32 `(n, 4)` in input pixels, class int64, confidence float32.

    Raises:
        DataError: see `decode_detections`.
    """
    detector = _detector(record)
    if detector.output == "raw":
        xyxy, class_id, score = _read_raw(raw, len(record.names), confidence, several)
    else:
        xyxy, class_id, score = _read_final(raw, len(record.names), confidence)
    if detector.output == "queries":
        xyxy = _from_shares(xyxy, record.preprocessing)
    # A box turned inside out has a negative area, with which suppression would remove its innocent neighbours.
    solid = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
    return xyxy[solid], class_id[solid], np.clip(score[solid], 0, 1)


def decode_scores(raw: np.ndarray, record: BundleRecord, confidence: float | None = None) -> Scores:
    """The calibrated probabilities of one picture.

    Args:
        raw: float32 `(classes,)`, the model's own probabilities.
        record: The bundle's record, with its temperature and thresholds.
        confidence: Below it the answer is "unknown", 0..1; None takes the bundle's threshold of each class.

    Raises:
        DataError: the number of probabilities does not fit the record, or they are not numbers.
    """
    if raw.shape != (len(record.names),):
        raise _misfit(f"{raw.shape} probabilities for {len(record.names)} classes")
    if not np.isfinite(raw).all() or raw.max() <= 0:
        raise _misfit("probabilities that are not numbers between 0 and 1")
    return Scores(apply_temperature(raw, record.temperature), thresholds_of(record, confidence))


def apply_temperature(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities as if the logits behind them had been divided by the temperature (Guo et al. 2017).

    Args:
        probability: float `(..., classes)`, each row with something above 0.
        temperature: Above 0; more than 1 makes the model sound less sure. 1 changes nothing.

    Returns:
        float32 of the same shape, rows summing to 1: softmax(log(p) / T).
    """
    if temperature == 1:
        return probability.astype(np.float32, copy=False)
    exact = np.maximum(probability.astype(np.float64), 0)
    # The largest becomes 1, so that no power of a small number ends in a row of zeros.
    power = (exact / exact.max(axis=-1, keepdims=True)) ** (1 / temperature)
    return (power / power.sum(axis=-1, keepdims=True)).astype(np.float32)


def thresholds_of(record: BundleRecord, confidence: float | None = None) -> np.ndarray:
    """float32 `(classes,)`: below its class's threshold an answer is "unknown", and a detection is not shown.

    Args:
        record: A bundle's record.
        confidence: One threshold for all classes in place of the record's, 0..1.
    """
    if confidence is None and record.thresholds is not None:
        return np.array(record.thresholds, np.float32)
    return np.full(len(record.names), record.confidence if confidence is None else confidence, np.float32)


def suppress(xyxy: np.ndarray, class_id: np.ndarray, confidence: np.ndarray, iou: float, max_det: int) -> np.ndarray:
    """Greedy non-maximum suppression within each class.

    The boxes are gone through a block at a time: those that overlap a kept one leave together, and only what overlaps
    within the block is looked at one by one. So the work is that of a few matrices, however many boxes there are.

    Returns:
        int64 indices of the boxes that stay, the surest first, at most `max_det`: those that overlap no surer box of
        their class by more than `iou`.
    """
    order = np.argsort(-confidence, kind="stable")[:_MAX_CANDIDATES]
    boxes = xyxy[order].astype(np.float64)
    if len(boxes):  # set the classes apart, so that boxes of different classes never overlap
        span = float(boxes.max() - boxes.min()) + 1
        boxes += class_id[order, None] * span
    sides = np.ascontiguousarray(boxes.T)
    kept = np.zeros(0, np.int64)
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        if len(kept):
            block = block[~_overlapping(sides[:, kept], sides[:, block], iou).any(axis=0)]
        doubles = np.triu(_overlapping(sides[:, block], sides[:, block], iou), 1)
        stays = np.ones(len(block), bool)
        for surer in np.flatnonzero(doubles.any(axis=1)):
            if stays[surer]:
                stays &= ~doubles[surer]
        kept = np.concatenate([kept, block[stays]])
        if len(kept) >= max_det:
            break
    return order[kept[:max_det]]


def iou_with(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How much a box overlaps others: shared area over that of both together.

    Args:
        box: `(4,)`, xyxy in any unit.
        others: `(n, 4)`, in the same.

    Returns:
        `(n,)`, 0..1.
    """
    sides = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None)
    shared = sides[:, 0] * sides[:, 1]
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    return shared / np.maximum((box[2] - box[0]) * (box[3] - box[1]) + areas - shared, 1e-9)


def _overlapping(a: np.ndarray, b: np.ndarray, iou: float) -> np.ndarray:
    """Whether each box of `a` `(4, m)` overlaps each of `b` `(4, n)` by more than `iou`: bool `(m, n)`."""
    width = np.minimum(a[2][:, None], b[2]) - np.maximum(a[0][:, None], b[0])
    height = np.minimum(a[3][:, None], b[3]) - np.maximum(a[1][:, None], b[1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    areas = ((a[2] - a[0]) * (a[3] - a[1]))[:, None] + (b[2] - b[0]) * (b[3] - b[1])
    return shared > iou * (areas - shared)


def _read_raw(
    raw: np.ndarray, classes: int, confidence: float, several: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if raw.ndim != 2 or raw.shape[0] != 4 + classes:
        raise _misfit(f"an output of shape {raw.shape} for {classes} classes")
    best = raw[4:].max(axis=0)
    rows = raw[:, best > confidence]  # a comparison with NaN is false, which leaves those rows out
    rows = rows[:, np.isfinite(rows).all(axis=0)]
    cx, cy, w, h = rows[:4]
    xyxy = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=1).astype(np.float32, copy=False)
    if several:
        box, class_id = np.nonzero(confidence < rows[4:].T)
        return xyxy[box], class_id.astype(np.int64), rows[4 + class_id, box].astype(np.float32, copy=False)
    class_id = rows[4:].argmax(axis=0).astype(np.int64)
    return xyxy, class_id, rows[4:].max(axis=0, initial=0).astype(np.float32, copy=False)


def _read_final(raw: np.ndarray, classes: int, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if raw.ndim != 2 or raw.shape[1] != 6:
        raise _misfit(f"an output of shape {raw.shape} instead of (boxes, 6)")
    rows = raw[np.isfinite(raw).all(axis=1)]
    rows = rows[rows[:, 4] > confidence]
    class_id = np.rint(rows[:, 5]).astype(np.int64)
    if len(class_id) and (class_id.min() < 0 or class_id.max() >= classes):
        raise _misfit(f"class number {class_id.max()} though it has only {classes} classes")
    return rows[:, :4].astype(np.float32), class_id, rows[:, 4].astype(np.float32)


def _from_shares(cxcywh: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """RT-DETR's boxes, cxcywh in shares of the input, as xyxy float32 in input pixels."""
    centre, half = cxcywh[:, :2], cxcywh[:, 2:] / 2
    side = np.array([preprocessing.width, preprocessing.height] * 2, np.float32)
    return np.concatenate([centre - half, centre + half], axis=1) * side


def _detector(record: BundleRecord) -> DetectorRecord:
    if record.detector is None:
        raise DataError("bundle.json does not say how the detector's output is to be read.", where=record.name)
    return record.detector


def _misfit(what: str) -> DataError:
    return DataError(
        f"The model gives {what}: it does not fit its bundle.json.",
        next_step="make the bundle again by training or exporting",
    )
