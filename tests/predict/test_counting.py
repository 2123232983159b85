"""Lines and zones: what a person may write, and counts that are exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from lensmith.core.errors import UsageError
from lensmith.predict.counting import Counting, parse_regions
from lensmith.predict.results import Classified, Count, Detections, Frame, Prediction
from lensmith.predict.summary import Summary

_NAMES = ("car", "person")
_SIZE = 200


def _frames(
    *tracks: Sequence[tuple[float, float] | None],
    class_id: Sequence[int] = (0, 0, 0),
    side: float = 20,
    size: int = _SIZE,
) -> Iterator[Prediction]:
    """One prediction for each place of the objects' centres; None where one is not seen. Ids are 1, 2, ..."""
    for number, places in enumerate(zip(*tracks, strict=True)):
        seen = [(track, place) for track, place in enumerate(places, 1) if place is not None]
        boxes = np.array([(x - side / 2, y - side / 2, x + side / 2, y + side / 2) for _, (x, y) in seen], np.float32)
        found = Detections(
            boxes.reshape(-1, 4), np.array([class_id[track - 1] for track, _ in seen], np.int64),
            np.ones(len(seen), np.float32), np.array([track for track, _ in seen], np.int64),
        )  # fmt: skip
        yield Prediction(Frame(np.zeros((size, size, 3), np.uint8), "film.mp4", number, number / 30), found)


def _down(start: int = 40, stop: int = 160, step: int = 4, x: float = 100) -> list[tuple[float, float] | None]:
    return [(x, y) for y in range(start, stop, step)]


def _counts(counting: Counting, predictions: Iterator[Prediction]) -> tuple[Count, ...]:
    done: tuple[Count, ...] = ()
    for one in predictions:
        (result,) = counting.apply([one])
        assert isinstance(result, Detections)
        done = result.counts
    return done


def _lines(*texts: str) -> Counting:
    return Counting(parse_regions(texts, []), _NAMES)


def _zones(*texts: str) -> Counting:
    return Counting(parse_regions([], texts), _NAMES)


@pytest.mark.parametrize(
    ("line", "way", "expected"),
    [
        ("0,0.5,1,0.5", _down(), (1, 0)),
        ("0,100,200,100", _down(), (1, 0)),
        ("1,0.5,0,0.5", _down(), (0, 1)),
        ("0,0.5,1,0.5", _down()[::-1], (0, 1)),
        ("0,0.5,1,0.5", _down() + _down()[::-1] + _down(), (2, 1)),
        ("0,0.5,1,0.5", [(100, 40), (100, 160)], (1, 0)),  # too fast to be seen near the line
        ("0,0.5,0.4,0.5", _down(), (0, 0)),  # passes beside it
        ("0.5,0,0.5,1", [(x, 50.0) for x in range(40, 160, 5)], (0, 1)),
        ("0,0,1,1", [(150.0, 20.0), (150.0, 100.0), (100.0, 180.0)], (1, 0)),
    ],
)
def test_a_line_counts_what_crosses_it_and_which_way(
    line: str, way: list[tuple[float, float] | None], expected: tuple[int, int]
) -> None:
    (count,) = _counts(_lines(line), _frames(way))
    assert (count.totals()["in"], count.totals()["out"]) == expected


def test_what_trembles_on_the_line_is_counted_once() -> None:
    rng = np.random.default_rng(0)
    still: list[tuple[float, float] | None] = [(100, 100 + float(rng.uniform(-1, 1))) for _ in range(200)]
    (count,) = _counts(_lines("0,0.5,1,0.5"), _frames(_down(40, 100) + still + _down(100, 160)))
    assert count.totals() == {"in": 1, "out": 0}


def test_hidden_at_the_line_it_is_counted_when_it_comes_out() -> None:
    gap: list[tuple[float, float] | None] = [None] * 12
    (count,) = _counts(_lines("0,0.5,1,0.5"), _frames(_down(40, 90) + gap + _down(120, 160)))
    assert count.totals() == {"in": 1, "out": 0}


