"""How long drawing takes per frame, beside supervision's annotators: boxes with a label each, at two frame sizes.

Labels are "#12 class 93%" with numbers that change, as tracking gives them. Medians of 50 frames in milliseconds of
processor time, which is steadier than the clock on a machine with other work, and the ratio ours / supervision.
Supervision draws with OpenCV's line letters, which know ASCII only, and labels may hide each other.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import supervision

from lensmith.predict.draw import draw
from lensmith.predict.results import Detections, Frame, Prediction

_FRAMES = 60
_WARM = 10


def _predictions(width: int, height: int, count: int) -> list[Prediction]:
    rng = np.random.default_rng(0)
    frame = Frame(rng.integers(0, 255, (height, width, 3), np.uint8), "film.mp4")
    predictions = []
    for number in range(_FRAMES):
        centre, side = rng.uniform(0, 1, (count, 2)) * [width, height], rng.uniform(20, height / 5, (count, 2))
        xyxy = np.concatenate([centre - side / 2, centre + side / 2], axis=1).clip(0, [width, height] * 2)
        confidence = np.sort(rng.uniform(0.25, 1, count))[::-1].astype(np.float32)
        found = Detections(
            xyxy.astype(np.float32), rng.integers(0, 20, count), confidence, track_id=np.arange(count) + 3 * number
        )
        predictions.append(Prediction(frame, found))
    return predictions


def _by_supervision(predictions: list[Prediction], names: tuple[str, ...]) -> float:
    boxes, labels = supervision.BoxAnnotator(), supervision.LabelAnnotator()

    def one(prediction: Prediction) -> None:
        found = prediction.result
        assert isinstance(found, Detections)
        assert found.track_id is not None
        theirs = supervision.Detections(
            xyxy=found.xyxy, class_id=found.class_id, confidence=found.confidence, tracker_id=found.track_id
        )
        rows = zip(found.track_id, found.class_id, found.confidence, strict=True)
        texts = [f"#{track} {names[number]} {sure:.0%}" for track, number, sure in rows]
        labels.annotate(boxes.annotate(prediction.frame.bgr.copy(), theirs), theirs, texts)

    return _median(predictions, one)


def _median(predictions: list[Prediction], one: object) -> float:
    assert callable(one)
    times = []
    for prediction in predictions:
        began = time.process_time()
        one(prediction)
        times.append(1000 * (time.process_time() - began))
    return statistics.median(times[_WARM:])


def main() -> None:
    """Print the table."""
    names = tuple(f"class-{number}" for number in range(20))
    print(f"{'frame':>11} {'objects':>8} {'ours ms':>8} {'supervision ms':>15} {'ratio':>6}")
    for width, height in ((640, 480), (1920, 1080)):
        for count in (5, 30, 100):
            predictions = _predictions(width, height, count)
            ours = _median(predictions, lambda one: draw(one, names))
            theirs = _by_supervision(predictions, names)
            print(f"{width:>6}x{height:<4} {count:>8} {ours:>8.2f} {theirs:>15.2f} {ours / theirs:>6.2f}")


if __name__ == "__main__":
    main()
