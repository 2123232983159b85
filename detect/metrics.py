"""How good a detector is, as the field counts it, and how far each figure can be trusted. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.words import many, some
from ..predict.results import Skipped
from ..report.bootstrap import Figure, figure
from .curves import CONFIDENCES, curves_of
from .matching import Matches
from .precision import class_precision, draw_precision, draws_for

FIGURES = ("mAP50", "mAP50-95", "precision", "recall")  # what a detector is known by, in the order of every command
FEW_PICTURES = 30
FEW_BOXES = 10
SMALL, MEDIUM = 32**2, 96**2  # square pixels of the original picture, as COCO counts
_SIZES = (("small", 0.0, SMALL), ("medium", SMALL, MEDIUM), ("large", MEDIUM, float("inf")))


@dataclass(frozen=True)
class ClassScore:
    """One class. What nothing can be said about is None; intervals are 95%.

    Attributes:
        name: The class.
        pictures, boxes: How many pictures show it, with how many boxes.
        threshold: Detections of it are shown above this confidence.
        found: How many detections of it are shown.
        ap50, ap50_95: Average precision at overlap 0.5, and over 0.5 to 0.95.
        precision: Share of the shown detections that are right.
        recall: Share of its boxes that are found by those shown.
    """

    name: str
    pictures: int
    boxes: int
    threshold: float
    found: int
    ap50: Figure | None = None
    ap50_95: Figure | None = None
    precision: Figure | None = None
    recall: Figure | None = None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; 0 where none of its boxes is found, None where there are none."""
        if self.recall is None:
            return None
        right = self.recall.value * self.boxes
        return 2 * right / (self.boxes + self.found)


@dataclass(frozen=True)
class SizeScore:
    """The objects of one size, all classes together: the means over the classes that have such objects.

    Attributes:
        name: "small" (below 32 x 32 pixels of the original picture), "medium" (below 96 x 96), "large".
        boxes: How many there are.
        ap50, ap50_95: As in `DetectorScores`.
        recall: Share of these boxes that are found by the detections shown; None without boxes.
    """

    name: str
    boxes: int
    ap50: Figure | None = None
    ap50_95: Figure | None = None
    recall: Figure | None = None


@dataclass(frozen=True)
class DetectorScores:
    """What a detector did on a set of pictures. All values lie in 0..1; intervals are 95% (see `detect.precision`).

    Attributes:
        split: Which pictures it was measured on.
        pictures, boxes: How many there were; without a box nothing can be measured, and the figures are None.
        map50, map50_95: Mean average precision over the classes that occur, at overlap 0.5 and over 0.5 to 0.95.
        precision, recall: Means over these classes of what is shown above the thresholds; a class of which nothing is
            shown has no precision, and a recall of 0.
        confidence: The one threshold for all classes with the best mean F1.
        classes: Each class in order.
        sizes: "small", "medium", "large".
        draws: How many draws the intervals rest on.
        skipped: Pictures that could not be used.
    """

    split: str
    pictures: int
    boxes: int
    map50: Figure | None = None
    map50_95: Figure | None = None
    precision: Figure | None = None
    recall: Figure | None = None
    confidence: float = 0.0
    classes: tuple[ClassScore, ...] = ()
    sizes: tuple[SizeScore, ...] = ()
    draws: int = 0
    skipped: tuple[Skipped, ...] = field(default=(), repr=False)

    @property
    def per_class(self) -> dict[str, tuple[float, float]]:
        """Average precision (overlap 0.5; 0.5 to 0.95) of each class that occurs."""
        return {one.name: (one.ap50.value, one.ap50_95.value) for one in self.classes if one.ap50 and one.ap50_95}

    def _figures(self) -> dict[str, Figure]:
        named = zip(FIGURES, (self.map50, self.map50_95, self.precision, self.recall), strict=True)
        return {name: value for name, value in named if value is not None}

    def as_metrics(self) -> dict[str, float]:
        """The figures under the names they have everywhere; none when nothing could be measured."""
        if not self.boxes:
            return {}
        found = {"precision": 0.0} | {name: value.value for name, value in self._figures().items()}
        return {name: found[name] for name in FIGURES if name in found}

    def summary(self) -> dict[str, float]:
        """The figures that go into a bundle, each with its limits; none when nothing could be measured."""
        found: dict[str, float] = {}
        for name, value in self._figures().items():
            found |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
        return found | {"pictures": self.pictures} if found else {}

    def as_record(self) -> dict[str, Any]:
        """Everything, for JSON; a figure is `{"value", "low", "high"}`."""
        return {
            "split": self.split, "pictures": self.pictures, "boxes": self.boxes, **self.as_metrics(),
            "intervals": {name: value._asdict() for name, value in self._figures().items()},
            "draws": self.draws, "confidence": self.confidence,
            "classes": [{**_record(one), "f1": one.f1} for one in self.classes],
            "sizes": [_record(one) for one in self.sizes],
            "skipped": [entry._asdict() for entry in self.skipped],
        }  # fmt: skip

    def remarks(self) -> list[str]:
        """What a reader of the figures must know, in plain sentences."""
        if not self.boxes:
            return [f"No {self.split} picture has a box, so there is nothing to measure."]
        said = []
        if self.pictures < FEW_PICTURES:
            pictures, verb = many(self.pictures, f"{self.split} picture"), "was" if self.pictures == 1 else "were"
            said.append(f"Only {pictures} {verb} measured: read the intervals and not the figures.")
        if none := [one.name for one in self.classes if not one.boxes]:
            said.append(f"No {self.split} picture shows {some(none)}: nothing is known about that.")
        if few := [one.name for one in self.classes if 0 < one.boxes < FEW_BOXES]:
            said.append(f"Fewer than {FEW_BOXES} boxes each show {some(few)}: too few to judge these classes by.")
        if lost := [one.name for one in self.classes if one.boxes and not one.found]:
            said.append(f"Nothing was taken for {some(lost)} above the threshold.")
        return said


