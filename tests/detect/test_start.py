"""Weights to start from: of another task, another class list, damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.detect.config import YoloConfig
from lensmith.detect.start import choose_start
from tests.helpers import make_yolo_dataset

pytestmark = pytest.mark.torch


@pytest.fixture
def small(workspace: Workspace) -> Dataset:
    return open_dataset(make_yolo_dataset(workspace.datasets / "small", names=("cat", "dragon")), workspace)


def _save(path: Path, kind: str, description: str, classes: int, names: dict[int, str]) -> Path:
    """A checkpoint as Ultralytics writes it, of a model with random weights."""
    from lensmith.core.isolation import isolate_ultralytics

    isolate_ultralytics()
    import torch
    from ultralytics.nn import tasks

    model = getattr(tasks, kind)(description, nc=classes, verbose=False)
    model.names = names
    torch.save({"model": model.half(), "epoch": -1, "train_args": {"task": "detect"}}, path)
    return path


def test_what_becomes_of_other_classes_is_said(
    small: Dataset, workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {0: "person", 1: "cat", 2: "car"}
    weights = _save(tmp_path / "x.pt", "DetectionModel", "yolov8n.yaml", 3, names)
    start = choose_start(YoloConfig(weights=weights, device="cpu"), workspace, small)
    assert (start.model, start.classes) == ("yolov8n", ("person", "cat", "car"))
    told = " ".join(capsys.readouterr().err.split())
    assert "the weights know 3 classes and the dataset has 2" in told
    assert "what they know of cat is kept" in told


def test_the_same_classes_need_no_word(
    small: Dataset, workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = _save(tmp_path / "x.pt", "DetectionModel", "yolov8n.yaml", 2, {0: "cat", 1: "dragon"})
    choose_start(YoloConfig(weights=weights, device="cpu"), workspace, small)
    assert "made anew" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "description", "says"),
    [
        ("SegmentationModel", "yolov8n-seg.yaml", "draws outlines"),
        ("PoseModel", "yolov8n-pose.yaml", "body points"),
        ("OBBModel", "yolov8n-obb.yaml", "rotated boxes"),
    ],
)
def test_a_model_of_another_task_is_refused(
    small: Dataset, workspace: Workspace, tmp_path: Path, kind: str, description: str, says: str
) -> None:
    weights = _save(tmp_path / "x.pt", kind, description, 2, {0: "cat", 1: "dragon"})
    with pytest.raises(DataError, match=says):
        choose_start(YoloConfig(weights=weights, device="cpu"), workspace, small)


def test_weights_that_are_cut_short_are_refused(small: Dataset, workspace: Workspace, tmp_path: Path) -> None:
    whole = _save(tmp_path / "x.pt", "DetectionModel", "yolov8n.yaml", 2, {0: "cat", 1: "dragon"}).read_bytes()
    for length in (100, len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut short|damaged"):
            choose_start(YoloConfig(weights=tmp_path / "cut.pt", device="cpu"), workspace, small)


def test_an_rtdetr_checkpoint_is_a_detector(small: Dataset, workspace: Workspace, tmp_path: Path) -> None:
    weights = _save(tmp_path / "x.pt", "RTDETRDetectionModel", "yolov8n-rtdetr.yaml", 2, {0: "cat", 1: "dragon"})
    assert choose_start(YoloConfig(weights=weights, device="cpu"), workspace, small).model == "yolov8n-rtdetr"
