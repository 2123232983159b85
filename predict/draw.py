"""Results drawn on a copy of the picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..core.draw import Place, class_colour, draw_boxes, draw_label, put_label, text_mask, text_size
from .results import Count, Detections, Prediction, Scores

_REGIONS = ((255, 255, 255), (0, 220, 255), (255, 200, 60), (200, 120, 255), (120, 255, 160))  # BGR


def draw(prediction: Prediction, names: tuple[str, ...]) -> np.ndarray:
    """The frame with its result drawn on it: a new uint8 BGR picture of the same size.

    A label says the track's number, the class, how sure the model is, and what a second model says of the crop: "#3
    piece 93%: white-queen 88%".
    """
    bgr = prediction.frame.bgr.copy()
    if isinstance(prediction.result, Detections):
        found = prediction.result
        colours = _colours(found, names)
        taken = _draw_counts(bgr, found.counts)  # first: boxes and their labels stay whole
        _draw_trails(bgr, found, colours)
        labels = [_label(found, row, names) for row in range(len(found))]
        draw_boxes(bgr, found.xyxy, colours, labels, taken=taken)
    else:
        _draw_scores(bgr, prediction.result, names)
    return bgr


def _label(found: Detections, row: int, names: tuple[str, ...]) -> str:
    track = -1 if found.track_id is None else int(found.track_id[row])
    number = f"#{track} " if track >= 0 else ""
    said = found.classified
    answer = "" if said is None else f": {said.name_of(row)}"
    if said is not None and said.class_id[row] >= 0:
        answer += f" {said.confidence[row]:.0%}"
    return f"{number}{names[int(found.class_id[row])]} {found.confidence[row]:.0%}{answer}"


def _colours(found: Detections, names: tuple[str, ...]) -> np.ndarray:
    """Which number chooses a box's colour: the second model's class where it has one, else the detector's."""
    if found.classified is None:
        return found.class_id
    # A detector of one class would give all pieces one colour; a name that both models know keeps its own.
    known = {name: number for number, name in enumerate(names)}
    own = np.array([known.get(name, len(names) + number) for number, name in enumerate(found.classified.names)])
    said = found.classified.class_id
    return np.where(said >= 0, own[np.maximum(said, 0)], found.class_id)


def _draw_trails(bgr: np.ndarray, found: Detections, colours: np.ndarray) -> None:
    thickness = max(1, round(sum(bgr.shape[:2]) * 0.001))
    for trail, number in zip(found.trails or (), colours, strict=False):
        if len(trail) > 1:
            cv2.polylines(bgr, [np.rint(trail).astype(np.int32)], False, class_colour(int(number)), thickness)


def _draw_counts(bgr: np.ndarray, counts: Sequence[Count]) -> list[Place]:
    """Lines and zones, each in its own colour, and their captions, none of which hides another; gives their places."""
    size = text_size(bgr)
    captions: list[tuple[np.ndarray, int, int]] = []
    for number, count in enumerate(counts):
        anchor = _draw_region(bgr, count, _REGIONS[number % len(_REGIONS)])
        told = f"{count.name}: " + ", ".join(f"{n} {word}" for word, n in count.totals().items())
        mask = text_mask(told, size)
        x = min(max(round(float(anchor[0])) - mask.shape[1] // 2, 0), max(bgr.shape[1] - mask.shape[1], 0))
        captions.append((mask, x, max(round(float(anchor[1])) - mask.shape[0], 0)))
    taken: list[Place] = []
    for number, (mask, x, y) in enumerate(captions):
        tall, wide = mask.shape
        last = max(bgr.shape[0] - tall, 0)
        # The free place nearest to where it belongs: there, or at the edge of another; without any, some are hidden.
        edges = (edge for _, top, _, bottom in taken for edge in (top - tall, bottom))
        rows = sorted((row for row in (min(y, last), *edges) if 0 <= row <= last), key=lambda row: abs(row - y))
        free = (row for row in rows if not any(_overlap((x, row, x + wide, row + tall), one) for one in taken))
        y = next(free, min(y, last))
        taken.append((x, y, x + wide, y + tall))
        put_label(bgr, mask, x, y, _REGIONS[number % len(_REGIONS)])
    return taken


def _overlap(a: Place, b: Place) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _draw_region(bgr: np.ndarray, count: Count, colour: tuple[int, int, int]) -> np.ndarray:
    """A line with an arrow that shows which way is "in", or a zone; gives the point that its caption stands above."""
    thickness = max(2, round(sum(bgr.shape[:2]) * 0.002))
    points = np.rint(count.points).astype(np.int32)
    cv2.polylines(bgr, [points], not count.is_line, colour, thickness)
    if not count.is_line:
        return count.points[count.points[:, 1].argmin()]
    middle = count.points.mean(axis=0)
    along = count.points[1] - count.points[0]
    inwards = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
    tip = middle + inwards * text_size(bgr)
    start, end = ((round(float(x)), round(float(y))) for x, y in (middle, tip))
    cv2.arrowedLine(bgr, start, end, colour, thickness, tipLength=0.4)
    return middle - (0, text_size(bgr))


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
