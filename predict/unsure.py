"""Find the frames about which a model is unsure: those that teach it most once a person has labelled them.

How a frame's doubt is counted, from 0 (sure) to 1:

    detector     1 - 2 |p - 0.5| of the box for which it is highest, among boxes with a confidence p within the range
    classifier   1 - (p1 - p2), the two highest probabilities, where p1 is within the range

A frame without anything in the range does not count. This is least-confidence and margin sampling; see B. Settles,
"Active Learning Literature Survey", 2009, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import UsageError
from ..core.files import slug
from ..core.images import write_image
from ..core.progress import progress
from .decode import thresholds_of
from .loop import predict_frames
from .model import Model, Predictor
from .results import Detections, Frame, Prediction, Scores
from .sources import PicturesBase, PictureSource, Source, StdinSource
from .tiles import Tiled


@dataclass(frozen=True)
class UnsureConfig:
    """Which frames to choose.

    Attributes:
        lowest, highest: The range of confidences that counts as unsure, 0..1.
        limit: How many frames at most.
        apart_seconds: Of a video or a camera, of frames nearer to one another than this only the most doubtful is
            chosen: they show the same.
    """

    lowest: float = 0.25
    highest: float = 0.6
    limit: int = 100
    apart_seconds: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class UnsureFrame:
    """A frame that is worth labelling.

    Attributes:
        source: Path of the picture or the video, or what it is called.
        index, seconds: Its place in the video.
        width, height: Pixels.
        doubt: See the module.
        result: What the model says.
        picture: A file that shows it: the picture's own, or a JPEG of the frame.
    """

    source: str
    index: int
    seconds: float
    width: int
    height: int
    doubt: float
    result: Detections | Scores
    picture: Path


class UnsureFrames:
    """Keeps the most doubtful frames that pass by, see `Stage`; to be the first of the stages.

    The model is asked for boxes from `config.lowest` up. What the person did not ask for goes no further, so nothing
    else sees more than it would without this stage.

    Args:
        config: The range and the limit.
        model: What is in front.
        source: Where the frames are from. Frames that are no picture files are written into `folder`.
        folder: An existing folder.

    Raises:
        UsageError: the range is none.
    """

    name = "choose"

    def __init__(self, config: UnsureConfig, model: Predictor, source: Source, folder: Path) -> None:
        if not 0 <= config.lowest < config.highest <= 1:
            raise UsageError(
                f"{config.lowest:g}-{config.highest:g} is no range of confidences.",
                where="--uncertain",
                next_step="give two numbers between 0 and 1, the lower first: 0.25-0.6",
            )
        self._config, self._folder = config, folder
        self._record = model.bundle.record if isinstance(model, Model | Tiled) else None
        self._wanted: np.ndarray | None = None
        self._are_files = isinstance(source, PictureSource | StdinSource)
        self._in_time = not isinstance(source, PicturesBase)
        self._name = slug(source.name)
        self._kept: list[UnsureFrame] = []

    def asks(self, confidence: float | None) -> float | None:
        """See `Stage.asks`: boxes from the range on. A classifier always tells how sure it is of each class."""
        if self._record is None or self._record.task != "detect":
            return confidence
        self._wanted = thresholds_of(self._record, confidence)
        return min(self._config.lowest, float(self._wanted.min()))

    def apply(self, predictions: Sequence[Prediction]) -> list[Detections | Scores]:
        """See `Stage.apply`; a frame that is kept is written at once.

        Raises:
            OSError: it cannot be written, as the system gave it.
        """
        return [self._look_at(one) for one in predictions]

    def _look_at(self, prediction: Prediction) -> Detections | Scores:
        found = prediction.result
        if isinstance(found, Detections):
            self._keep(prediction.frame, found.take(found.confidence > self._config.lowest))
            return found if self._wanted is None else found.take(found.confidence > self._wanted[found.class_id])
        self._keep(prediction.frame, found)
        return found

    def _keep(self, frame: Frame, result: Detections | Scores) -> None:
        doubt = _doubt(result, self._config)
        if doubt is None or not self._makes_room(doubt, frame.seconds):
            return
        height, width = frame.bgr.shape[:2]
        picture = Path(frame.source)
        if not self._are_files:
            picture = self._folder / f"{self._name}-{frame.index:06d}.jpg"
            write_image(picture, frame.bgr)
        self._kept.append(
            UnsureFrame(frame.source, frame.index, frame.seconds, width, height, doubt, result, picture)
        )  # fmt: skip

    def chosen(self) -> list[UnsureFrame]:
        """The frames, the most doubtful first; of equal ones the earlier first."""
        return sorted(self._kept, key=lambda frame: -frame.doubt)

    def _makes_room(self, doubt: float, seconds: float) -> bool:
        """Whether a frame with this doubt is kept; what it takes the place of is dropped."""
        near = [frame for frame in self._kept if self._is_near(frame, seconds)]
        if any(frame.doubt >= doubt for frame in near):
            return False
        gone = near
        if not near and len(self._kept) >= self._config.limit:
            least = min(reversed(self._kept), key=lambda frame: frame.doubt)
            if least.doubt >= doubt:
                return False
            gone = [least]
        if not self._are_files:
            for frame in gone:
                frame.picture.unlink(missing_ok=True)
        self._kept = [frame for frame in self._kept if all(frame is not other for other in gone)]
        return True

    def _is_near(self, frame: UnsureFrame, seconds: float) -> bool:
        return self._in_time and abs(frame.seconds - seconds) < self._config.apart_seconds


def find_unsure(
    source: Source, model: Predictor, folder: Path, config: UnsureConfig | None = None
) -> list[UnsureFrame]:
    """Run a model over a source and choose the frames that it is least sure of.

    Args:
        source: Pictures or a video; gone through once.
        model: From `open_model`.
        folder: An existing folder for frames that are no picture files.
        config: The range and the limit.

    Returns:
        The frames, the most doubtful first; of equal ones the earlier first. Detections are from `config.lowest` up.

    Raises:
        UsageError: the range is none.
        DataError: a video holds no frame, or the model does not fit its record.
        OSError: a frame cannot be written, as the system gave it.
    """
    config = config or UnsureConfig()
    found = UnsureFrames(config, model, source, folder)
    with (
        progress(f"predicting on {source.name}", source.total) as advance,
        closing(predict_frames(source, model, stages=[found])) as predictions,
    ):
        for _ in predictions:
            advance(1)
    return found.chosen()


def _doubt(result: Detections | Scores, config: UnsureConfig) -> float | None:
    if isinstance(result, Detections):
        within = result.confidence[(result.confidence >= config.lowest) & (result.confidence <= config.highest)]
        return float(1 - 2 * np.abs(within - 0.5).min()) if len(within) else None
    if not config.lowest <= result.confidence <= config.highest:
        return None
    second, first = np.partition(np.append(result.probability, 0.0), -2)[-2:]
    return float(1 - (first - second))