def test_what_goes_around_the_end_of_a_line_does_not_cross_it() -> None:
    around = [(60.0, y) for y in (60, 80)] + [(x, 80.0) for x in (90, 120, 150)] + [(150.0, 130.0), (60.0, 130.0)]
    (count,) = _counts(_lines("0,0.5,0.6,0.5"), _frames(around))
    assert count.totals() == {"in": 0, "out": 0}


def test_several_objects_classes_and_lines_are_told_apart() -> None:
    counting = _lines("door=0,0.5,1,0.5", "gate=0,0.7,1,0.7")
    down, half, up = _down(40, 160), _down(40, 160)[:20] + [None] * 10, _down(40, 160, x=30)[::-1]
    door, gate = _counts(counting, _frames(down, half, up, class_id=(0, 0, 1)))
    assert (door.name, door.numbers) == ("door", {"in": {"car": 2}, "out": {"person": 1}})
    assert (gate.name, gate.numbers) == ("gate", {"in": {"car": 1}, "out": {"person": 1}})


def test_a_zone_counts_who_is_inside_now_and_who_ever_was() -> None:
    counting = _zones("0.4,0.4,0.6,0.4,0.6,0.6,0.4,0.6")
    inside = []
    for one in _frames(_down(), [(100, 100)] * 30, [(20, 20)] * 30):
        (result,) = counting.apply([one])
        assert isinstance(result, Detections)
        inside.append(result.counts[0].totals()["inside"])
    assert (inside[0], max(inside), inside[-1]) == (1, 2, 1)
    assert result.counts[0].numbers["entered"] == {"car": 2}


def test_without_tracks_a_zone_tells_who_is_inside_and_a_line_nothing() -> None:
    (frame,) = _frames([(100, 100)])
    assert isinstance(frame.result, Detections)
    plain = Detections(frame.result.xyxy, frame.result.class_id, frame.result.confidence)
    (done,) = _zones("0,0,1,0,1,1,0,1").apply([Prediction(frame.frame, plain)])
    assert isinstance(done, Detections)
    assert done.counts[0].numbers == {"inside": {"car": 1}}


def test_what_the_second_model_says_is_counted_apart() -> None:
    counting = _lines("0,0.5,1,0.5")
    for one in _frames(_down()):
        assert isinstance(one.result, Detections)
        said = Classified(("taxi",), np.array([0]), np.array([0.9], np.float32))
        found = Detections(
            one.result.xyxy, one.result.class_id, one.result.confidence, one.result.track_id, classified=said
        )
        (result,) = counting.apply([Prediction(one.frame, found)])
    assert isinstance(result, Detections)
    assert result.counts[0].numbers["in"] == {"car: taxi": 1}


def _wavering(said: list[tuple[int, float]], way: list[tuple[float, float]]) -> Iterator[Prediction]:
    """One object, of which the model says this class with this confidence in each frame."""
    for one, (class_id, confidence) in zip(_frames(way), said, strict=True):
        assert isinstance(one.result, Detections)
        found = replace(one.result, class_id=np.array([class_id]), confidence=np.array([confidence], np.float32))
        yield replace(one, result=found)


def test_one_object_has_one_name_at_lines_in_zones_and_in_the_summary() -> None:
    person, car = 1, 0
    said = [(person, 0.3), (person, 0.2), *[(car, 0.4)] * 8, (person, 0.9)]
    counting = Counting(parse_regions(["door=0,0.5,1,0.5"], ["yard=0,0.4,1,0.4,1,1,0,1"]), _NAMES)
    summary = Summary(_NAMES)
    first: tuple[Count, ...] = ()
    for one in _wavering(said, [(100.0, 90.0), *[(100.0, 120.0)] * 10]):
        (result,) = counting.apply([one])
        assert isinstance(result, Detections)
        first = first or result.counts
        summary.add(replace(one, result=result))
    door, yard = result.counts
    assert first[1].numbers == {"inside": {"person": 1}, "entered": {"person": 1}}  # nothing else is known yet
    assert door.numbers == {"in": {"car": 1}, "out": {}}
    assert yard.numbers == {"inside": {"car": 1}, "entered": {"car": 1}}
    assert summary.told_of_stages() == [
        "different objects followed: car 1", "door, in: car 1", "door, out: none", "yard, inside: car 1",
        "yard, entered: car 1",
    ]  # fmt: skip
    assert summary.as_result()["tracks"] == {"car": 1}
    records = result.as_records(_NAMES)
    assert [record["class"] for record in records] == ["person"]  # of one frame: what the model says of it


