"""Our measurement against Ultralytics' own, on real photographs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from lensmith.cli.leak_effect import leak_effect
from lensmith.core.errors import DataError, NotFoundError
from lensmith.core.isolation import isolate_ultralytics
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.finding import CheckReport, Twin
from lensmith.datasets.model import Split
from lensmith.datasets.read import open_dataset
from lensmith.detect.evaluate import evaluate_detector
from lensmith.detect.portable import strip_checkpoint
from lensmith.predict.engines.ultralytics import MODEL_NAME, TorchDetector, UltralyticsEngine
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import Model
from lensmith.predict.results import Detections
from lensmith.predict.sources import open_source
from lensmith.weights.bundle import Bundle, BundleRecord, DetectorRecord, Preprocessing, write_bundle
from tests.helpers import make_folder_dataset, make_yolo_dataset

pytestmark = pytest.mark.torch

SIZE = 320
COMMON = {0, 15, 16}  # person, cat, dog; with a single frisbee, one swap would decide


@pytest.fixture(scope="module")
def coco(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The COCO checkpoint as a bundle, without the portable model."""
    home = tmp_path_factory.mktemp("coco")
    isolate_ultralytics()
    strip_checkpoint(test_data / "weights" / "yolov8n-coco.pt", home / MODEL_NAME, 300)
    detector = TorchDetector(home / MODEL_NAME, "cpu")
    inputs = np.full((1, SIZE, SIZE, 3), 128, np.uint8)
    record = BundleRecord(
        name="coco",
        task="detect",
        names=tuple(detector.model.names.values()),
        preprocessing=Preprocessing(width=SIZE, height=SIZE, resize="letterbox"),
        detector=DetectorRecord(family="yolov8n", output="raw"),
    )
    return write_bundle(
        home / "coco",
        record,
        lambda folder: shutil.copyfile(home / MODEL_NAME, folder / MODEL_NAME),
        golden=(inputs, detector.infer(inputs)),
    )


def _label(coco: Bundle, test_data: Path, root: Path) -> Path:
    """Photographs of cats and dogs, labelled with what the model finds in them, moved a little and some left out."""
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (root / "valid" / part).mkdir(parents=True)
    (root / "train" / "images").mkdir(parents=True)
    for kind in ("cat", "dog"):
        folder = next(
            p for p in (test_data / "classify" / "catsdogs" / "validation").iterdir() if kind in p.name.lower()
        )
        for picture in sorted(folder.iterdir())[:15]:
            shutil.copyfile(picture, root / "valid" / "images" / f"{kind}-{picture.stem}{picture.suffix.lower()}")
    shutil.copyfile(next((root / "valid" / "images").iterdir()), root / "train" / "images" / "one.jpg")
    # At another size than the one that is measured, so that the labels favour neither of the two.
    finer = Preprocessing(width=480, height=480, resize="letterbox")
    labeller = Bundle(coco.folder, coco.record.model_copy(update={"preprocessing": finer}))
    engine = UltralyticsEngine(labeller, "cpu")
    for prediction in predict_frames(
        open_source(str(root / "valid" / "images")), Model(labeller, engine), confidence=0.3
    ):
        assert isinstance(prediction.result, Detections)
        height, width = prediction.frame.bgr.shape[:2]
        found = prediction.result.xyxy / np.array([width, height, width, height])
        moved = np.clip(found + rng.normal(0, 0.02, found.shape), 0, 1)
        rows = [
            f"{c} {(a + d) / 2:.6f} {(b + e) / 2:.6f} {d - a:.6f} {e - b:.6f}\n"
            for c, (a, b, d, e) in zip(prediction.result.class_id, moved, strict=True)
            if c in COMMON and rng.random() < 0.8 and d - a > 0.01 and e - b > 0.01
        ]
        label = root / "valid" / "labels" / f"{Path(prediction.frame.source).stem}.txt"
        label.write_text("".join(rows))
    names = dict(enumerate(coco.record.names))
    data = {"path": str(root), "train": "train/images", "val": "valid/images", "names": names}
    (root / "data.yaml").write_text(yaml.safe_dump(data))
    return root


