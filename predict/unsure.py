"""Find the frames about which a model is unsure: those that teach it most once a person has labelled them.

How a frame's doubt is counted, from 0 (sure) to 1:

    detector     1 - 2 |p - 0.5| of the box for which it is highest, among boxes with a confidence p within the range
    classifier   1 - (p1 - p2), the two highest probabilities, where p1 is within the range

A frame without anything in the range does not count. This is least-confidence and margin sampling; see B. Settles,
"Active Learning Literature Survey", 2009, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import UsageError
from ..core.files import slug
from ..core.images import write_image
from ..core.progress import progress
from .loop import predict_frames
from .model import Predictor
from .results import Detections, Prediction, Scores
from .sources import Source


@dataclass(frozen=True)
class UnsureConfig:
    """Which frames to choose.

    Attributes:
        lowest, highest: The range of confidences that counts as unsure, 0..1.
        limit: How many frames at most.
        apart_seconds: Of a video, frames nearer to a chosen one than this are passed over: they show the same.
    """

    lowest: float = 0.25
    highest: float = 0.6
    limit: int = 100
    apart_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class UnsureFrame:
    """A frame that is worth labelling.

    Attributes:
        source: Path of the picture or the video.
        index, seconds: Its place in the video.
        width, height: Pixels.
        doubt: See the module.
        result: What the model says, boxes from `lowest` up.
    """

    source: Path
    index: int
    seconds: float
    width: int
    height: int
    doubt: float
    result: Detections | Scores


def find_unsure(source: Source, model: Predictor, config: UnsureConfig | None = None) -> list[UnsureFrame]:
    """Run a model over a source and choose the frames that it is least sure of.

    Args:
        source: Pictures or a video; gone through once.
        model: From `open_model`.
        config: The range and the limit.

    Returns:
        The frames, the most doubtful first; of equal ones the earlier first.

    Raises:
        UsageError: the range is none.
        DataError: a video holds no frame, or the model does not fit its record.
    """
    config = config or UnsureConfig()
    if not 0 <= config.lowest < config.highest <= 1:
        raise UsageError(
            f"{config.lowest:g}-{config.highest:g} is no range of confidences.",
            where="--uncertain",
            next_step="give two numbers between 0 and 1, the lower first: 0.25-0.6",
        )
    found: list[UnsureFrame] = []
    with progress(f"predicting on {source.name}", source.total) as advance:
        predictions = predict_frames(source, model, confidence=config.lowest)
        try:
            for prediction in predictions:
                doubt = _doubt(prediction.result, config)
                if doubt is not None:
                    found.append(_noted(prediction, doubt))
                advance(1)
        finally:
            predictions.close()
    found.sort(key=lambda frame: -frame.doubt)
    return _choose(found, config, is_video=source.frames_per_second is not None)


def picture_files(source: Source, frames: list[UnsureFrame], folder: Path) -> Iterator[tuple[UnsureFrame, Path]]:
    """A picture file of each frame, in the order of the source: a picture's own, a JPEG in `folder` of a video's frame.

    Args:
        source: The source that the frames are of; a video is gone through once more.
        frames: From `find_unsure`.
        folder: An existing folder for frames of a video.

    Raises:
        OSError: as the system gave it.
    """
    wanted = {frame.index: frame for frame in frames}
    if source.frames_per_second is None:
        for frame in sorted(frames, key=lambda frame: frame.index):
            yield frame, frame.source
        return
    for frame in source:
        if chosen := wanted.pop(frame.index, None):
            path = folder / f"{slug(source.name)}-{frame.index:06d}.jpg"
            write_image(path, frame.bgr)
            yield chosen, path
        if not wanted:
            return


def _doubt(result: Detections | Scores, config: UnsureConfig) -> float | None:
    if isinstance(result, Detections):
        within = result.confidence[result.confidence <= config.highest]
        return float(1 - 2 * np.abs(within - 0.5).min()) if len(within) else None
    if not config.lowest <= result.confidence <= config.highest:
        return None
    second, first = np.partition(np.append(result.probability, 0.0), -2)[-2:]
    return float(1 - (first - second))


def _noted(prediction: Prediction, doubt: float) -> UnsureFrame:
    frame = prediction.frame
    height, width = frame.bgr.shape[:2]
    return UnsureFrame(Path(frame.source), frame.index, frame.seconds, width, height, doubt, prediction.result)


def _choose(found: list[UnsureFrame], config: UnsureConfig, *, is_video: bool) -> list[UnsureFrame]:
    chosen: list[UnsureFrame] = []
    for frame in found:
        if len(chosen) == config.limit:
            break
        if is_video and any(abs(frame.seconds - other.seconds) < config.apart_seconds for other in chosen):
            continue
        chosen.append(frame)
    return chosen