def score(
    matches: Matches, names: tuple[str, ...], split: str, thresholds: np.ndarray, skipped: tuple[Skipped, ...] = ()
) -> DetectorScores:
    """The figures over all pictures.

    Args:
        matches: What was found, and what is there.
        names: The classes in order.
        split: For the record.
        thresholds: float `(classes,)`: detections above the threshold of their class are shown.
        skipped: For the record.
    """
    boxes = len(matches.true_class)
    if not boxes:
        return DetectorScores(split, matches.pictures, 0, skipped=skipped)
    sure = matches.confidence > thresholds[matches.class_id]
    parts = Parts(matches, sure, len(names))
    return DetectorScores(
        split=split, pictures=matches.pictures, boxes=boxes,
        map50=parts.mean(parts.point[:, 0], parts.drawn.ap50),
        map50_95=parts.mean(parts.point.mean(axis=1), parts.drawn.ap50_95),
        precision=parts.mean(parts.precision, parts.drawn.precision),
        recall=parts.mean(parts.recall, parts.drawn.recall),
        confidence=float(CONFIDENCES[curves_of(matches, len(names)).best]),
        classes=tuple(parts.of_class(k, name, float(thresholds[k])) for k, name in enumerate(names)),
        sizes=tuple(_of_size(matches, sure, len(names), *size) for size in _SIZES),
        draws=len(parts.drawn.ap50), skipped=skipped,
    )  # fmt: skip


class Parts:
    """The figures of each class with what they came to in the draws.

    Args:
        matches: Of one model, with at least one true box.
        sure: bool `(n,)`: which detections are shown.
        classes: How many there are.
        draws: How often to draw; None takes what the time allows.

    Attributes:
        point: float64 `(classes, 10)`, average precision; NaN for a class without boxes, here and below.
        precision, recall: float64 `(classes,)`, of what is shown.
        drawn: The same for each draw.
        boxes, found, pictures: int64 `(classes,)`: true boxes, shown detections, and pictures with such boxes.
    """

    def __init__(self, matches: Matches, sure: np.ndarray, classes: int, draws: int | None = None) -> None:
        self.point = class_precision(matches, classes)
        draws = draws or draws_for(len(matches.class_id))
        self.drawn = draw_precision(matches, sure, classes, draws=draws)
        self.boxes = np.bincount(matches.true_class, minlength=classes)
        self.found = np.bincount(matches.class_id[sure], minlength=classes)
        right = np.bincount(matches.class_id[sure & matches.correct[:, 0]], minlength=classes)
        with np.errstate(invalid="ignore"):
            self.precision = np.where(self.boxes > 0, right / self.found, np.nan)
            self.recall = right / self.boxes
        pairs = np.unique(np.stack([matches.true_class, matches.true_picture]), axis=1)
        self.pictures = np.bincount(pairs[0], minlength=classes)

    def mean(self, point: np.ndarray, drawn: np.ndarray) -> Figure | None:
        """The mean over the classes for which there is something."""
        known = ~np.isnan(point)
        if not known.any():
            return None
        means = mean_of_classes(drawn[:, known])
        # A mean of shares is as uncertain as one share over so many pictures.
        even = known.sum() ** 2 / (1 / np.maximum(self.pictures[known], 1)).sum()
        return figure(float(point[known].mean()), means, float(even))

    def of_class(self, k: int, name: str, threshold: float) -> ClassScore:
        """One class."""
        pictures, boxes, found = int(self.pictures[k]), int(self.boxes[k]), int(self.found[k])
        if not boxes:
            return ClassScore(name, pictures, boxes, threshold, found)
        drawn = self.drawn
        return ClassScore(
            name, pictures, boxes, threshold, found,
            ap50=figure(self.point[k, 0], drawn.ap50[:, k], pictures),
            ap50_95=figure(self.point[k].mean(), drawn.ap50_95[:, k], pictures),
            precision=figure(self.precision[k], drawn.precision[:, k], found) if found else None,
            recall=figure(self.recall[k], drawn.recall[:, k], pictures),
        )  # fmt: skip


def mean_of_classes(drawn: np.ndarray) -> np.ndarray:
    """The mean over the classes that a draw holds: `(draws, classes)` becomes `(draws,)`, NaN where it holds none."""
    counted = (~np.isnan(drawn)).sum(axis=1)
    return np.where(counted > 0, np.nansum(drawn, axis=1) / np.maximum(counted, 1), np.nan)


def _of_size(matches: Matches, sure: np.ndarray, classes: int, name: str, low: float, high: float) -> SizeScore:
    """The same for objects of one size: a detection that found one has its size, any other has its own."""
    true = (matches.true_area >= low) & (matches.true_area < high)
    if not true.any():
        return SizeScore(name, 0)
    right = matches.taken[:, 0]
    area = np.where(right >= 0, matches.true_area[right], matches.area)
    kept = (area >= low) & (area < high)
    parts = Parts(matches.limited(kept, true), sure[kept], classes)
    return SizeScore(
        name, int(true.sum()),
        ap50=parts.mean(parts.point[:, 0], parts.drawn.ap50),
        ap50_95=parts.mean(parts.point.mean(axis=1), parts.drawn.ap50_95),
        recall=parts.mean(parts.recall, parts.drawn.recall),
    )  # fmt: skip


def _record(one: Any) -> dict[str, Any]:
    return {key: value._asdict() if isinstance(value, Figure) else value for key, value in vars(one).items()}
