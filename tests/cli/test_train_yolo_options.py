"""`cv train-yolo`: wrong options are one message each, and with --json every epoch is a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lensmith.cli.train_yolo import tell_detector
from lensmith.core.manifest import DatasetRef, RunManifest
from lensmith.core.workspace import Workspace
from lensmith.detect.job import DetectorRun
from lensmith.weights.bundle import rewrite_bundle
from tests.detect.test_history import write_results
from tests.helpers import make_yolo_dataset, run_cv
from tests.predict.make_bundle import make_detector


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--freeze", "most"], "neither a number nor 'backbone'"),
        (["--unfreeze-after", "3"], "add --freeze backbone"),
        (["--time", "soon"], "span of time"),
        (["--size", "huge"], "take one of: n, s, m, l, x, auto"),
        (["--set", "epochs=5"], "use --epochs"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_made(
    workspace: Workspace, arguments: list[str], says: str
) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    done = run_cv("train-yolo", "small", "--force", "--model", "yolov8n", *arguments, cwd=workspace.root)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert done.stdout == ""
    assert not workspace.runs.exists()


@pytest.mark.parametrize("command", ["train-yolo", "tune"])
def test_commands_say_alike_what_an_option_takes(workspace: Workspace, command: str) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    word = run_cv(command, "small", "--imgsz", "large", cwd=workspace.root)
    assert (word.returncode, "'large' is neither a number nor 'auto'" in word.stderr) == (2, True)
    assert "give --imgsz a whole number, or auto" in word.stderr
    small = run_cv(command, "small", "--imgsz", "8", cwd=workspace.root)
    assert (small.returncode, "where: --imgsz" in small.stderr) == (2, True)


@pytest.mark.torch
def test_every_epoch_is_a_line_of_json_and_the_last_line_is_the_result(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    done = run_cv("train-yolo", "small", "--model", "yolov8n", "--from-scratch", "--imgsz", "64", "--batch", "4",
                  "--epochs", "2", "--device", "cpu", "--force", "--json", cwd=workspace.root)  # fmt: skip
    assert done.returncode == 0, done.stderr
    *epochs, result = (json.loads(line) for line in done.stdout.splitlines())
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert {"epochs", "loss", "losses", "mAP50", "mAP50-95", "learning_rate", "left_seconds"} <= epochs[0].keys()
    assert RunManifest.load(Path(result["run"])).status == "done"
    assert all(low <= result["metrics"][key] <= high for key, (low, high) in result["intervals"].items())


def test_the_end_of_a_training_in_words(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    bundle = make_detector(workspace.weights / "small-cells-2")
    record = bundle.record.model_copy(
        update={
            "dataset": DatasetRef(name="small", fingerprint="ab" * 32),
            "metrics": {"mAP50": 0.5, "mAP50_low": 0.25, "mAP50_high": 0.75, "pictures": 3},
            "detector": bundle.record.detector and bundle.record.detector.model_copy(update={"family": "cells"}),
        }
    )
    run = write_results(workspace.runs / "first", "1,10,1,2,0.1,0.2,0.3,0.4,1.5,2.5,0.01,0.02",
                        "2,20,1,2,0.1,0.2,0.4,0.5,1,2,0.01,0.02")  # fmt: skip
    manifest = RunManifest(command="train-yolo", options={}, seed=0, device="cpu", result={"best_epoch": 2})
    manifest.end(run, "done")
    done = DetectorRun(run, rewrite_bundle(bundle, record), {"mAP50": 0.5}, "test")
    tell_detector(done, as_json=False)
    said = capfd.readouterr().err
    assert "mAP50      0.500 (0.250 to 0.750)" in said
    assert "a model called 'small-cells' already, so this one is 'small-cells-2'" in said
    assert "cv evaluate small --weights small-cells-2 --html" in said
    assert "cv resume first --extend 20" in said
    manifest.result["best_epoch"] = 1
    manifest.save(run)
    tell_detector(done, as_json=False)
    assert "--extend" not in capfd.readouterr().err
