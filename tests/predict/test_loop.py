"""The loop: order, bounds, errors, ends."""

from __future__ import annotations

import collections
import contextlib
import functools
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lensmith.predict.ahead import Ahead
from lensmith.predict.engines.onnx import OnnxEngine
from lensmith.predict.loop import Waited, predict_frames
from lensmith.predict.model import Model, Predictor
from lensmith.predict.results import Detections, Frame, Scores, Skipped
from lensmith.predict.sources import Job, PicturesBase
from lensmith.predict.sources.base import Room, plenty
from lensmith.weights.bundle import Bundle

from .make_bundle import blocks, make_classifier, make_detector


@pytest.fixture
def tint(tmp_path: Path) -> Bundle:
    return make_classifier(tmp_path / "tint")


def _frames(count: int, taken: list[int] | None = None) -> Iterator[Frame]:
    for index in range(count):
        if taken is not None:
            taken.append(index)
        yield Frame(blocks(40 + index, 30, (0, 0, 40 + index, 30, index % 3)), "made", index)


def _reading() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("frames")]


@pytest.mark.parametrize("count", [0, 1, 4, 11])
@pytest.mark.parametrize("live", [False, True])
def test_each_frame_once_and_in_order(count: int, live: bool, tint: Bundle) -> None:
    done = list(predict_frames(_frames(count), Model(tint, OnnxEngine(tint)), live=live))
    assert [prediction.frame.index for prediction in done] == list(range(count))
    answers = [prediction.result.class_id for prediction in done if isinstance(prediction.result, Scores)]
    assert answers == [index % 3 for index in range(count)]
    assert all(set(p.milliseconds) == {"read", "prepare", "model", "results"} for p in done)


