"""How good a detector is, as the field counts it.

Average precision over ten overlaps as in Lin et al., "Microsoft COCO", 2014, computed by Ultralytics' `ap_per_class`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..core.isolation import isolate_ultralytics
from ..predict.results import Detections, Skipped

IOU_LEVELS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True)
class DetectorScores:
    """The result of an evaluation. All values lie in 0..1.

    Attributes:
        split: Which pictures it was measured on.
        pictures, boxes: How many there were; without a box nothing can be measured, and all values are 0.
        map50, map50_95: Mean average precision over the classes that occur, at overlap 0.5 and over 0.5 to 0.95.
        precision, recall: Means over these classes at the confidence with the best F1.
        confidence: That confidence.
        per_class: Average precision (overlap 0.5; 0.5 to 0.95) of each class that occurs.
        skipped: Pictures that could not be read.
    """

    split: str
    pictures: int
    boxes: int
    map50: float = 0.0
    map50_95: float = 0.0
    precision: float = 0.0
    recall: float = 0.0
    confidence: float = 0.0
    per_class: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    def as_metrics(self) -> dict[str, float]:
        """The figures under the names they have everywhere; none when nothing could be measured."""
        if not self.boxes:
            return {}
        return {"mAP50": self.map50, "mAP50-95": self.map50_95, "precision": self.precision, "recall": self.recall}


@dataclass
class Tally:
    """Collects matched pictures."""

    names: tuple[str, ...]
    correct: list[np.ndarray] = field(default_factory=list)
    confidence: list[np.ndarray] = field(default_factory=list)
    found: list[np.ndarray] = field(default_factory=list)
    wanted: list[np.ndarray] = field(default_factory=list)

    def add(self, detections: Detections, xyxy: np.ndarray, class_id: np.ndarray) -> None:
        """Add a picture: what was found, and the true boxes `(m, 4)` and classes `(m,)` in the same pixels."""
        self.correct.append(match(detections, xyxy, class_id))
        self.confidence.append(detections.confidence)
        self.found.append(detections.class_id)
        self.wanted.append(class_id)

    def scores(self, split: str, skipped: tuple[Skipped, ...] = ()) -> DetectorScores:
        """The figures over all pictures that were added."""
        wanted = np.concatenate(self.wanted) if self.wanted else np.zeros(0, np.int64)
        pictures = len(self.wanted)
        if not len(wanted):
            return DetectorScores(split, pictures, 0, skipped=skipped)
        isolate_ultralytics()
        from ultralytics.utils.metrics import ap_per_class, smooth

        _, _, precision, recall, _, ap, classes, _, _, f1_curve, levels, _ = ap_per_class(
            np.concatenate(self.correct), np.concatenate(self.confidence), np.concatenate(self.found), wanted
        )
        best = int(smooth(f1_curve.mean(0), 0.1).argmax())
        per_class = {self.names[int(c)]: (float(row[0]), float(row.mean())) for c, row in zip(classes, ap, strict=True)}
        return DetectorScores(
            split=split,
            pictures=pictures,
            boxes=len(wanted),
            map50=float(ap[:, 0].mean()),
            map50_95=float(ap.mean()),
            precision=float(precision.mean()),
            recall=float(recall.mean()),
            confidence=float(levels[best]),
            per_class=per_class,
            skipped=skipped,
        )


def match(detections: Detections, xyxy: np.ndarray, class_id: np.ndarray) -> np.ndarray:
    """Which detections are right: bool `(n, 10)`, one column per overlap in `IOU_LEVELS`.

    From the surest down, each detection takes the free true box of its class that it overlaps most, if that is enough.
    """
    correct = np.zeros((len(detections), len(IOU_LEVELS)), bool)
    if not len(class_id) or not len(detections):
        return correct
    overlap = pairwise_iou(xyxy, detections.xyxy) * (class_id[:, None] == detections.class_id[None, :])
    taken = np.zeros((len(class_id), len(IOU_LEVELS)), bool)
    columns = np.arange(len(IOU_LEVELS))
    for j in np.argsort(-detections.confidence, kind="stable"):
        free = np.where(taken, 0, overlap[:, j, None])
        best = free.argmax(axis=0)
        correct[j] = free[best, columns] >= IOU_LEVELS
        taken[best, columns] |= correct[j]
    return correct


def pairwise_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Overlap of each box in `a` `(m, 4)` with each in `b` `(n, 4)`, both xyxy: `(m, n)` in 0..1."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.clip(sides, 0, None).prod(axis=2)
    area_a, area_b = (np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (a, b))
    return shared / np.maximum(area_a[:, None] + area_b[None, :] - shared, 1e-9)
