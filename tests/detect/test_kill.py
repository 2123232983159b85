"""Killed at any moment, a training goes on from a whole checkpoint."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import open_bundle
from tests.helpers import cv_path, make_yolo_dataset, run_cv
from tests.report.test_tracking import curve

pytestmark = pytest.mark.torch

# Trains one epoch, then saves the next checkpoint again and again, each time in a fork that is killed at another of the
# steps which change the folder. Prints, for each, the epoch of the checkpoint that is found afterwards.
_KILLED_WHILE_SAVING = """
import json, os, signal, sys
from pathlib import Path
from lensmith.core.isolation import isolate_ultralytics
isolate_ultralytics()
import torch
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.detect.checkpoints import newest_checkpoint
from lensmith.detect.trainer import SafeTrainer
from lensmith.detect.view import build_view

run = Path(sys.argv[1])
build_view(open_dataset(sys.argv[2], Workspace(run)), run / "data", seed=0)
torch.set_num_threads(1)
trainer = SafeTrainer(overrides={
    "task": "detect", "mode": "train", "model": "yolov8n.yaml", "pretrained": False, "project": str(run),
    "data": str(run / "data" / "data.yaml"), "name": "train", "exist_ok": True, "epochs": 1, "imgsz": 64, "batch": 4,
    "device": "cpu", "plots": False, "verbose": False,
})
torch.set_num_threads(1)  # a fork of a process with busy threads would hang
trainer.train()
trainer.read_results_csv = dict  # polars' threads do not survive a fork
folder = run / "train" / "weights"
found = []
step = 0
while True:
    child = os.fork()
    if child == 0:
        count = 0
        def kill_at_step(event, arguments):
            global count
            changes = event in {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if (changes or writes) and str(folder) in str(arguments[0]):
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
        sys.addaudithook(kill_at_step)
        trainer.epoch = 1
        trainer.best_fitness = trainer.fitness
        trainer.save_model()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    checkpoint = newest_checkpoint(folder)
    found.append(checkpoint.epoch if checkpoint else None)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, status
        break
    step += 1
print(json.dumps(found))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_step_of_saving_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    dataset = make_yolo_dataset(tmp_path / "small")
    run = tmp_path / "run"
    run.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_WHILE_SAVING, str(run), str(dataset)],
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) > 8  # every file is opened, linked and renamed
    assert None not in found
    assert found[0] == 1
    assert found[-1] == 2
    assert found == sorted(found)


def _stop_after(line_start: str, how: signal.Signals, arguments: list[str], workspace: Workspace) -> tuple[int, str]:
    """Run `cv` until it has said this line, send it a signal, and return its exit code and what it said."""
    with subprocess.Popen(
        [cv_path(), *arguments], cwd=workspace.root, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith(line_start):
                os.killpg(process.pid, how)
        return process.wait(), "".join(said)


def test_a_training_that_is_interrupted_goes_on_to_a_bundle(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    code, said = _stop_after(
        "epoch 1/2", signal.SIGINT,
        ["train-yolo", "small", "--model", "yolov8n", "--from-scratch", "--epochs", "2", "--imgsz", "64",
         "--batch", "4", "--device", "cpu", "--tensorboard"], workspace,
    )  # fmt: skip
    (run,) = (path for path in workspace.runs.iterdir() if path.is_dir())
    assert code == 130
    assert f"cv resume {run.name}" in said
    assert RunManifest.load(run).status == "interrupted"

    done = run_cv("resume", run.name, cwd=workspace.root, timeout=250)
    assert done.returncode == 0, done.stderr
    assert "going on after epoch 1 of 2" in done.stderr
    with (run / "train" / "results.csv").open() as file:
        epochs = [int(float(row["epoch"])) for row in csv.DictReader(file)]
    assert epochs == [1, 2]
    assert [step for step, _ in curve(run, "valid", "mAP50")] == [1, 2]
    assert RunManifest.load(run).status == "done"
    assert open_bundle("small-yolov8n", workspace).record.run == run.name
