"""At equal arguments a training is Ultralytics' own, number for number: what surrounds it changes nothing in it.

One of these arguments is `cache`, which ours turns on by itself and Ultralytics does not: a mosaic is then put together
from all pictures, without it from the last ones that were read.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import yaml

from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.detect.config import YoloConfig
from lensmith.detect.train import train_yolo
from tests.helpers import make_yolo_dataset

pytestmark = pytest.mark.torch


def _curve(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        rows = [{key.strip(): float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [{key: value for key, value in row.items() if key != "time"} for row in rows]


def test_the_curves_are_those_of_ultralytics(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(workspace.datasets / "pets", {"train": 10, "valid": 4})
    config = YoloConfig(
        model="yolov8n", from_scratch=True, epochs=2, imgsz=64, batch=4, seed=3, patience=100, device="cpu", cache=False
    )
    ours = _curve(train_yolo(open_dataset("pets", workspace), workspace, config).run / "train" / "results.csv")

    # Only now, because the training above has told it to send nothing anywhere.
    from ultralytics.models.yolo.detect import DetectionTrainer

    data = {"path": str(shutil.copytree(root, tmp_path / "peer")), "train": "train/images", "val": "valid/images"}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({**data, "names": ["cat", "dog"]}))
    peer = DetectionTrainer(overrides={
        "model": "yolov8n.yaml", "data": str(tmp_path / "data.yaml"), "project": str(tmp_path / "runs"), "name": "peer",
        "epochs": 2, "imgsz": 64, "batch": 4, "seed": 3, "patience": 100, "device": "cpu", "plots": False,
        "pretrained": False,
    })  # fmt: skip
    peer.train()
    theirs = _curve(tmp_path / "runs" / "peer" / "results.csv")

    assert len(ours) == len(theirs) == 2
    assert ours[0]["train/box_loss"] > 0
    for our, their in zip(ours, theirs, strict=True):
        assert our == pytest.approx(their, rel=1e-3, abs=1e-3)
