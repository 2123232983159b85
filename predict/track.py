"""Ids that stay: which object of this frame is which of the frames before.

By ByteTrack: Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022, section
3; the implementation is Roboflow's `trackers`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.extras import need_extra
from ..weights.bundle import BundleRecord
from .decode import thresholds_of
from .results import Detections, Frame, Prediction, Scores

FAINT = 0.4
_REFERENCE_RATE = 30.0  # the buffer of `trackers` is counted in frames of such a film
_TRAIL_SECONDS = 1.0
_SURE, _NOT_SURE = 1.0, 0.1
_BETWEEN = 0.5


class Tracker:
    """Gives each object an id for as long as it is seen, see `Stage`.

    ByteTrack begins a track with what the model is sure of, and goes on with boxes that it is less sure of: half hidden
    or blurred, an object is still where it was expected to be. So the model is asked for boxes down to `FAINT` times
    the confidence that the person wants. Those are shown only where they go on with a track; all others are as sure as
    they would be without tracking. An object gets its id in the second frame in which it is seen.

    Boxes are matched by place and motion, whatever their class, so that an object whose class wavers keeps its id; the
    class is what the model says of each frame. Ids count from 1 and no id comes twice in a run: where another film
    begins, all tracks end.

    Args:
        record: A detector's, for its thresholds.
        frames_per_second: Of a video; None where frames come as they come. Where frames have a time, as those of videos
            and cameras do, motion and the buffer go by that time, so frames may be left out.
        lost_seconds: For so long an object may be hidden and keeps its id.

    Raises:
        MissingExtraError: the libraries are not installed.
    """

    name = "track"

    def __init__(
        self, record: BundleRecord, *, frames_per_second: float | None = None, lost_seconds: float = 1.0
    ) -> None:
        need_extra("track", "Tracking objects")
        rate = frames_per_second or _REFERENCE_RATE
        self._tracks, self._supervision = _open_tracker(rate, lost_seconds)
        self._record = record
        self._wanted = thresholds_of(record)
        self._trails: dict[int, deque[tuple[float, float]]] = {}
        self._trail_length = max(2, round(rate * _TRAIL_SECONDS))
        self._last_seen: dict[int, int] = {}
        self._longest_gap = max(1, round(rate * lost_seconds)) + 1
        self._next_id = 1
        self._first_id = 1
        self._last: Frame | None = None
        self._frames = 0

    def asks(self, confidence: float | None) -> float | None:
        """See `Stage.asks`: fainter boxes than are wanted."""
        self._wanted = thresholds_of(self._record, confidence)
        return FAINT * float(self._wanted.min())

    def apply(self, predictions: Sequence[Prediction]) -> list[Detections | Scores]:
        """See `Stage.apply`; detections get their `track_id` and `trails`, and faint ones without a track go."""
        return [
            self._follow(one.frame, one.result) if isinstance(one.result, Detections) else one.result
            for one in predictions
        ]

    def _follow(self, frame: Frame, found: Detections) -> Detections:
        if self._last is not None and _is_another_film(self._last, frame):
            self._tracks.reset()
            self._last = None
            self._first_id = self._next_id
            self._trails.clear()
            self._last_seen.clear()
        # Pictures have no time; a frame at the time of the one before gets the time of one frame more.
        timed = frame.seconds > (0.0 if self._last is None else self._last.seconds)
        self._last = replace(frame, bgr=frame.bgr[:0].copy())  # without the picture, which would stay in memory
        self._frames += 1
        sure = found.confidence > self._wanted[found.class_id]
        track_id = self._ids(found, sure, frame.seconds if timed else None)
        shown = found.take(sure | (track_id >= 0))
        track_id = track_id[sure | (track_id >= 0)]
        return replace(shown, track_id=track_id, trails=self._extend_trails(shown.xyxy, track_id))

    def _ids(self, found: Detections, sure: np.ndarray, seconds: float | None) -> np.ndarray:
        """The id of each detection, -1 where it has none; int64 `(n,)`.

        Thresholds differ by class, and the tracker has one for all: it is told which boxes are sure, not how sure.
        """
        answer = self._tracks.update(
            self._supervision.Detections(
                xyxy=found.xyxy, confidence=np.where(sure, _SURE, _NOT_SURE), class_id=np.arange(len(found))
            ),
            timestamp=seconds,
        )
        track_id = np.full(len(found), -1, np.int64)
        if len(answer):
            known = answer.tracker_id >= 0
            track_id[answer.class_id[known]] = answer.tracker_id[known] + self._first_id
        self._next_id = max(self._next_id, int(track_id.max(initial=-1)) + 1)
        return track_id

    def _extend_trails(self, xyxy: np.ndarray, track_id: np.ndarray) -> tuple[np.ndarray, ...]:
        """Where the centre of each object was; what is gone for too long to come back is forgotten."""
        for number, (x1, y1, x2, y2) in zip(track_id.tolist(), xyxy.tolist(), strict=True):
            if number >= 0:
                self._trails.setdefault(number, deque(maxlen=self._trail_length)).append(((x1 + x2) / 2, (y1 + y2) / 2))
                self._last_seen[number] = self._frames
        gone = [number for number, seen in self._last_seen.items() if self._frames - seen > self._longest_gap]
        for number in gone:
            del self._trails[number], self._last_seen[number]
        nothing = np.zeros((0, 2), np.float32)
        return tuple(
            np.array(self._trails[number], np.float32) if number >= 0 else nothing for number in track_id.tolist()
        )


def _open_tracker(rate: float, lost_seconds: float) -> tuple[Any, Any]:
    import supervision
    from trackers import ByteTrackTracker

    tracker = ByteTrackTracker(
        lost_track_buffer=round(lost_seconds * _REFERENCE_RATE),
        frame_rate=rate,
        track_activation_threshold=_BETWEEN,
        high_conf_det_threshold=_BETWEEN,
    )
    return tracker, supervision


def _is_another_film(before: Frame, now: Frame) -> bool:
    """Whether a frame does not follow on the one before: the frames of a film count on, and so does their time."""
    return now.index <= before.index or now.seconds < before.seconds
