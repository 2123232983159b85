"""What goes into the predict loop and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

UNKNOWN = "unknown"


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

    def as_record(self, row: int) -> dict[str, Any]:
        """The answer about one crop, as it stands beside its detection in the JSONL output."""
        number = int(self.class_id[row])
        return {
            "class": self.name_of(row), "class_id": None if number < 0 else number,
            "confidence": round(float(self.confidence[row]), 4),
        }  # fmt: skip

    def name_of(self, row: int) -> str:
        """The class of one crop in words: "unknown" where the classifier is not sure enough."""
        number = int(self.class_id[row])
        return UNKNOWN if number < 0 else self.names[number]


@dataclass(frozen=True, slots=True)
class Count:
    """What passed a line or was in a zone, from the start of the run to this frame, see `predict.counting`.

    Attributes:
        name: What the person calls it.
        points: float32 `(k, 2)`, x and y in pixels of the frame: two ends of a line, or the corners of a zone.
        numbers: By word and then by class name. A line has "in" and "out": objects that crossed it. A zone has
            "inside": objects in it now, and, where objects are tracked, "entered": those that were in it so far. An
            object that is followed has one name in all of them, see `predict.naming`, which more frames may change.
    """

    name: str
    points: np.ndarray
    numbers: dict[str, dict[str, int]]

    @property
    def is_line(self) -> bool:
        """Whether it is a line, not a zone."""
        return len(self.points) == 2

    def as_record(self) -> dict[str, Any]:
        """As it stands in the JSONL output and in the summary."""
        return {word: dict(by_class) for word, by_class in self.numbers.items()}

    def totals(self) -> dict[str, int]:
        """The numbers of all classes together, by word."""
        return {word: sum(by_class.values()) for word, by_class in self.numbers.items()}


@dataclass(frozen=True, slots=True)
class Detections:
    """The objects found in one frame.

    Attributes:
        xyxy: float32 `(n, 4)`, corners in pixels of the original picture.
        class_id: int64 `(n,)`.
        confidence: float32 `(n,)` in 0..1, falling.
        track_id: int64 `(n,)`, -1 for what has no track yet; None where nothing is tracked.
        classified: A second model's answer about each crop; None where there is none.
        trails: Where each object was a moment ago, oldest first: float32 `(k, 2)` centres in pixels for each detection.
        counts: What passed the lines and was in the zones so far.
    """

    xyxy: np.ndarray
    class_id: np.ndarray
    confidence: np.ndarray
    track_id: np.ndarray | None = None
    classified: Classified | None = None
    trails: tuple[np.ndarray, ...] | None = None
    counts: tuple[Count, ...] = ()

    def __len__(self) -> int:
        return len(self.class_id)

    def take(self, rows: np.ndarray) -> Detections:
        """Some of the detections in this order: bool `(n,)`, or places in the arrays."""
        places = np.arange(len(self))[rows]
        said = self.classified
        return replace(
            self, xyxy=self.xyxy[places], class_id=self.class_id[places], confidence=self.confidence[places],
            track_id=None if self.track_id is None else self.track_id[places],
            classified=said and Classified(said.names, said.class_id[places], said.confidence[places]),
            trails=None if self.trails is None else tuple(self.trails[place] for place in places),
        )  # fmt: skip

    def label(self, row: int, names: tuple[str, ...]) -> str:
        """What one object is in words: its class, and what the second model calls it: "piece: white-queen"."""
        name = names[int(self.class_id[row])]
        return name if self.classified is None else f"{name}: {self.classified.name_of(row)}"

    def as_records(self, names: tuple[str, ...]) -> list[dict[str, Any]]:
        """The objects as they stand in the JSONL output; "track_id" is None for what has no track yet."""
        records: list[dict[str, Any]] = []
        for row, number in enumerate(self.class_id.tolist()):
            record: dict[str, Any] = {
                "class": names[number], "class_id": number, "confidence": round(float(self.confidence[row]), 4),
                "xyxy": [round(float(value), 1) for value in self.xyxy[row]],
            }  # fmt: skip
            if self.track_id is not None:
                track = int(self.track_id[row])
                record["track_id"] = None if track < 0 else track
            if self.classified is not None:
                record["classifier"] = self.classified.as_record(row)
            records.append(record)
        return records

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
            record["detections"] = self.result.as_records(names)
            if self.result.counts:
                record["counts"] = {count.name: count.as_record() for count in self.result.counts}
        else:
            best = self.result.class_id
            record["class"] = UNKNOWN if best is None else names[best]
            record["class_id"] = best
            record["confidence"] = round(self.result.confidence, 4)
            record["probabilities"] = {
                n: round(float(p), 4) for n, p in zip(names, self.result.probability, strict=True)
            }
            if self.result.members:  # each member's own answer, in the order in which they were given
                said = [(int(one.probability.argmax()), one.confidence) for one in self.result.members]
                record["members"] = [{"class": names[best], "confidence": round(p, 4)} for best, p in said]
        return record