def test_it_agrees_with_ultralytics(coco: Bundle, test_data: Path, workspace: Workspace) -> None:
    """At the settings that its `val` has by itself, on photographs as they are; what we print counts as we predict."""
    root = _label(coco, test_data, workspace.datasets / "pets")
    dataset = open_dataset(root, workspace)
    as_val, ours = (
        evaluate_detector(coco, dataset, "valid", device="cpu", protocol=protocol)
        for protocol in ("ultralytics", "predict")
    )
    from ultralytics import YOLO

    theirs = YOLO(coco.folder / MODEL_NAME).val(
        data=str(root / "data.yaml"), imgsz=SIZE, device="cpu", plots=False, verbose=False, workers=0,
        project=str(workspace.runs), name="val",
    )  # fmt: skip
    alike, said = as_val.scores.as_metrics(), ours.scores.as_metrics()
    assert as_val.scores.pictures == 30
    assert as_val.scores.boxes > 20
    assert 0.3 < alike["mAP50"] < 0.99  # neither trivial
    assert alike["mAP50"] == pytest.approx(theirs.box.map50, abs=0.003)
    assert alike["mAP50-95"] == pytest.approx(theirs.box.map, abs=0.003)
    assert said["mAP50"] != alike["mAP50"], "the two count differently"
    best = theirs.box
    assert as_val.curves.precision[:, as_val.curves.best][list(best.ap_class_index)] == pytest.approx(best.p, abs=0.05)
    counts = [sum(len(one.found) for one in each.pictures) for each in (as_val, ours)]
    assert counts[0] > counts[1], "several classes a box against one"


def test_what_cannot_be_measured(coco: Bundle, workspace: Workspace) -> None:
    strangers = make_yolo_dataset(workspace.datasets / "strangers", names=("rubik", "digit"))
    with pytest.raises(DataError, match="no class in common"):
        evaluate_detector(coco, open_dataset(strangers, workspace), "test")
    folders = make_folder_dataset(workspace.datasets / "folders")
    with pytest.raises(DataError, match="no boxes"):
        evaluate_detector(coco, open_dataset(folders, workspace), "test")
    untested = make_yolo_dataset(workspace.datasets / "untested", {"train": 2, "valid": 1})
    data = yaml.safe_load((untested / "data.yaml").read_text())
    del data["test"]
    (untested / "data.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(NotFoundError, match="no 'test' pictures"):
        evaluate_detector(coco, open_dataset(untested, workspace), "test")


def test_a_picture_that_cannot_be_read_is_left_out_and_named(coco: Bundle, workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "pets")
    (root / "test" / "images" / "test-000.png").write_bytes(b"")
    scores = evaluate_detector(coco, open_dataset(root, workspace), "test", device="cpu").scores
    assert scores.pictures == 1
    assert [Path(path).name for path, _ in scores.skipped] == ["test-000.png"]
    assert scores.as_metrics().keys() == {"mAP50", "mAP50-95", "precision", "recall"}


def test_the_score_with_and_without_the_pictures_that_leak(coco: Bundle, test_data: Path, workspace: Workspace) -> None:
    """The wrong labels all lie in pictures that leak: without them the score is better, and counts only the rest."""
    dataset = open_dataset(_label(coco, test_data, workspace.datasets / "pets"), workspace)
    train, *_ = dataset.items("train")
    spoilt = list(dataset.items("valid"))[:5]
    for item in spoilt:
        assert item.label
        item.label.write_text("15 0.02 0.02 0.04 0.04\n16 0.02 0.02 0.04 0.04\n")
    twins = tuple(Twin(train, item, "near", 0.9) for item in spoilt)
    shutil.copytree(coco.folder, workspace.weights / "coco")
    counts: dict[Split, int] = {"train": 1, "valid": 30, "test": 0}
    objects = np.zeros((3, 80), np.int64)

    (effect,) = leak_effect(CheckReport(dataset, (), twins, 31, counts, objects), "coco", workspace)
    assert (effect.split, effect.metric, effect.pictures, effect.leaked) == ("valid", "mAP50", 30, 5)
    assert effect.with_leaked and effect.without_leaked
    assert effect.without_leaked > effect.with_leaked + 0.02
    rest = evaluate_detector(coco, dataset, "valid", without={item.image for item in spoilt}).scores
    assert (rest.pictures, rest.as_metrics()["mAP50"]) == (25, effect.without_leaked)
    every = tuple(Twin(train, item, "near", 0.9) for item in dataset.items("valid"))
    assert (
        leak_effect(CheckReport(dataset, (), every, 31, counts, objects), "coco", workspace)[0].without_leaked is None
    )
