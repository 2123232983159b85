"""A network that takes any size gets its pictures with little padding, and finds what it found in the full square."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.predict.loop import predict_frames
from lensmith.predict.model import open_model
from lensmith.predict.results import Detections
from lensmith.predict.sources import open_source
from lensmith.weights.bundle import read_record
from tests.predict.make_bundle import blocks, make_detector

# Wide, high, square, very wide, and wide again: neighbours of different sizes within every batch.
SHAPES = ((128, 64), (64, 128), (128, 128), (128, 16), (128, 64), (128, 64), (64, 128))


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, (width, height) in enumerate(SHAPES):
        place = (width // 32 * 16, 0, width // 32 * 16 + 16, 16, number % 3)
        cv2.imwrite(str(folder / f"{number}.png"), blocks(width, height, place))
    return folder


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_pictures_of_many_shapes_in_one_folder(engine: str, photographs: Path, tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "weights" / "thrifty", stride=16)
    model = open_model(bundle, engine=engine, device="cpu")
    sizes = set()
    found = 0
    for prediction in predict_frames(open_source(photographs), model, confidence=0.5):
        width, _ = SHAPES[prediction.frame.index]
        assert isinstance(prediction.result, Detections)
        assert set(prediction.result.class_id) == {prediction.frame.index % 3}
        left = width // 32 * 16  # the padding moves the cells: two may share the block
        assert np.abs(prediction.result.xyxy - [[left, 0, left + 16, 16]]).max() <= 8
        sizes.add(model.prepare(prediction.frame.bgr).picture.shape[:2])
        found += 1
    assert found == len(SHAPES)
    assert sizes == {(80, 128), (128, 80), (128, 128), (32, 128)}


def test_a_bundle_that_says_nothing_of_it_fills_the_square(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "weights" / "square")
    assert read_record(bundle.folder).preprocessing.stride is None
    model = open_model(bundle, engine="onnxruntime", device="cpu")
    assert model.prepare(np.zeros((64, 128, 3), np.uint8)).picture.shape == (128, 128, 3)
