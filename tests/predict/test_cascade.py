"""A classifier behind a detector: real bundles, real pictures, the same crops as in training."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.crop import CROP_MARGIN, crop_place, cut_crop
from lensmith.core.errors import UsageError
from lensmith.core.images import read_image
from lensmith.core.workspace import Workspace
from lensmith.datasets.crops import CropsConfig, cut_crops, margin_of
from lensmith.datasets.split import SplitConfig, split_dataset
from lensmith.predict.cascade import Cascade, open_cascade
from lensmith.predict.ensemble import open_models
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import Model, open_model
from lensmith.predict.results import Detections, Frame, Scores
from lensmith.predict.tiles import as_used
from lensmith.weights.bundle import Bundle

from ..helpers import make_yolo_dataset
from .make_bundle import blocks, make_classifier, make_detector

_COLOURS = ("sky", "leaf", "brick")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cascade")


@pytest.fixture(scope="module")
def detector_bundle(place: Path) -> Bundle:
    return make_detector(place / "weights" / "blocks")


@pytest.fixture(scope="module")
def classifier_bundle(place: Path) -> Bundle:
    return make_classifier(place / "weights" / "colours", _COLOURS)


@pytest.fixture(scope="module")
def detector(detector_bundle: Bundle) -> Model:
    return open_model(detector_bundle, engine="onnxruntime")


def _frames(*pictures: np.ndarray) -> list[Frame]:
    return [Frame(bgr, f"{number}.png", number) for number, bgr in enumerate(pictures)]


def _detections(result: Detections | Scores) -> Detections:
    assert isinstance(result, Detections)
    return result


def test_every_box_gets_the_answer_about_its_own_crop(detector: Model, classifier_bundle: Bundle) -> None:
    two = blocks(128, 128, (0, 0, 16, 16, 2), (64, 64, 80, 80, 0))
    frames = _frames(two, blocks(128, 128), blocks(128, 128, (32, 48, 48, 64, 1)))
    cascade = open_cascade(detector, [classifier_bundle], engine="onnxruntime")
    done = list(predict_frames(frames, detector, stages=[cascade]))
    found = [_detections(one.result) for one in done]
    assert [len(one) for one in found] == [2, 0, 1]
    for one in found:
        assert one.classified is not None
        assert one.classified.class_id.tolist() == one.class_id.tolist()
        assert [one.classified.name_of(row) for row in range(len(one))] == [_COLOURS[c] for c in one.class_id]
    assert all("classify" in one.milliseconds for one in done)


def test_crops_of_many_frames_go_through_the_classifier_in_full_batches(
    detector: Model, classifier_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_models([classifier_bundle], engine="onnxruntime")
    assert isinstance(model, Model)
    monkeypatch.setattr(model, "batch", 4)
    sizes: list[int] = []
    infer = model.engine.infer
    monkeypatch.setattr(model.engine, "infer", lambda pictures: (sizes.append(len(pictures)), infer(pictures))[1])
    monkeypatch.setattr(detector, "batch", 6)
    frames = _frames(*[blocks(128, 128, (16, 16, 32, 32, number % 3)) for number in range(6)])
    done = list(predict_frames(frames, detector, stages=[Cascade(model)]))
    said = [_detections(one.result).classified for one in done]
    assert [one.class_id.tolist() for one in said if one] == [[0], [1], [2], [0], [1], [2]]
    assert sizes == [4, 2]


def test_below_its_threshold_a_crop_is_unknown_but_keeps_its_box(detector: Model, classifier_bundle: Bundle) -> None:
    cascade = open_cascade(detector, [classifier_bundle], confidence=1.0, engine="onnxruntime")
    faint = blocks(128, 128, (0, 0, 16, 16, 1))
    faint[0:16, 0:16] = (100, 180, 100)
    (done,) = predict_frames(_frames(faint), detector, confidence=0.1, stages=[cascade])
    found = _detections(done.result)
    assert found.classified is not None
    assert (len(found), found.classified.class_id.tolist(), found.classified.name_of(0)) == (1, [-1], "unknown")
    assert 0 < found.classified.confidence[0] < 1


def test_a_detector_that_looks_in_tiles_has_crops_of_the_whole_picture(
    detector: Model, classifier_bundle: Bundle
) -> None:
    tiled = as_used(detector, True)
    cascade = open_cascade(tiled, [classifier_bundle], engine="onnxruntime")
    picture = blocks(320, 320, (304, 304, 320, 320, 2), (0, 0, 16, 16, 0))
    (done,) = predict_frames(_frames(picture), tiled, stages=[cascade])
    found = _detections(done.result)
    assert found.classified is not None
    assert {(int(c), found.classified.name_of(row)) for row, c in enumerate(found.class_id)} == {
        (2, "brick"), (0, "sky"),
    }  # fmt: skip


def test_several_classifiers_answer_as_one(place: Path, detector: Model, classifier_bundle: Bundle) -> None:
    second = make_classifier(place / "weights" / "second", _COLOURS)
    cascade = open_cascade(detector, [classifier_bundle, second], engine="onnxruntime")
    (done,) = predict_frames(_frames(blocks(128, 128, (0, 0, 16, 16, 1))), detector, stages=[cascade])
    said = _detections(done.result).classified
    assert said is not None
    assert said.name_of(0) == "leaf"


def test_a_detector_cannot_stand_behind_nor_a_classifier_in_front(
    detector: Model, detector_bundle: Bundle, classifier_bundle: Bundle
) -> None:
    with pytest.raises(UsageError, match="'blocks' is a detector"):
        open_cascade(detector, [detector_bundle])
    front = open_model(classifier_bundle, engine="onnxruntime")
    with pytest.raises(UsageError, match="'colours' is a classifier") as caught:
        open_cascade(front, [detector_bundle])
    assert "--weights blocks --classifier colours" in str(caught.value)
    with pytest.raises(UsageError, match="needs a detector's boxes"):
        open_cascade(front, [classifier_bundle])


def test_the_crops_shown_are_the_crops_learned_from_to_the_pixel(place: Path) -> None:
    workspace = Workspace(place)
    dataset = make_yolo_dataset(place / "datasets" / "signs", {"train": 6}, width=97, height=61)
    report = cut_crops(dataset, workspace, CropsConfig(margin=0.15, min_size=1))
    learned = sorted(report.folder.rglob("*.png"))
    assert len(learned) == 6
    for path in learned:
        stem = path.stem.rsplit("-", 1)[0]
        picture = read_image(dataset / "train" / "images" / f"{stem}.png")
        row = (dataset / "train" / "labels" / f"{stem}.txt").read_text().split()
        cx, cy, w, h = (float(value) for value in row[1:])
        box = np.array([(cx - w / 2) * 97, (cy - h / 2) * 61, (cx + w / 2) * 97, (cy + h / 2) * 61])
        assert np.array_equal(cut_crop(picture, box, 0.15), cv2.imread(str(path)))
    assert margin_of(report.folder) == 0.15


def test_the_margin_of_crops_is_known_of_what_was_made_of_them_too(place: Path) -> None:
    dataset = make_yolo_dataset(place / "datasets" / "plates", {"train": 12})
    folder = cut_crops(dataset, Workspace(place), CropsConfig(margin=0.3, min_size=1)).folder
    split_dataset(folder, Workspace(place), SplitConfig(name="plates-split"))
    assert margin_of(place / "datasets" / "plates-split") == 0.3
    assert margin_of(dataset) is None
    (place / "datasets" / "plates-split" / "dataset.json").rename(place / "kept.json")
    (place / "datasets" / "plates-split" / "dataset.json").write_text('{"schema_version": 2, "files": {')
    assert margin_of(place / "datasets" / "plates-split") is None  # damaged
    (place / "kept.json").replace(place / "datasets" / "plates-split" / "dataset.json")
    record = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**record, "fingerprint": "0" * 64}))  # another one of that name
    assert margin_of(place / "datasets" / "plates-split") is None


def test_a_classifier_is_shown_the_margin_that_its_bundle_names(
    detector: Model, classifier_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert open_cascade(detector, [classifier_bundle], engine="onnxruntime").margin == CROP_MARGIN
    assert "does not say" in capsys.readouterr().err
    record = classifier_bundle.record
    assert record.classifier is not None
    told = record.model_copy(update={"classifier": record.classifier.model_copy(update={"crop_margin": 0.4})})
    wide = open_cascade(detector, [Bundle(classifier_bundle.folder, told)], engine="onnxruntime")
    assert wide.margin == 0.4
    assert capsys.readouterr().err == ""
    with pytest.raises(UsageError, match="different margins"):
        other = told.model_copy(update={"classifier": record.classifier.model_copy(update={"crop_margin": 0.2})})
        open_cascade(detector, [Bundle(classifier_bundle.folder, told), Bundle(classifier_bundle.folder / "..", other)])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((-5, -5, 4, 4), (0, 0, 5, 5)),
        ((10.2, 10.2, 10.4, 10.4), (10, 10, 11, 11)),
        ((95, 55, 200, 90), (84, 44, 97, 61)),
        ((500, 500, 510, 510), (96, 60, 97, 61)),
    ],
)
def test_a_crop_is_never_empty_nor_outside(box: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert crop_place(np.array(box, np.float32), 0.1, 97, 61) == expected
