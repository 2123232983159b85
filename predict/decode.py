"""From a model's raw output for one picture to detections or scores, with NumPy alone."""

from __future__ import annotations

import numpy as np

from ..core.errors import DataError
from ..weights.bundle import BundleRecord, DetectorRecord, Preprocessing
from .prepare import Geometry
from .results import Detections, Scores

# Suppression compares each kept box with all that are left; the surest 30,000 are more than any picture holds.
_MAX_CANDIDATES = 30_000


def decode_detections(raw: np.ndarray, record: BundleRecord, geometry: Geometry, confidence: float) -> Detections:
    """The objects in one picture.

    Args:
        raw: float32 for one picture: `(4 + classes, anchors)` or `(boxes, 6)`, see `DetectorRecord.output`.
        record: The bundle's record.
        geometry: From `prepare.fit` of the same picture.
        confidence: Only detections above this are kept, 0..1.

    Returns:
        Detections in pixels of the original picture, the surest first, at most `max_det`. Rows that are not finite
        numbers, and boxes of which nothing lies inside the picture, are left out.

    Raises:
        DataError: the output's shape or a class number does not fit the record.
    """
    detector = _detector(record)
    xyxy, class_id, score = read_rows(raw, record, confidence)
    if detector.output == "raw":
        kept = suppress(xyxy, class_id, score, detector.iou, detector.max_det)
    else:
        kept = np.argsort(-score, kind="stable")[: detector.max_det]
    boxes = geometry.to_original(xyxy[kept])
    visible = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    kept = kept[visible]
    return Detections(boxes[visible], class_id[kept], score[kept])


def read_rows(raw: np.ndarray, record: BundleRecord, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the model says before suppression: xyxy float32 `(n, 4)` in input pixels, class int64, confidence float32.

    Raises:
        DataError: see `decode_detections`.
    """
    detector = _detector(record)
    read = _read_raw if detector.output == "raw" else _read_final
    xyxy, class_id, score = read(raw, len(record.names), confidence)
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
    """float32 `(classes,)`: below its class's threshold an answer is "unknown".

    Args:
        record: A classifier's record.
        confidence: One threshold for all classes in place of the record's, 0..1.
    """
    if confidence is None and record.thresholds is not None:
        return np.array(record.thresholds, np.float32)
    return np.full(len(record.names), record.confidence if confidence is None else confidence, np.float32)


def suppress(xyxy: np.ndarray, class_id: np.ndarray, confidence: np.ndarray, iou: float, max_det: int) -> np.ndarray:
    """Greedy non-maximum suppression within each class.

    Returns:
        int64 indices of the boxes that stay, the surest first, at most `max_det`: those that overlap no surer box of
        their class by more than `iou`.
    """
    left = np.argsort(-confidence, kind="stable")[:_MAX_CANDIDATES]
    boxes = xyxy[left].astype(np.float64)
    if len(boxes):  # set the classes apart, so that boxes of different classes never overlap
        span = float(boxes.max() - boxes.min()) + 1
        boxes += class_id[left, None] * span
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while len(left) and len(kept) < max_det:
        kept.append(int(left[0]))
        corner = np.maximum(boxes[0, :2], boxes[1:, :2])
        opposite = np.minimum(boxes[0, 2:], boxes[1:, 2:])
        shared = np.clip(opposite - corner, 0, None).prod(axis=1)
        stays = shared <= iou * (area[0] + area[1:] - shared)
        left, boxes, area = left[1:][stays], boxes[1:][stays], area[1:][stays]
    return np.array(kept, np.int64)


def _read_raw(raw: np.ndarray, classes: int, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if raw.ndim != 2 or raw.shape[0] != 4 + classes:
        raise _misfit(f"an output of shape {raw.shape} for {classes} classes")
    best = raw[4:].max(axis=0)
    rows = raw[:, best > confidence]  # a comparison with NaN is false, which leaves those rows out
    rows = rows[:, np.isfinite(rows).all(axis=0)]
    class_id = rows[4:].argmax(axis=0).astype(np.int64)
    cx, cy, w, h = rows[:4]
    xyxy = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=1)
    return xyxy.astype(np.float32, copy=False), class_id, rows[4:].max(axis=0, initial=0).astype(np.float32, copy=False)


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
