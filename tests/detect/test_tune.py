"""A tuning from the command line: killed, resumed, and ended in a run with its bundle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from lensmith.core.manifest import RunManifest
from lensmith.core.runs import list_runs
from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import open_bundle
from tests.helpers import cv_path, make_yolo_dataset, run_cv

pytestmark = [pytest.mark.torch, pytest.mark.slow]

TUNE = [
    "tune", "small", "--model", "yolov8n", "--from-scratch", "--imgsz", "64", "--batch", "4", "--device", "cpu",
    "--trials", "2",
]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_tuning_that_is_killed_in_a_trial_goes_on_to_a_bundle(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    space = workspace.root / "space.yaml"
    space.write_text("lrf: {low: 0.1, high: 0.2}\n")
    with subprocess.Popen(
        [cv_path(), *TUNE, "--epochs", "3", "--space", str(space)], cwd=workspace.root, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("trial 1 (1 of 2)"):
                break
        (run,) = workspace.runs.iterdir()
        checkpoint = run / "trials" / "0001" / "train" / "weights" / "last.pt"
        while not checkpoint.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    (entry,) = list_runs(workspace)
    assert (entry.command, entry.status) == ("tune", "killed")

    done = run_cv("resume", run.name, "--json", cwd=workspace.root, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "trial 2 was cut off" in done.stderr
    assert "\ntrial 3 (2 of 2): " in done.stderr
    told = json.loads(done.stdout)
    assert [trial["state"] for trial in told["trials"]] == ["done", "interrupted", "done"]
    again = told["trials"][2]
    assert again["epochs"] == 3
    assert again["values"] == told["trials"][1]["values"]
    best = Path(told["best_run"])
    log = (best if told["best_trial"] == 3 else run / "trials" / "0002") / "log.txt"  # the best becomes a run as it is
    assert "going on after epoch" in log.read_text()

    record = open_bundle(told["bundle"], workspace).record
    assert record.run == best.name
    assert RunManifest.load(best).status == RunManifest.load(run).status == "done"
    assert (best / "report.html").is_file()
    assert told["verdict"][0].replace("'", "&#39;") in (run / "report.html").read_text()
    assert not list(run.rglob("*.pt"))  # what lost leaves no checkpoint
    assert told["verdict"]
    assert {entry.command for entry in list_runs(workspace)} == {"tune", "train-yolo"}
    finished = run_cv("resume", run.name, cwd=workspace.root)
    assert finished.returncode == 2
    assert best.name in finished.stderr


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra 'ray' is not installed")
def test_trials_by_ray_come_to_the_same(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    done = run_cv(*TUNE, "--epochs", "1", "--ray", "--json", cwd=workspace.root, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "Ray: 1 at once" in done.stderr
    told = json.loads(done.stdout)
    assert [(trial["state"], trial["epochs"]) for trial in told["trials"]] == [("done", 1), ("done", 1)]
    assert open_bundle(told["bundle"], workspace).record.run == Path(told["best_run"]).name
