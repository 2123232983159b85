"""Odd frames, odd models and odd films through tracking, the second model and counting."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.cli.stage_options import stages_config
from lensmith.core.errors import DataError
from lensmith.core.extras import has_extra
from lensmith.core.workspace import Workspace
from lensmith.predict.counting import Counting, parse_regions
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import Model, open_model
from lensmith.predict.results import Detections, Frame, Prediction
from lensmith.predict.stages import Stage, StagesConfig, open_stages
from tests.helpers import records_of

from ..helpers import run_cv
from .films import film, straight
from .make_bundle import blocks, make_classifier, make_follower

pytestmark = pytest.mark.skipif(not has_extra("track"), reason="the libraries for tracking are not installed")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("odd")
    make_follower(folder / "weights" / "follower")
    make_classifier(folder / "weights" / "colours")
    return Workspace(folder)


@pytest.fixture(scope="module")
def model(place: Workspace) -> Model:
    from lensmith.weights.bundle import open_bundle

    return open_model(open_bundle("follower", place), engine="onnxruntime")


def _all(model: Model, place: Workspace) -> list[Stage]:
    config = stages_config(place, ["colours"], None, True, ["0,0.5,1,0.5"], ["0,0,1,0,1,1"])
    return open_stages(model, StagesConfig(config.classifiers, None, True, config.regions, 30.0, engine="onnxruntime"))


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (2, 3), (4320, 7680)])
def test_frames_of_any_size_go_through_all_stages(model: Model, place: Workspace, shape: tuple[int, int]) -> None:
    frames = [
        Frame(np.zeros((*shape, 3), np.uint8) + np.array([255, 0, 0], np.uint8), "x", n, n / 30) for n in range(3)
    ]
    done = list(predict_frames(frames, model, confidence=0.0, stages=_all(model, place)))
    assert len(done) == 3
    for one in done:
        json.dumps(one.as_record(model.names))


def test_a_film_that_changes_its_size_in_the_middle_keeps_its_counts(model: Model, place: Workspace) -> None:
    small = film({0: straight((64, 30), (0, 3))}, 25)
    large = [
        Frame(
            cv2.resize(one.bgr, (256, 256), interpolation=cv2.INTER_NEAREST),
            one.source,
            25 + one.index,
            1 + one.seconds,
        )
        for one in film({0: straight((64, 100), (0, -3))}, 25)
    ]
    done = list(predict_frames([*small, *large], model, stages=_all(model, place)))
    result = done[-1].result
    assert isinstance(result, Detections)
    assert result.counts[0].totals() == {"in": 1, "out": 1}
    assert result.counts[0].points.tolist() == [[0, 128], [256, 128]]


def test_boxes_that_a_model_got_wrong_are_followed_and_counted_without_a_crash(model: Model, place: Workspace) -> None:
    rng = np.random.default_rng(0)
    tracker, _, counting = _all(model, place)
    for number in range(200):
        count = int(rng.integers(0, 40))
        corner = rng.uniform(0, 128, (count, 2))
        boxes = np.concatenate([corner, corner + rng.choice([0.0, 1e-3, 5, 200], (count, 2))], axis=1).astype(
            np.float32
        )
        found = Detections(boxes, rng.integers(0, 3, count), rng.uniform(0, 1, count).astype(np.float32))
        one = Prediction(Frame(blocks(128, 128), "x", number, number / 30), found)
        (followed,) = tracker.apply([one])
        (counted,) = counting.apply([Prediction(one.frame, followed)])
        assert isinstance(counted, Detections)
        assert counted.track_id is not None
        known = counted.track_id[counted.track_id >= 0]
        assert len(set(known.tolist())) == len(known)  # no id stands for two at a time


@pytest.mark.filterwarnings("error")
def test_frames_at_the_same_time_and_at_odd_times_give_no_warning(model: Model, place: Workspace) -> None:
    frames = film({0: straight((30, 64), (1, 0))}, 12)
    times = [0.0, 0.1, 0.1, 0.1, 0.2, 5.0, 5.0, 1e6, 1e6, 1e9, 1e9, 1e9]
    odd = [Frame(one.bgr, one.source, one.index, seconds) for one, seconds in zip(frames, times, strict=True)]
    assert len(list(predict_frames(odd, model, stages=_all(model, place)))) == 12


def test_a_zone_of_very_many_corners_is_only_slow_to_write() -> None:
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    text = ",".join(
        f"{value:.6f}" for angle in angles for value in (0.5 + 0.4 * np.cos(angle), 0.5 + 0.4 * np.sin(angle))
    )
    counting = Counting(parse_regions([], [text]), ("a",))
    found = Detections(np.array([[60, 60, 68, 68]], np.float32), np.zeros(1, np.int64), np.ones(1, np.float32))
    (done,) = counting.apply([Prediction(Frame(blocks(128, 128), "x"), found)])
    assert isinstance(done, Detections)
    assert done.counts[0].totals() == {"inside": 1}


@pytest.mark.parametrize("margin", [-0.1, 2.1, 1e308, "wide", None])
def test_a_classifier_that_names_a_senseless_margin_is_refused(
    place: Workspace, tmp_path: Path, margin: object
) -> None:
    folder = tmp_path / "weights" / "odd"
    shutil.copytree(place.weights / "colours", folder)
    content = json.loads((folder / "bundle.json").read_text())
    content["classifier"]["crop_margin"] = margin
    (folder / "bundle.json").write_text(json.dumps(content))
    if margin is None:  # that is none, which is fine
        assert len(stages_config(Workspace(tmp_path), ["odd"], None, False, None, None).classifiers) == 1
        return
    with pytest.raises(DataError, match="crop_margin"):
        stages_config(Workspace(tmp_path), ["odd"], None, False, None, None)


def test_a_classifier_with_a_changed_byte_is_refused_before_anything_runs(place: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "odd"
    shutil.copytree(place.weights / "colours", folder)
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(DataError):
        stages_config(Workspace(tmp_path), ["odd"], None, False, None, None)


def test_a_bad_picture_ends_neither_tracking_nor_the_second_model(place: Workspace, tmp_path: Path) -> None:
    for frame in film({0: straight((30, 64), (2, 0))}, 4):
        cv2.imwrite(str(tmp_path / f"{frame.index}.png"), frame.bgr)
    (tmp_path / "2.png").write_bytes(b"no picture")
    done = run_cv(
        "predict", tmp_path, "--weights", "follower", "--classifier", "colours", "--track", "--json",
        "--engine", "onnxruntime", cwd=place.root,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    records, _ = records_of(done.stdout)
    assert [one["detections"][0]["track_id"] for one in records] == [None, 1, 1]
    assert all(one["detections"][0]["classifier"]["class"] == "blue" for one in records)