def test_boxes_are_in_pixels_of_the_picture(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    picture = blocks(512, 256, (256, 64, 320, 128, 2))  # one cell, after shrinking by four and 32 px of padding
    (done,) = predict_frames([Frame(picture, "made")], Model(bundle, OnnxEngine(bundle)), confidence=0.9)
    assert isinstance(done.result, Detections)
    np.testing.assert_allclose(done.result.xyxy, [[256, 64, 320, 128]])
    np.testing.assert_array_equal(done.result.class_id, [2])


def test_reads_only_a_little_ahead(tint: Bundle) -> None:
    taken: list[int] = []
    engine = OnnxEngine(tint)
    predictions = predict_frames(_frames(1000, taken), Model(tint, engine))
    next(predictions)
    threads = len(_reading())
    predictions.close()
    # what waits, one batch at the model and one in the hands of its stream, and one for each thread
    assert len(taken) <= 4 * engine.batch + threads


def test_live_reads_nothing_ahead(tint: Bundle) -> None:
    taken: list[int] = []
    predictions = predict_frames(_frames(10, taken), Model(tint, OnnxEngine(tint)), live=True)
    next(predictions)
    assert taken == [0]
    predictions.close()


def test_an_error_in_the_source_comes_after_the_frames_before_it(tint: Bundle) -> None:
    def breaking() -> Iterator[Frame]:
        yield from _frames(6)
        raise ValueError("the camera fell into the sea")

    seen = []
    with pytest.raises(ValueError, match="sea"):
        for prediction in predict_frames(breaking(), Model(tint, OnnxEngine(tint))):
            seen.append(prediction.frame.index)  # noqa: PERF401 - what came before the error counts
    assert seen == list(range(6))


def test_closing_stops_the_thread(tint: Bundle) -> None:
    predictions = predict_frames(_frames(1000), Model(tint, OnnxEngine(tint)))
    next(predictions)
    predictions.close()
    assert not _reading()


def test_threshold_of_the_bundle_unless_another_is_given(tint: Bundle) -> None:
    grey = Frame(np.full((32, 32, 3), 99, np.uint8), "made")
    (usual,) = predict_frames([grey], Model(tint, OnnxEngine(tint)))
    (low,) = predict_frames([grey], Model(tint, OnnxEngine(tint)), confidence=0.1)
    assert isinstance(usual.result, Scores)
    assert usual.result.class_id is None
    assert isinstance(low.result, Scores)
    assert low.result.class_id is not None


class _Side(PicturesBase):
    """Frames decoded side by side, each one ready only after the one behind it: `None` cannot be read."""

    def __init__(self, names: list[str | None], most: int) -> None:
        super().__init__("side", len(names))
        self._names, self._most = names, most
        self.begun = [threading.Event() for _ in names]

    def jobs(self, room: Room = plenty) -> Iterator[Job]:
        return (functools.partial(self._decode, number, name) for number, name in enumerate(self._names))

    def _decode(self, number: int, name: str | None) -> Frame | Skipped:
        self.begun[number].set()
        behind = number + 1
        if behind < len(self.begun) and behind % self._most:
            assert self.begun[behind].wait(30), "one after the other"
        if name is None:
            return Skipped(str(number), "bad")
        if name == "error":
            raise ValueError("the disk fell into the sea")
        return Frame(np.full((8, 8, 3), number, np.uint8), name, number)


def _with_cores(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr("lensmith.predict.ahead.usable_cores", lambda: cores)


def test_pictures_are_decoded_side_by_side_and_keep_their_order(tint: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_cores(monkeypatch, 3)
    source = _Side(["a", "b", None, "d", "e", "f", None, "h"], most=3)
    done = [one.frame.source for one in predict_frames(source, Model(tint, OnnxEngine(tint)))]
    assert done == ["a", "b", "d", "e", "f", "h"]
    assert source.skipped == [("2", "bad"), ("6", "bad")]
    list(predict_frames(source, Model(tint, OnnxEngine(tint))))
    assert len(source.skipped) == 2  # each round counts anew


def test_an_error_in_a_job_comes_after_the_frames_before_it(tint: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_cores(monkeypatch, 2)
    seen = []
    with pytest.raises(ValueError, match="sea"):
        for one in predict_frames(_Side(["a", "b", "c", "error", "e"], most=2), Model(tint, OnnxEngine(tint))):
            seen.append(one.frame.source)  # noqa: PERF401 - what came before the error counts
    assert seen == ["a", "b", "c"]
    assert not _reading()


def test_large_frames_wait_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_cores(monkeypatch, 2)
    made: list[int] = []
    large = np.zeros((100, 100, 3), np.uint8)

    def frames() -> Iterator[Frame]:
        for number in range(20):
            made.append(number)
            yield Frame(large, "made", number)

    ahead = Ahead(frames(), lambda bgr: bgr, 100, most_bytes=2 * large.nbytes)
    try:
        held = [ahead.take() for _ in range(6)]  # far more than may wait: whoever asks gets one
        assert [one.frame.index for one in held if one] == list(range(6))
        assert len(made) <= 6 + 2  # the threads had begun another one each
        for one in held:
            assert one
            ahead.release(one.frame)
        rest = []
        while one := ahead.take():
            rest.append(one.frame.index)
            ahead.release(one.frame)
        assert rest == list(range(6, 20))
    finally:
        ahead.close()
    assert ahead.take() is None


class _Large(PicturesBase):
    """Large pictures, of which it is noted how many are held at once, and how many wait for room."""

    def __init__(self, count: int) -> None:
        super().__init__("large", count)
        self.lock = threading.Lock()
        self.held = self.most = 0
        self.asked = threading.Semaphore(0)

    def jobs(self, room: Room = plenty) -> Iterator[Job]:
        return (functools.partial(self._decode, number, room) for number in range(self.total or 0))

    def _decode(self, number: int, room: Room) -> Frame | Skipped:
        self.asked.release()
        room(300)
        room(29_700)
        with self.lock:
            self.held += 1
            self.most = max(self.most, self.held)
        threading.Event().wait(0.002)  # decoding takes its time
        return Frame(np.full((100, 100, 3), number, np.uint8), str(number), number)


@pytest.mark.parametrize("cores", [1, 16])
def test_memory_is_asked_for_before_it_is_taken(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_cores(monkeypatch, cores)
    source = _Large(60)
    ahead = Ahead(source, lambda bgr: bgr, 100, most_bytes=3 * 30_000)
    try:
        seen, held = [], []
        while one := ahead.take():
            seen.append(one.frame.index)
            held.append(one.frame)
            if len(held) == 5:  # a batch larger than what may be ahead
                for frame in held:
                    with source.lock:
                        source.held -= 1
                    ahead.release(frame)
                held.clear()
        assert seen == list(range(60))
        assert source.most <= 5 + 3
    finally:
        ahead.close()


def test_a_thread_that_waits_keeps_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_cores(monkeypatch, 4)
    ahead = Ahead(_Large(20), lambda bgr: None, 100, most_bytes=30_000)
    try:
        for _ in range(10):
            one = ahead.take()
            assert one
            kept = weakref.ref(one.frame.bgr)
            ahead.release(one.frame)
            del one
            until = time.monotonic() + 5  # the thread that made it may still be on its way to wait
            while kept() is not None and time.monotonic() < until:
                gc.collect()
            assert kept() is None
    finally:
        ahead.close()


def test_closing_wakes_whoever_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_cores(monkeypatch, 4)
    source = _Large(9)
    ahead = Ahead(source, lambda bgr: bgr, 100, most_bytes=100)
    for _ in range(4):
        assert source.asked.acquire(timeout=30)
    ahead.close()
    assert not _reading()
    assert source.most == 0


class _Slow:
    """A model that takes its time and keeps several batches on their way, as a GPU does."""

    name, names, engine_name, device, batch, dataset = "slow", ("a",), "none", "cpu", 2, None

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def prepare(self, bgr: np.ndarray) -> np.ndarray:
        return bgr

    def infer(self, prepared):
        return [0] * len(prepared)

    def stream(self, batches):
        under_way = collections.deque()
        for tag, batch in batches:
            under_way.append((tag, len(batch)))
            if len(under_way) == 3:
                threading.Event().wait(self._seconds)
                tag, size = under_way.popleft()
                yield tag, [0] * size
        for tag, size in under_way:
            yield tag, [0] * size

    def decode(self, raw, prepared, confidence):
        return Scores(np.ones(1, np.float32))


class _Interrupted(_Slow):
    """A person presses Ctrl-C while the model works on the third frame."""

    answered = 0

    def infer(self, prepared):
        if self.answered == 2:
            raise KeyboardInterrupt
        self.answered += 1
        return [0] * len(prepared)


def test_ctrl_c_in_the_model_ends_the_source_at_once() -> None:
    ended: list[int] = []

    def frames() -> Iterator[Frame]:
        number = 0
        try:
            for number in range(9):
                yield Frame(np.zeros((8, 8, 3), np.uint8), "made", number)
        finally:
            ended.append(number)

    with pytest.raises(KeyboardInterrupt) as stopped:
        list(predict_frames(frames(), _model(_Interrupted(0)), live=True))
    assert ended == [2]
    assert stopped.tb  # what holds the frames of the stack is still here


@pytest.mark.parametrize("breaks_at", [None, 3, 8])
def test_what_is_on_its_way_is_not_lost(breaks_at: int | None) -> None:
    def frames() -> Iterator[Frame]:
        for number in range(9):
            if number == breaks_at:
                raise ValueError("the camera fell into the sea")
            yield Frame(np.zeros((8, 8, 3), np.uint8), "made", number)

    seen: list[int] = []
    with pytest.raises(ValueError, match="sea") if breaks_at else contextlib.nullcontext():
        seen.extend(one.frame.index for one in predict_frames(frames(), _model(_Slow(0))))
    assert seen == list(range(breaks_at or 9))


def test_the_slowest_part_is_what_the_loop_waited_for() -> None:
    waited = Waited()
    frames = [Frame(np.zeros((8, 8, 3), np.uint8), "made", number) for number in range(12)]
    list(predict_frames(frames, _model(_Slow(0.05)), waited=waited))
    assert waited.model > waited.source + waited.results

    def slow() -> Iterator[Frame]:
        for frame in frames:
            threading.Event().wait(0.03)
            yield frame

    waited = Waited()
    list(predict_frames(slow(), _model(_Slow(0)), waited=waited))
    assert waited.source > waited.model + waited.results


def _model(slow: _Slow) -> Predictor:
    return slow
