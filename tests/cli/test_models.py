"""`cv models` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

from tests.helpers import run_cv


def test_models_are_listed_for_people_and_for_programs(tmp_path: Path) -> None:
    done = run_cv("models", "yolo26", "--imgsz", "320", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "yolo26n-p6" in done.stdout
    assert "320 pixels" in done.stderr
    done = run_cv("models", "--device", "cpu", cwd=tmp_path)
    assert "yolo26n " in done.stdout
    assert "yolov3 " in done.stdout
    assert "rtdetr-l " in done.stdout
    assert "-p6" not in done.stdout
    assert "The default is yolo26n" in done.stderr
    assert "-p6" in run_cv("models", "--all", "--device", "cpu", cwd=tmp_path).stdout
    done = run_cv("models", "--json", "--device", "cpu", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert {"yolov3", "yolov5xu", "rtdetr-x", "yolo26x"} - {row["name"] for row in found["models"]} == {"yolov5xu"}
    assert found["not_here"]["yolov7"]["nearest"] == "yolo11l"
    assert all(row["parameters"] > 1_000_000 for row in found["models"])


def test_yolov7_gets_its_line_and_nonsense_an_error(tmp_path: Path) -> None:
    done = run_cv("models", "yolov7", cwd=tmp_path)
    assert done.returncode == 0
    assert "The nearest is yolo11l" in done.stderr
    assert run_cv("models", "nonsense", cwd=tmp_path).returncode == 3
