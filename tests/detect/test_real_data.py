"""A real dataset with real defects, trained on as it came: nothing is lost or leaked without a word."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import open_bundle
from tests.detect.odd import hashes
from tests.helpers import run_cv

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def test_one_folder_for_two_splits_and_copies_of_one_photograph_in_both(workspace: Workspace, test_data: Path) -> None:
    root = shutil.copytree(test_data / "detect" / "waste-yolo", workspace.datasets / "waste")
    before = hashes(root)
    done = run_cv(
        "train-yolo", "waste", "--weights", test_data / "weights" / "yolov8n-coco.pt", "--epochs", 1, "--imgsz", 96,
        "--device", "cpu", cwd=workspace.root, timeout=550,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = workspace.runs.iterdir()
    told = RunManifest.load(run).result
    assert sum(told["pictures"].values()) == 145, "what is measured on is held out of 'train', not taken from 'test'"
    assert told["pictures"]["valid"] > 20
    assert told["leaked"] == {"test": 55}
    assert "55 of the 62 test pictures show what pictures of an earlier split show" in done.stderr
    assert "cv fix-dataset waste" in done.stderr
    assert open_bundle("waste-yolov8n", workspace).record.names == ("anorganik", "b3", "organik")
    assert hashes(root) == before
