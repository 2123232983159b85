"""`cv train-yolo`: wrong options are one message each, and with --json every epoch is a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from tests.helpers import make_yolo_dataset, run_cv


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--freeze", "most"], "neither a number nor 'backbone'"),
        (["--unfreeze-after", "3"], "add --freeze backbone"),
        (["--time", "soon"], "span of time"),
        (["--size", "huge"], "--size"),
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
