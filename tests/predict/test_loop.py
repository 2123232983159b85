"""The loop: order, bounds, errors, ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lensmith.predict.engines.onnx import OnnxEngine
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import Model
from lensmith.predict.results import Detections, Frame, Scores
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
    predictions.close()
    assert len(taken) <= 3 * engine.batch + 1


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
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("frames")]


def test_threshold_of_the_bundle_unless_another_is_given(tint: Bundle) -> None:
    grey = Frame(np.full((32, 32, 3), 99, np.uint8), "made")
    (usual,) = predict_frames([grey], Model(tint, OnnxEngine(tint)))
    (low,) = predict_frames([grey], Model(tint, OnnxEngine(tint)), confidence=0.1)
    assert isinstance(usual.result, Scores)
    assert usual.result.class_id is None
    assert isinstance(low.result, Scores)
    assert low.result.class_id is not None
