"""What may be done with a detector's results inside the loop: ids that stay, classes for its crops, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..core.errors import UsageError
from ..weights.bundle import Bundle
from .cascade import check_cascade, is_detector, open_cascade
from .counting import Counting, Region
from .model import Model, Predictor
from .results import Detections, Prediction, Scores
from .tiles import Tiled
from .track import Tracker


class Stage(Protocol):
    """One step after the model, see `loop.predict_frames`.

    Attributes:
        name: What its time is called in `Prediction.milliseconds`: "classify", "track".
    """

    name: str

    def asks(self, confidence: float | None) -> float | None:
        """The confidence to ask the model for where the person wants this one; most stages want just that.

        A tracker wants fainter boxes than are shown: it takes out again what the person did not ask for.
        """
        ...

    def apply(self, predictions: Sequence[Prediction]) -> Sequence[Detections | Scores]:
        """The new result of each of these predictions, which follow one another in time."""
        ...


def asked_of_model(confidence: float | None, stages: Sequence[Stage]) -> float | None:
    """The confidence to ask the model for, so that each stage gets what it needs. Called once for each batch."""
    for stage in reversed(stages):
        confidence = stage.asks(confidence)
    return confidence


@dataclass(frozen=True)
class StagesConfig:
    """What is to be done with a detector's results.

    Attributes:
        classifiers: A classifier for its crops, or several of the same classes as one; empty for none.
        classifier_confidence: Below it the classifier's answer is "unknown", 0..1; None takes its own thresholds.
        track: Whether objects get ids that stay.
        regions: Lines and zones at which objects are counted, from `counting.parse_regions`.
        frames_per_second: Of a video, for the tracker; None for what comes as it comes.
        engine: Of the classifier, as in `open_engine`.
        device: Likewise.
    """

    classifiers: Sequence[Bundle] = ()
    classifier_confidence: float | None = None
    track: bool = False
    regions: Sequence[Region] = ()
    frames_per_second: float | None = None
    engine: str = "auto"
    device: str = "auto"


def check_stages(config: StagesConfig) -> None:
    """Whether the options fit together, before a model is opened.

    Raises:
        UsageError: a line without tracking, or a confidence for a classifier that is not there.
    """
    if config.classifier_confidence is not None and not config.classifiers:
        raise UsageError(
            "There is no classifier that could be more or less sure.",
            where="--classifier-conf",
            next_step="give --classifier NAME too; --conf is for the detector",
        )
    if not config.track and (lines := [region for region in config.regions if region.is_line]):
        raise UsageError(
            f"What crosses the line '{lines[0].name}' can only be counted if objects are followed from frame to frame.",
            where="--line",
            next_step="add --track",
        )


def check_front(config: StagesConfig, front: str, *, finds_boxes: bool) -> None:
    """Whether a model of this name can stand in front of the stages, which is known before it is opened.

    Raises:
        UsageError: it is a classifier, or what is to be behind it is none; see `open_cascade`.
    """
    if not finds_boxes and (config.track or config.regions):
        raise UsageError(
            f"'{front}' is a classifier: it finds no objects.",
            where="--track" if config.track else "--zone",
            next_step=f"give a detector with --weights, or leave {'--track' if config.track else '--zone'} out",
        )
    if config.classifiers:
        check_cascade(front, config.classifiers, finds_boxes=finds_boxes)


def open_stages(model: Predictor, config: StagesConfig) -> list[Stage]:
    """The stages for `predict_frames`, in their order: ids first, then classes, then counts.

    Args:
        model: What is in front of them.
        config: The options.

    Raises:
        UsageError: see `check_stages` and `check_front`.
        MissingExtraError: tracking without its libraries.
        LensmithError: the classifier cannot be opened.
    """
    check_stages(config)
    check_front(config, model.name, finds_boxes=is_detector(model))
    stages: list[Stage] = []
    if config.track and isinstance(model, (Model, Tiled)):
        stages.append(Tracker(model.bundle.record, frames_per_second=config.frames_per_second))
    if config.classifiers:
        stages.append(
            open_cascade(
                model, config.classifiers, confidence=config.classifier_confidence, engine=config.engine,
                device=config.device,
            )
        )  # fmt: skip
    if config.regions:
        stages.append(Counting(config.regions, model.names))
    return stages
