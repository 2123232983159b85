"""What goes into the predict loop and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture on its way through the loop.

    Attributes:
        bgr: uint8 `(height, width, 3)`.
        source: Where it comes from: a path or an address, without keys.
        index: Its number within the source, from 0.
        seconds: Its time within a video, or since a camera was opened; 0 for a picture.
    """

    bgr: np.ndarray
    source: str
    index: int = 0
    seconds: float = 0.0


class Skipped(NamedTuple):
    """A picture, or a part of a video, that could not be used, and why in a few words."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Classified:
    """What a classifier says about the crop of each detection, see `predict.cascade`.

    Attributes:
        names: The classifier's classes; class ids are places in it.
        class_id: int64 `(n,)`, -1 for "unknown".
        confidence: float32 `(n,)`, the highest probability, 0..1, also of an "unknown".
    """

    names: tuple[str, ...]
    class_id: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True, slots=True)
class Detections:
    """The objects found in one frame.

    Attributes:
        xyxy: float32 `(n, 4)`, corners in pixels of the original picture.
        class_id: int64 `(n,)`.
        confidence: float32 `(n,)` in 0..1, falling.
        track_id: int64 `(n,)`, -1 for what has no track yet; None where nothing is tracked.
        classified: A second model's answer about each crop; None where there is none.
    """

    xyxy: np.ndarray
    class_id: np.ndarray
    confidence: np.ndarray
    track_id: np.ndarray | None = None
    classified: Classified | None = None

    def __len__(self) -> int:
        return len(self.class_id)

    @classmethod
    def empty(cls) -> Detections:
        """No objects at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Scores:
    """How sure a classifier is of each class for one frame.

    Attributes:
        probability: float32 `(classes,)`, summing to 1, calibrated.
        threshold: Below it the answer is "unknown": one for all classes, or float32 `(classes,)`.
        members: Of an ensemble, what each member said, in the order of `probability`'s classes.
    """

    probability: np.ndarray
    threshold: float | np.ndarray = 0.0
    members: tuple[Scores, ...] = ()

    @property
    def class_id(self) -> int | None:
        """The most probable class, None when it is below its threshold: "unknown"."""
        best = int(self.probability.argmax())
        return best if self.probability[best] >= self.thresholds[best] else None

    @property
    def thresholds(self) -> np.ndarray:
        """The threshold of each class, float32 `(classes,)`."""
        return np.broadcast_to(np.asarray(self.threshold, np.float32), self.probability.shape)

    @property
    def confidence(self) -> float:
        """The highest probability, 0..1."""
        return float(self.probability.max())


@dataclass(frozen=True, slots=True)
class Prediction:
    """One frame with its result and the milliseconds that each stage took."""

    frame: Frame
    result: Detections | Scores
    milliseconds: dict[str, float] = field(default_factory=dict)

    def as_record(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The frame's line in the JSONL output."""
        height, width = self.frame.bgr.shape[:2]
        record: dict[str, Any] = {
            "source": self.frame.source, "index": self.frame.index, "seconds": round(self.frame.seconds, 3),
            "width": width, "height": height,
        }  # fmt: skip
        if isinstance(self.result, Detections):
            record["detections"] = [
                {
                    "class": names[c],
                    "class_id": int(c),
                    "confidence": round(float(p), 4),
                    "xyxy": [round(float(v), 1) for v in box],
                }
                for box, c, p in zip(self.result.xyxy, self.result.class_id, self.result.confidence, strict=True)
            ]
        else:
            best = self.result.class_id
            record["class"] = "unknown" if best is None else names[best]
            record["class_id"] = best
            record["confidence"] = round(self.result.confidence, 4)
            record["probabilities"] = {
                n: round(float(p), 4) for n, p in zip(names, self.result.probability, strict=True)
            }
            if self.result.members:  # each member's own answer, in the order in which they were given
                said = [(int(one.probability.argmax()), one.confidence) for one in self.result.members]
                record["members"] = [{"class": names[best], "confidence": round(p, 4)} for best, p in said]
        return record
