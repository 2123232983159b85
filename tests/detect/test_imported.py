"""A checkpoint of Ultralytics becomes a bundle, through the command, and finds what it found before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers import run_cv

pytestmark = pytest.mark.torch


def test_a_real_checkpoint_is_taken_in(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "weights" / "yolov8n-coco.pt"
    done = run_cv(
        "weights", "import", str(source), "--imgsz", "320", "--workspace", str(tmp_path), "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "3,193,055" in done.stderr  # what is in it is told before it is opened
    record = json.loads(done.stdout)
    assert (record["origin"], record["task"], len(record["names"])) == ("imported", "detect", 80)
    assert record["detector"]["family"] == "yolov8n"
    assert {"model.pt", "model.onnx", "golden.npz"} <= record["files"].keys()
    assert record["preprocessing"]["width"] == 320
    again = run_cv(
        "weights", "import", str(source), "--name", "yolov8n-coco", "--workspace", str(tmp_path), cwd=tmp_path
    )
    assert again.returncode == 2


def test_an_option_that_does_not_apply_is_told(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "weights" / "yolov8n-coco.pt"
    done = run_cv("weights", "import", str(source), "--task", "classify", "--workspace", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert "--task" in done.stderr