def test_a_sure_frame_weighs_more_than_two_faint_ones() -> None:
    (count,) = _counts(_zones("0,0,1,0,1,1,0,1"), _wavering([(0, 0.2), (1, 0.9), (0, 0.2)], [(100.0, 100.0)] * 3))
    assert count.numbers == {"inside": {"person": 1}, "entered": {"person": 1}}


def test_the_second_models_answer_is_that_of_most_frames_too() -> None:
    counting = _lines("0,0.5,1,0.5")
    for number, one in enumerate(_frames(_down())):
        assert isinstance(one.result, Detections)
        said = Classified(("taxi", "van"), np.array([int(number == 16)]), np.array([0.9], np.float32))
        (result,) = counting.apply([replace(one, result=replace(one.result, classified=said))])
    assert isinstance(result, Detections)
    assert result.counts[0].numbers["in"] == {"car: taxi": 1}


def test_tracks_that_are_over_are_forgotten() -> None:
    counting = Counting(parse_regions(["0,0.5,1,0.5"], ["0,0,1,0,1,1,0,1"]), _NAMES)
    for number in range(3000):
        found = Detections(
            np.array([[90, 20, 110, 40]], np.float32), np.zeros(1, np.int64), np.ones(1, np.float32), np.array([number])
        )
        (result,) = counting.apply([Prediction(Frame(np.zeros((200, 200, 3), np.uint8), "film.mp4"), found)])
    assert isinstance(result, Detections)
    assert result.counts[1].totals() == {"inside": 1, "entered": 3000}
    line, zone = counting._counters
    assert len(line.passers) <= 2001  # type: ignore[union-attr]
    assert len(zone.entered) <= 2001  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("lines", "zones", "words"),
    [
        (["0,0.5,1"], [], "two ends"),
        (["a,b,c,d"], [], "not a row of numbers"),
        (["0,0,0,0"], [], "the same point"),
        (["0,-1,1,1"], [], "0 or more"),
        (["0,nan,1,1"], [], "0 or more"),
        (["0,inf,1,1"], [], "0 or more"),
        (["0,0.5,640,0.5"], [], "mixes shares"),
        (["=0,0.5,1,0.5"], [], "name of a line"),
        (["a\x1b[2J=0,0.5,1,0.5"], [], "name of a line"),
        (["x" * 41 + "=0,0.5,1,0.5"], [], "name of a line"),
        (["a=0,0.5,1,0.5", "a=0,0.6,1,0.6"], [], "two lines or zones called 'a'"),
        ([], ["0,0,1,1"], "three corners"),
        ([], ["0,0,1,1,0"], "three corners"),
        ([], ["0,0,0.5,0.5,1,1"], "encloses nothing"),
        ([""], [], "not a row of numbers"),
    ],
)
def test_a_wrong_line_or_zone_is_said(lines: list[str], zones: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_regions(lines, zones)
    assert caught.value.next_step


def test_names_that_nobody_gave_count_up() -> None:
    regions = parse_regions(["0,0.5,1,0.5", "door=0,0.6,1,0.6", "0,0.7,1,0.7"], ["0,0,1,0,1,1"])
    assert [region.name for region in regions] == ["line-1", "door", "line-3", "zone"]


def test_pixels_beside_the_frame_are_an_error_and_shares_follow_its_size() -> None:
    counting = _lines("900,10,950,10")
    with pytest.raises(UsageError, match="outside of the frame, which has 200 x 200"):
        _counts(counting, _frames(_down()))
    some = _lines("150,10,190,10")
    _counts(some, _frames([(100, 100)]))
    _counts(some, _frames([(50, 50)], size=100))  # a smaller picture among others ends nothing
    shares = _lines("0,0.5,1,0.5")
    (small,) = _counts(shares, _frames([(10, 10)], size=100))
    (large,) = _counts(shares, _frames([(10, 10)], size=400))
    assert small.points.tolist() == [[0, 50], [100, 50]]
    assert large.points.tolist() == [[0, 200], [400, 200]]
