"""What a person can get wrong is one message and an exit code, before anything is trained."""

from __future__ import annotations

import os
import pickle
import socket
import zipfile
from pathlib import Path

import pytest

from lensmith.core.device import torch_gpu_count
from lensmith.core.errors import DataError, LensmithError, NotFoundError, UsageError
from lensmith.core.lock import sole_use
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.detect.config import YoloConfig
from lensmith.detect.train import resume_yolo, train_yolo
from tests.helpers import make_folder_dataset, make_yolo_dataset, run_cv

pytestmark = pytest.mark.torch


@pytest.fixture
def small(workspace: Workspace) -> Dataset:
    return open_dataset(make_yolo_dataset(workspace.datasets / "small"), workspace)


def _closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_offline_without_weights_is_one_error(
    small: Dataset, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", f"http://127.0.0.1:{_closed_port()}")
    with pytest.raises(LensmithError) as failed:
        train_yolo(small, workspace, YoloConfig(model="yolo11n", device="cpu"))
    assert "--weights PATH" in str(failed.value)
    assert "--from-scratch" in str(failed.value)
    assert not workspace.runs.exists()


def test_hostile_weights_are_refused(small: Dataset, workspace: Workspace, tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Hostile:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch '{canary}'",)

    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"model": Hostile()}, protocol=2))
        archive.writestr("x/version", "3\n")
    with pytest.raises(DataError, match="system"):
        train_yolo(small, workspace, YoloConfig(weights=tmp_path / "x.pt", device="cpu"))
    assert not canary.exists()
    assert not workspace.runs.exists()


def test_what_is_no_checkpoint_is_refused(small: Dataset, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"model": 1}))
    with pytest.raises(DataError, match="not a checkpoint"):
        train_yolo(small, workspace, YoloConfig(weights=tmp_path / "x.pt", device="cpu"))
    with pytest.raises(NotFoundError):
        train_yolo(small, workspace, YoloConfig(weights=tmp_path / "none.pt", device="cpu"))


def test_weights_of_another_model_are_refused(small: Dataset, workspace: Workspace, test_data: Path) -> None:
    config = YoloConfig(model="yolo26n", weights=test_data / "weights" / "yolov8n-coco.pt", device="cpu")
    with pytest.raises(UsageError, match="of yolov8n, not of yolo26n"):
        train_yolo(small, workspace, config)


@pytest.mark.skipif(torch_gpu_count() > 0, reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_an_error(small: Dataset, workspace: Workspace) -> None:
    for device in ("gpu", "0", "0,1"):
        with pytest.raises(UsageError, match="no GPU"):
            train_yolo(small, workspace, YoloConfig(from_scratch=True, device=device))


def test_a_classification_dataset_is_refused(workspace: Workspace) -> None:
    dataset = open_dataset(make_folder_dataset(workspace.datasets / "folders"), workspace)
    with pytest.raises(DataError, match="no boxes"):
        train_yolo(dataset, workspace, YoloConfig(from_scratch=True, device="cpu"))


def test_a_dataset_without_boxes_fails_and_says_so_in_the_record(small: Dataset, workspace: Workspace) -> None:
    for item in small.items("train"):
        assert item.label is not None
        item.label.write_text("")
    with pytest.raises(DataError, match="nothing to learn"):
        train_yolo(small, workspace, YoloConfig(model="yolov8n", from_scratch=True, device="cpu"))
    (run,) = workspace.runs.iterdir()
    manifest = RunManifest.load(run)
    assert manifest.status == "failed"
    assert "nothing to learn" in manifest.result["error"]


def test_a_run_whose_dataset_was_changed_does_not_go_on(small: Dataset, workspace: Workspace) -> None:
    test_a_dataset_without_boxes_fails_and_says_so_in_the_record(small, workspace)
    (run,) = workspace.runs.iterdir()
    with sole_use(run), pytest.raises(UsageError, match="at work"):
        resume_yolo(run, workspace)
    (small.root / "train" / "labels" / "train-000.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match="was changed"):
        resume_yolo(run, workspace)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["train-yolo", "small", "--model", "yolov7"], 2, "YOLOv7"),
        (["train-yolo", "small", "--model", "yolo11n-seg"], 2, "outlines"),
        (["train-yolo", "small", "--imgsz", "100"], 2, "use 96 or 128"),
        (["train-yolo", "small", "--imgsz", "100000"], 2, "--imgsz"),
        (["train-yolo", "small", "--seed", "-1", "--from-scratch"], 2, "--seed"),
        (["train-yolo", "small", "--device", "tpu", "--from-scratch"], 2, "tpu"),
        (["resume", "nothing"], 3, "no run"),
    ],
)
def test_at_the_command_line(workspace: Workspace, small: Dataset, arguments: list[str], code: int, says: str) -> None:
    done = run_cv(*arguments, cwd=workspace.root)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_only_trainings_are_resumed(workspace: Workspace) -> None:
    run = workspace.new_run("predict", "x")
    RunManifest(command="predict", options={}, seed=0, device="cpu").save(run)
    done = run_cv("resume", run.name, cwd=workspace.root)
    assert done.returncode == 2
    assert "cannot be resumed" in done.stderr
