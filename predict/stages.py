"""What may be done with a detector's results inside the loop: classes for its crops, ids that stay."""

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

    def apply(self, predictions: Sequence[Prediction]) -> Sequence[Detections | Scores]:
        """The new result of each of these predictions, which follow one another in time."""
        ...
