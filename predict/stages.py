"""What may be done with a detector's results inside the loop: classes for its crops, ids that stay, counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .results import Detections, Prediction, Scores


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
