"""Results drawn on a copy of the picture."""

from __future__ import annotations

import numpy as np

from ..core.draw import class_colour, draw_boxes, draw_label
from .results import Detections, Prediction, Scores


def draw(prediction: Prediction, names: tuple[str, ...]) -> np.ndarray:
    """The frame with its result drawn on it: a new uint8 BGR picture of the same size."""
    bgr = prediction.frame.bgr.copy()
    if isinstance(prediction.result, Detections):
        found = prediction.result
        rows = zip(found.class_id, found.confidence, strict=True)
        labels = [f"{names[int(class_id)]} {confidence:.0%}" for class_id, confidence in rows]
        draw_boxes(bgr, found.xyxy, found.class_id, labels)
    else:
        _draw_scores(bgr, prediction.result, names)
    return bgr


def draw_note(bgr: np.ndarray, text: str) -> None:
    """Write one line into the lower left corner of the picture itself."""
    draw_label(bgr, text, (32, 32, 32), at_bottom=True)


def _draw_scores(bgr: np.ndarray, scores: Scores, names: tuple[str, ...]) -> None:
    best = scores.class_id
    if best is None:
        likely = names[int(scores.probability.argmax())]
        draw_label(bgr, f"unknown ({likely} {scores.confidence:.0%})", (96, 96, 96))
        return
    draw_label(bgr, f"{names[best]} {scores.confidence:.0%}", class_colour(best))
