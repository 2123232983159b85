"""RT-DETR from training to prediction: another trainer, another head, stretched pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.detect.config import YoloConfig
from lensmith.detect.train import extend_yolo, train_yolo
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import open_model
from lensmith.predict.results import Detections
from lensmith.predict.sources import PictureSource
from lensmith.weights.bundle import Bundle
from lensmith.weights.trust import check_checkpoint
from tests.helpers import make_yolo_dataset

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def test_an_rtdetr_trains_goes_on_exports_and_predicts(workspace: Workspace) -> None:
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "small", {"train": 6, "valid": 3}), workspace)
    config = YoloConfig(model="yolov8n-rtdetr", from_scratch=True, epochs=1, imgsz=64, batch=3, device="cpu")
    done = train_yolo(dataset, workspace, config)
    check_checkpoint(done.run / "train" / "weights" / "last.pt")
    record = done.bundle.record
    assert record.detector is not None
    assert (record.detector.family, record.detector.output) == ("yolov8n-rtdetr", "queries")
    assert record.preprocessing.resize == "stretch"
    assert done.bundle.file("model.onnx"), "it has a portable form"
    more = extend_yolo(done.run, workspace, 1)
    assert RunManifest.load(done.run).options["epochs"] == 2
    _predicts_alike(more.bundle, next(item.image for item in dataset.items("valid")))


def _predicts_alike(bundle: Bundle, picture: Path) -> None:
    found = []
    for engine in ("ultralytics", "onnxruntime"):
        source = PictureSource("one", [picture])
        model = open_model(bundle, engine=engine, device="cpu")
        result = next(iter(predict_frames(source, model, confidence=0.0))).result
        assert isinstance(result, Detections)
        assert len(result)
        assert result.xyxy[:, 2:].max() <= 64
        assert result.xyxy.max() > 1, "pixels, not shares"
        found.append(result)
    assert np.allclose(found[0].confidence[:5], found[1].confidence[:5], atol=0.01)
