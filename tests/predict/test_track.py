"""Ids that stay: films of moving blocks through a real model and the real tracker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lensmith.core.errors import MissingExtraError
from lensmith.core.extras import has_extra
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import Model, open_model
from lensmith.predict.results import Detections, Frame, Prediction
from lensmith.predict.track import FAINT, Tracker

from .films import Way, film, straight
from .make_bundle import blocks, make_follower

_BLUE, _GREEN, _RED = range(3)

pytestmark = pytest.mark.skipif(not has_extra("track"), reason="the libraries for tracking are not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return open_model(make_follower(tmp_path_factory.mktemp("track") / "follower"), engine="onnxruntime")


def _tracker(model: Model, rate: float | None = 30.0) -> Tracker:
    return Tracker(model.bundle.record, frames_per_second=rate)


def _run(model: Model, frames: list[Frame], tracker: Tracker) -> list[Detections]:
    found = [one.result for one in predict_frames(frames, model, stages=[tracker])]
    assert all(isinstance(one, Detections) for one in found)
    return [one for one in found if isinstance(one, Detections)]


def _ids(found: list[Detections], class_id: int) -> list[int | None]:
    """The id of the object of one colour in each frame, None where it was not found."""
    return [
        next((int(t) for c, t in zip(one.class_id, one.track_id, strict=True) if c == class_id), None)
        for one in found
        if one.track_id is not None
    ]


def test_two_that_pass_each_other_keep_their_ids(model: Model) -> None:
    ways: dict[int, Way] = {_BLUE: straight((14, 40), (2, 0)), _RED: straight((114, 70), (-2, 0))}
    found = _run(model, film(ways, 50), _tracker(model))
    blue, red = _ids(found, _BLUE), _ids(found, _RED)
    assert (blue[0], red[0]) == (-1, -1)  # one sight is not yet an object
    assert set(blue[1:]) | set(red[1:]) == {1, 2}
    assert len(set(blue[1:])) == len(set(red[1:])) == 1


def test_what_is_not_seen_for_a_while_comes_back_with_its_id_where_its_motion_leads(model: Model) -> None:
    whole = straight((14, 64), (2, 0))
    ways: dict[int, Way] = {_BLUE: lambda number: whole(number) if not 20 <= number < 33 else (-100, 0)}
    blue = _ids(_run(model, film(ways, 50), _tracker(model)), _BLUE)
    assert blue[20:33] == [None] * 13
    assert set(blue[1:20] + blue[33:]) == {1}


def test_half_hidden_it_is_faint_and_shown_only_because_its_track_goes_on(model: Model) -> None:
    def beside(frames: list[Frame]) -> list[Frame]:  # a wall hides the lower half of what passes it
        for frame in frames[15:25]:
            frame.bgr[63:] = 128
        return frames

    frames = beside(film({_BLUE: straight((14, 64), (2, 0))}, 40))
    tracked, alone = _run(model, frames, _tracker(model)), list(predict_frames(frames, model))
    assert [len(one) for one in tracked] == [1] * 40
    for with_tracks, plain in zip(tracked, alone, strict=True):
        assert isinstance(plain.result, Detections)
        sure = with_tracks.take(with_tracks.confidence > 0.5)
        assert sure.xyxy.tolist() == plain.result.xyxy.tolist()  # what is sure is what it is without tracking
    half = [one.confidence[0] for one in tracked[15:25]]
    assert max(half) <= 0.5
    assert min(half) > FAINT * 0.5
    assert _ids(tracked, _BLUE)[1:] == [1] * 39


def test_faint_boxes_alone_never_begin_a_track(model: Model) -> None:
    faint = blocks(128, 128, (40, 40, 50, 60, _BLUE))
    frames = [Frame(faint, "film.mp4", number, number / 30) for number in range(5)]
    assert [len(one) for one in _run(model, frames, _tracker(model))] == [0] * 5


def test_gone_for_longer_than_the_buffer_it_is_another_one(model: Model) -> None:
    ways: dict[int, Way] = {_BLUE: lambda number: (64, 64) if number < 10 or number > 50 else (-100, -100)}
    blue = _ids(_run(model, film(ways, 60), _tracker(model)), _BLUE)
    assert (blue[5], blue[-1]) == (1, 2)
    slow = _ids(_run(model, film(ways, 60, rate=120.0), _tracker(model, 120.0)), _BLUE)  # a third of a second
    assert (slow[5], slow[-1]) == (1, 1)


def test_frames_left_out_do_not_end_a_track_as_time_tells_how_far_it_went(model: Model) -> None:
    ways: dict[int, Way] = {_BLUE: straight((14, 64), (2, 0))}
    frames = [frame for number, frame in enumerate(film(ways, 51)) if number < 12 or number % 10 == 0]
    blue = _ids(_run(model, frames, _tracker(model, None)), _BLUE)  # it moves by its own length between two of them
    assert len(frames) == 16
    assert set(blue[1:]) == {1}


def test_another_film_begins_new_tracks_whose_ids_are_new(model: Model) -> None:
    ways: dict[int, Way] = {_BLUE: lambda _: (64, 64)}
    tracker = _tracker(model)
    frames = film(ways, 5) + film(ways, 5, source="other.mp4")
    assert _ids(_run(model, frames, tracker), _BLUE) == [-1, 1, 1, 1, 1, -1, 2, 2, 2, 2]


def test_pictures_of_a_folder_are_a_film_in_their_order(model: Model) -> None:
    frames = [replace(one, source=f"{one.index}.jpg", seconds=0.0) for one in film({_RED: lambda _: (64, 64)}, 5)]
    assert _ids(_run(model, frames, _tracker(model, None)), _RED) == [-1, 1, 1, 1, 1]


def test_trails_end_where_the_object_is_and_are_forgotten_with_it(model: Model) -> None:
    ways: dict[int, Way] = {_BLUE: straight((14, 64), (3, 0))}
    tracker = _tracker(model)
    found = _run(model, film(ways, 80), tracker)
    trails = found[20].trails
    assert trails is not None
    assert trails[0].shape == (20, 2)  # not the first frame, in which it had no id
    assert np.allclose(trails[0][-1], (found[20].xyxy[0, :2] + found[20].xyxy[0, 2:]) / 2)
    assert len(found[-1]) == 0
    assert tracker._trails == tracker._last_seen == {}


def test_frames_without_anything_are_fine(model: Model) -> None:
    tracker = _tracker(model)
    empty = Prediction(Frame(blocks(128, 128), "film.mp4"), Detections.empty())
    (done,) = tracker.apply([empty])
    assert isinstance(done, Detections)
    assert done.track_id is not None
    assert done.track_id.shape == (0,)


def test_a_threshold_for_each_class_holds_for_tracks_too(model: Model) -> None:
    record = model.bundle.record.model_copy(update={"thresholds": (0.95, 0.5, 0.5)})
    tracker = Tracker(record, frames_per_second=30.0)
    frames = film({_BLUE: lambda _: (30, 64), _RED: lambda _: (90, 64)}, 4)
    asked = tracker.asks(None)
    assert asked == pytest.approx(0.5 * FAINT)
    done = [tracker.apply([one])[0] for one in predict_frames(frames, model, confidence=asked)]
    assert [one.class_id.tolist() for one in done if isinstance(one, Detections)] == [[_RED]] * 4


def test_missing_libraries_are_said(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lensmith.core.extras.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="'track'"):
        _tracker(model)
