"""What is said of a frame: its line in predictions.jsonl."""

from __future__ import annotations

import json

import numpy as np

from lensmith.predict.results import Classified, Count, Detections, Frame, Prediction

_NAMES = ("piece", "hand")


def _detections(track_id: np.ndarray | None = None, classified: Classified | None = None) -> Detections:
    boxes = np.array([[1, 2, 30, 40], [5.25, 6, 7, 8]], np.float32)
    return Detections(boxes, np.array([1, 0]), np.array([0.9, 0.5], np.float32), track_id, classified)


def _record(result: Detections) -> dict[str, object]:
    return Prediction(Frame(np.zeros((50, 60, 3), np.uint8), "a.jpg"), result).as_record(_NAMES)


def test_a_plain_detection_has_no_words_about_tracks_or_a_second_model() -> None:
    record = _record(_detections())
    assert record["detections"] == [
        {"class": "hand", "class_id": 1, "confidence": 0.9, "xyxy": [1.0, 2.0, 30.0, 40.0]},
        {"class": "piece", "class_id": 0, "confidence": 0.5, "xyxy": [5.2, 6.0, 7.0, 8.0]},
    ]
    assert "counts" not in record


def test_tracks_and_the_classifiers_answers_stand_beside_each_detection() -> None:
    said = Classified(("king", "queen"), np.array([1, -1]), np.array([0.88, 0.4], np.float32))
    record = json.loads(json.dumps(_record(_detections(np.array([7, -1]), said))))
    first, second = record["detections"]
    assert (first["track_id"], second["track_id"]) == (7, None)
    assert first["classifier"] == {"class": "queen", "class_id": 1, "confidence": 0.88}
    assert second["classifier"] == {"class": "unknown", "class_id": None, "confidence": 0.4}


def test_counts_stand_in_the_record_of_the_frame_under_their_names() -> None:
    door = Count("door", np.array([[0, 25], [60, 25]], np.float32), {"in": {"hand": 2}, "out": {}})
    found = Detections(*(getattr(_detections(), name) for name in ("xyxy", "class_id", "confidence")), counts=(door,))
    assert json.loads(json.dumps(_record(found)))["counts"] == {"door": {"in": {"hand": 2}, "out": {}}}
    assert door.is_line
    assert door.totals() == {"in": 2, "out": 0}


def test_taking_some_rows_takes_all_that_is_known_of_them() -> None:
    said = Classified(("king", "queen"), np.array([1, 0]), np.array([0.88, 0.4], np.float32))
    taken = _detections(np.array([7, 8]), said).take(np.array([False, True]))
    assert taken.classified
    assert (taken.class_id.tolist(), taken.track_id, taken.classified.name_of(0)) == ([0], np.array([8]), "king")
    assert taken.xyxy.tolist() == [[5.25, 6, 7, 8]]
