"""What is drawn of tracks, second answers, lines and zones, and that labels leave each other room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lensmith.core.draw import class_colour, draw_boxes, text_mask
from lensmith.predict.draw import _colours, _label, draw
from lensmith.predict.results import Classified, Count, Detections, Frame, Prediction

_NAMES = ("piece", "hand")
_GREY = np.full((240, 320, 3), 128, np.uint8)


def _found(*boxes: tuple[float, float, float, float], class_id: int = 0) -> Detections:
    count = len(boxes)
    return Detections(np.array(boxes, np.float32), np.full(count, class_id), np.full(count, 0.93, np.float32))


def _drawn(found: Detections) -> np.ndarray:
    return draw(Prediction(Frame(_GREY, "a.jpg"), found), _NAMES)


def _has(bgr: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (bgr == np.array(colour, np.uint8)).all(axis=2)


def test_a_label_says_number_class_and_what_the_second_model_says() -> None:
    said = Classified(("king", "queen"), np.array([1, -1]), np.array([0.88, 0.3], np.float32))
    found = _found((10, 40, 60, 90), (100, 40, 160, 90))
    assert _label(found, 0, _NAMES) == "piece 93%"
    found = replace(found, track_id=np.array([3, -1]), classified=said)
    assert [_label(found, row, _NAMES) for row in range(2)] == ["#3 piece 93%: queen 88%", "piece 93%: unknown"]


def test_the_second_models_classes_have_colours_of_their_own_and_common_names_keep_theirs() -> None:
    said = Classified(("hand", "queen"), np.array([0, 1, -1]), np.ones(3, np.float32))
    found = replace(_found((1, 1, 5, 5), (1, 1, 5, 5), (1, 1, 5, 5)), classified=said)
    assert _colours(found, _NAMES).tolist() == [1, 3, 0]


def test_labels_of_neighbours_do_not_hide_each_other() -> None:
    bgr = _GREY.copy()
    boxes = np.array([(40, 100, 100, 160), (60, 102, 120, 162), (50, 98, 110, 158)], np.float32)
    numbers = np.array([0, 1, 2])
    draw_boxes(bgr, boxes, numbers, ["first label", "second label", "third label"], text_pixels=12)
    areas = []
    for number, text in enumerate(["first label", "second label", "third label"]):
        mask = text_mask(text, 12)
        blank = int((mask == 0).sum())
        shown = int(_has(bgr, class_colour(number)).sum())
        areas.append(shown >= blank)  # nothing of it lies under another; the box adds more
    assert areas == [True, True, True]


def test_a_line_has_an_arrow_to_its_inner_side_and_a_zone_is_closed() -> None:
    line = Count("door", np.array([[0, 200], [320, 200]], np.float32), {"in": {"hand": 1}, "out": {}})
    drawn = _has(_drawn(replace(_found(), counts=(line,), xyxy=np.zeros((0, 4), np.float32))), (255, 255, 255))
    assert drawn[200].sum() > 300
    assert drawn[206:209, 155:166].any()  # below a line from left to right
    assert not drawn[215:].any()
    zone = Count("desk", np.array([[100, 100], [200, 100], [200, 200], [100, 200]], np.float32), {"inside": {}})
    drawn = _has(_drawn(replace(_found(), counts=(zone,), xyxy=np.zeros((0, 4), np.float32))), (255, 255, 255))
    assert drawn[150, 99:102].any()
    assert drawn[150, 199:202].any()
    assert not drawn[150, 110:190].any()


def test_a_trail_is_drawn_where_the_object_came_from() -> None:
    trail = np.array([[20, 220], [60, 180], [100, 140]], np.float32)
    found = replace(_found((80, 120, 120, 160), class_id=1), track_id=np.array([1]), trails=(trail,))
    assert _has(_drawn(found), class_colour(1))[198:203, 38:43].any()
    assert not _has(_drawn(replace(found, trails=None)), class_colour(1))[198:203, 38:43].any()


@pytest.mark.parametrize("points", [[[0, 0], [0, 239]], [[-50, 900], [5000, 900]], [[3, 3], [3.2, 3]]])
def test_lines_at_and_beyond_the_edges_are_drawn_as_far_as_they_go(points: list[list[float]]) -> None:
    line = Count("x" * 40, np.array(points, np.float32), {"in": {"a": 10**6}, "out": {"b": 10**6}})
    assert _drawn(replace(_found((0, 0, 9, 9)), counts=(line,))).shape == _GREY.shape
    tiny = Prediction(Frame(np.zeros((3, 2, 3), np.uint8), "a"), replace(_found((0, 0, 2, 2)), counts=(line,)))
    assert draw(tiny, _NAMES).shape == (3, 2, 3)


def test_words_are_pieced_together_as_the_whole_line_would_be() -> None:
    whole, words = text_mask("piece", 20), text_mask("piece piece", 20)
    assert words.shape[0] == whole.shape[0]
    assert np.array_equal(words[:, : whole.shape[1] - 5], whole[:, : whole.shape[1] - 5])
    assert np.array_equal(words[:, -whole.shape[1] + 5 :], whole[:, 5:])
    assert text_mask("\u0634\u0637\u0631\u0646\u062c \u0628\u064a\u062f\u0642", 20).any()


def test_more_boxes_than_there_is_room_for_labels_are_drawn_too() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 200, (300, 2))
    boxes = np.concatenate([corner, corner + 20], axis=1).astype(np.float32)
    drawn = _drawn(Detections(boxes, np.zeros(300, np.int64), np.ones(300, np.float32)))
    assert _has(drawn, class_colour(0)).any()


def test_captions_of_lines_and_zones_at_one_place_do_not_hide_each_other_and_boxes_lie_above_them() -> None:
    points = np.array([[40, 120], [280, 120]], np.float32)
    counts = tuple(Count(name, points, {"in": {}, "out": {}}) for name in ("door", "gate"))
    drawn = _drawn(replace(_found(), counts=counts, xyxy=np.zeros((0, 4), np.float32)))
    mask = text_mask("door: 0 in, 0 out", 11)
    for colour in ((255, 255, 255), (0, 220, 255)):
        assert _has(drawn, colour).sum() >= (mask == 0).sum()  # all of its ground is there
    beside = _drawn(replace(_found((100, 105, 220, 150)), counts=counts[:1]))  # a label above it would hide the caption
    assert _has(beside, (255, 255, 255)).sum() >= (mask == 0).sum()
    over = _drawn(replace(_found((100, 90, 220, 150)), counts=counts))
    assert _has(over, class_colour(0))[90:150, 100:102].all()
