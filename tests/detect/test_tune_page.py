"""The page of a tuning, with what goes wrong in one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from lensmith.core.manifest import RunManifest
from lensmith.detect.job import DetectorRun
from lensmith.detect.tune_finish import Verdict
from lensmith.detect.tune_page import OF_TUNING, write_tune_page
from lensmith.detect.tune_study import TrialRow
from lensmith.weights.bundle import Bundle


def test_the_page_tells_what_was_tried_and_how_to_train_with_it(tmp_path: Path) -> None:
    rate = {"low": 1e-5, "high": 1e-2, "log": True}
    space = {"lrf": {"low": 0.1, "high": 0.2}, "freeze": [0, "backbone"], "lr0": rate}
    asked = {"trials": 3, "time": 120.0, "ray": False, "ray_address": None, "space": space}
    options = {"model": "yolov8n", "epochs": 2, "imgsz": 64, "batch": 4, "augment": None, "settings": {"box": 7}}
    manifest = RunManifest(command="tune", options=options | {OF_TUNING: asked}, seed=0, device="cpu")
    first = TrialRow(0, "done", True, 0.3, 2, 5.0, {})
    gone = TrialRow(1, "interrupted", False, None, 0, 1.0, {"freeze": 0})
    worse = TrialRow(2, "failed", False, None, 0, 1.0, {"freeze": 0}, error="no memory\n  where: there")
    best = TrialRow(3, "done", False, 0.5, 2, 5.0, {"freeze": "backbone", "lrf": 0.123456})
    bundle = SimpleNamespace(name="tuned")
    detector = DetectorRun(tmp_path / "best", cast("Bundle", bundle), {"mAP50-95": 0.4}, "test")
    done = detector, Verdict(("It is better.",), True)
    page = write_tune_page(tmp_path, manifest, [first, gone, worse, best], best, done, {}).read_text()
    changed = "--freeze backbone --set box=7 --set lrf=0.123456"
    assert f"cv train-yolo DATASET --model yolov8n --imgsz 64 --batch 4 {changed} --epochs 100" in page
    for words in ("1e-05 to 0.01, small values as often", "0 or backbone", "freeze backbone, lrf 0.123", "unchanged",
                  "interrupted, and done again", ">no memory<", "2 min"):  # fmt: skip
        assert words in page, words
    assert "space=" not in page
