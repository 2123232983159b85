"""Which detections are right: each is given the true box that it found, at ten overlaps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..predict.results import Detections

IOU_LEVELS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True)
class Matches:
    """All detections of some pictures, the surest first, and all true boxes.

    Attributes:
        pictures: How many pictures there are.
        taken: int32 `(n, 10)`: the true box that a detection found at each of `IOU_LEVELS`, -1 for none.
        confidence: float32 `(n,)`, falling.
        class_id: int32 `(n,)`.
        picture: int32 `(n,)`: the number of the picture.
        area: float32 `(n,)`, in pixels of the original picture.
        true_class, true_picture, true_area: The same of the `m` true boxes.
    """

    pictures: int
    taken: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray
    picture: np.ndarray
    area: np.ndarray
    true_class: np.ndarray
    true_picture: np.ndarray
    true_area: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """Whether a detection found a true box of its class: bool `(n, 10)`."""
        return self.taken >= 0

    def limited(self, found: np.ndarray, true: np.ndarray) -> Matches:
        """The same with only some detections, bool `(n,)`, and only some true boxes, bool `(m,)`.

        A detection that stays keeps being right, whether or not its true box stays.
        """
        return Matches(
            self.pictures, self.taken[found], self.confidence[found], self.class_id[found], self.picture[found],
            self.area[found], self.true_class[true], self.true_picture[true], self.true_area[true],
        )  # fmt: skip


def match_pictures(pictures: Iterable[tuple[Detections, np.ndarray, np.ndarray]]) -> Matches:
    """Match picture by picture.

    Args:
        pictures: Of each what was found, and the true boxes: xyxy `(m, 4)` in the same pixels and class ids `(m,)`.
    """
    taken, confidence, class_id, area, counts = [], [], [], [], []
    true_class, true_area, true_counts = [], [], []
    boxes = 0
    for found, xyxy, wanted in pictures:
        mine = assign(found, xyxy, wanted)
        taken.append(np.where(mine >= 0, mine + boxes, -1))
        confidence.append(found.confidence)
        class_id.append(found.class_id)
        area.append(_area(found.xyxy))
        counts.append(len(found))
        true_class.append(wanted)
        true_area.append(_area(xyxy))
        true_counts.append(len(wanted))
        boxes += len(wanted)
    sure = _joined(confidence, np.float32)
    order = np.argsort(-sure, kind="stable")
    numbers = np.arange(len(counts), dtype=np.int32)
    return Matches(
        pictures=len(counts),
        taken=np.concatenate([np.zeros((0, len(IOU_LEVELS)), np.int32), *taken]).astype(np.int32)[order],
        confidence=sure[order],
        class_id=_joined(class_id, np.int32)[order],
        picture=np.repeat(numbers, counts)[order],
        area=_joined(area, np.float32)[order],
        true_class=_joined(true_class, np.int32),
        true_picture=np.repeat(numbers, true_counts),
        true_area=_joined(true_area, np.float32),
    )


def assign(found: Detections, xyxy: np.ndarray, class_id: np.ndarray) -> np.ndarray:
    """The true box that each detection of a picture found: int64 `(n, 10)`, a column per overlap, -1 for none.

    From the surest down, each detection takes the free true box of its class that it overlaps most, if that is enough
    (Lin et al., "Microsoft COCO", 2014, and Ultralytics alike).

    Args:
        found: The detections, the surest first or not.
        xyxy: The true boxes `(m, 4)` in the same pixels.
        class_id: Their classes `(m,)`.
    """
    taken = np.full((len(found), len(IOU_LEVELS)), -1, np.int64)
    if not len(class_id) or not len(found):
        return taken
    overlap = pairwise_iou(xyxy, found.xyxy) * (class_id[:, None] == found.class_id[None, :])
    used = np.zeros((len(class_id), len(IOU_LEVELS)), bool)
    columns = np.arange(len(IOU_LEVELS))
    near = np.flatnonzero((overlap >= IOU_LEVELS[0]).any(axis=0))  # nothing else can be right
    for j in near[np.argsort(-found.confidence[near], kind="stable")]:
        free = np.where(used, 0, overlap[:, j, None])
        best = free.argmax(axis=0)
        right = free[best, columns] >= IOU_LEVELS
        taken[j, right] = best[right]
        used[best, columns] |= right
    return taken


def pairwise_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Overlap of each box in `a` `(m, 4)` with each in `b` `(n, 4)`, both xyxy: float64 `(m, n)` in 0..1."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    return shared / np.maximum(_area(a)[:, None] + _area(b)[None, :] - shared, 1e-9)


def _area(xyxy: np.ndarray) -> np.ndarray:
    sides = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)
