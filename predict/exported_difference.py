"""How far an export's answers lie from its source's, in figures that a person can read."""

from __future__ import annotations

import numpy as np

from ..weights.bundle import BundleRecord
from .decode import decode_detections
from .prepare import Geometry

_CLEAR = 0.25
_SAME_OBJECT = 0.5


def differences(outputs: np.ndarray, expected: np.ndarray, record: BundleRecord) -> dict[str, float]:
    """The worst differences over the golden samples.

    Args:
        outputs: Raw answers of the export, float32 `(n, ...)`.
        expected: The source's.
        record: The source's.

    Returns:
        For a classifier "probability". For a detector, over the source's boxes with a confidence of 0.25 or more after
        suppression: "confidence", "overlap_lost" (1 minus the IoU of the box of the same class that overlaps most), and
        "boxes_lost", the share of them without any such box of IoU 0.5 or more; the first two without those.
    """
    if record.task == "classify":
        return {"probability": float(np.abs(outputs - expected).max())}
    size = record.preprocessing
    same = Geometry(size.width, size.height, 1.0, 1.0, 0, 0)
    confidence, overlap, lost, boxes = 0.0, 0.0, 0, 0
    for mine, reference in zip(outputs, expected, strict=True):
        found = decode_detections(mine, record, same, _CLEAR / 2)
        wanted = decode_detections(reference, record, same, _CLEAR)
        for box, class_id, sure in zip(wanted.xyxy, wanted.class_id, wanted.confidence, strict=True):
            boxes += 1
            alike = found.class_id == class_id
            ious = _iou(box, found.xyxy[alike])
            best = int(ious.argmax()) if len(ious) else -1
            if best < 0 or ious[best] < _SAME_OBJECT:
                lost += 1
                continue
            overlap = max(overlap, 1 - float(ious[best]))
            confidence = max(confidence, abs(float(found.confidence[alike][best] - sure)))
    return {"confidence": confidence, "overlap_lost": overlap, "boxes_lost": lost / max(boxes, 1)}


def _iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    sides = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None)
    shared = sides[:, 0] * sides[:, 1]
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    return shared / np.maximum((box[2] - box[0]) * (box[3] - box[1]) + areas - shared, 1e-9)
