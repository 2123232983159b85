"""What a person may hand to `cv train-yolo` by mistake, or what may go wrong on the way: each is one message."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lensmith.cli.app import main
from lensmith.core.device import torch_gpu_count
from lensmith.core.isolation import isolate_ultralytics
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import open_bundle
from tests.detect.conftest import Story
from tests.helpers import cv_path, make_yolo_dataset, run_cv

pytestmark = pytest.mark.torch
SMALL = ("--imgsz", "64", "--batch", "4", "--device", "cpu")
SCRATCH = ("--model", "yolov8n", "--from-scratch", *SMALL)

Cv = Callable[..., tuple[int, str]]


@pytest.fixture
def cv(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Cv]:
    """`cv` in this process, which spares the start of torch: its exit code and what it said."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["cv", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capfd.readouterr().err
        assert "Traceback" not in said
        assert "did not expect" not in said
        return int(left.value.code or 0), said

    yield run
    signal.signal(signal.SIGTERM, before)


def nothing_begun(workspace: Workspace) -> bool:
    """Whether there is neither a run nor a model."""
    return not workspace.runs.exists() and not workspace.weights.exists()


# --- weights ---------------------------------------------------------------------------------------------------------


def checkpoint_of(name: str, path: Path, *, poisoned: bool = False) -> Path:
    """A checkpoint as Ultralytics writes it, of any packaged model with random weights, and NaN among them."""
    isolate_ultralytics()
    from ultralytics import YOLO

    model: Any = YOLO(f"{name}.yaml")
    if poisoned:
        next(model.model.parameters()).data[0] = float("nan")
    model.save(str(path))
    return path


@pytest.mark.parametrize(
    ("name", "options", "code", "says"),
    [
        ("yolov8n-cls", (), 5, "classifies whole pictures"),
        ("yolov8n-seg", (), 5, "outlines"),
        ("yolov8n", ("--model", "yolo11n"), 2, "of yolov8n, not of yolo11n"),
    ],
)
def test_weights_of_something_else(
    name: str, options: tuple[str, ...], code: int, says: str, workspace: Workspace, tmp_path: Path, cv: Cv
) -> None:
    make_yolo_dataset(workspace.datasets / "pets")
    weights = checkpoint_of(name, tmp_path / "weights.pt")
    left, said = cv("train-yolo", "pets", "--weights", weights, *options, *SMALL)
    assert left == code, said
    assert says in said
    assert "next:" in said
    assert nothing_begun(workspace)


def test_weights_with_code_in_them_run_nothing(workspace: Workspace, tmp_path: Path, cv: Cv) -> None:
    make_yolo_dataset(workspace.datasets / "pets")
    canary = tmp_path / "canary"

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch '{canary}'",)

    for kind in ("zip", "legacy"):
        path = tmp_path / f"{kind}.pt"
        content = pickle.dumps({"model": Hostile()}, protocol=2)
        if kind == "legacy":
            path.write_bytes(content)
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("x/data.pkl", content)
                archive.writestr("x/version", "3\n")
        left, said = cv("train-yolo", "pets", "--weights", path, *SMALL)
        assert left == 5, said
        assert str(path) in said
        assert not canary.exists()
    assert nothing_begun(workspace)


@pytest.mark.slow
def test_classes_that_do_not_fit_the_weights_get_a_new_head_and_it_is_said(
    trained: Story, workspace: Workspace, cv: Cv
) -> None:
    make_yolo_dataset(workspace.datasets / "pets", names=("cat", "dog", "bird"))
    weights = trained.workspace.weights / "odd-one" / "model.pt"
    left, said = cv("train-yolo", "pets", "--weights", weights, "--epochs", 1, *SMALL)
    assert left == 0, said
    assert "the weights know 2 classes and the dataset has 3" in said
    assert open_bundle("pets-yolo26n", workspace).record.names == ("cat", "dog", "bird")


# --- device, options and places --------------------------------------------------------------------------------------


@pytest.mark.skipif(torch_gpu_count() > 0, reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_no_silent_run_on_the_cpu(workspace: Workspace, cv: Cv) -> None:
    make_yolo_dataset(workspace.datasets / "pets")
    left, said = cv("train-yolo", "pets", "--from-scratch", "--device", "gpu")
    assert left == 2, said
    assert "--device cpu" in said
    assert nothing_begun(workspace)


def test_a_workspace_that_cannot_be_written(workspace: Workspace, cv: Cv) -> None:
    make_yolo_dataset(workspace.datasets / "pets")
    workspace.runs.write_text("a file where the folder of the runs should be")
    left, said = cv("train-yolo", "pets", "--epochs", 1, *SCRATCH)
    assert left == 1, said
    assert str(workspace.runs) in said


# --- the dataset -----------------------------------------------------------------------------------------------------


def test_labels_that_are_all_empty(workspace: Workspace, cv: Cv) -> None:
    root = make_yolo_dataset(workspace.datasets / "pets")
    for label in root.glob("*/labels/*.txt"):
        label.write_text("")
    left, said = cv("train-yolo", "pets", "--epochs", 1, *SCRATCH)
    assert left == 5, said
    assert "no labels" in said
    assert "next:" in said
    assert not workspace.weights.exists()


def test_a_single_picture(workspace: Workspace, cv: Cv) -> None:
    make_yolo_dataset(workspace.datasets / "pets", {"train": 1})
    left, said = cv("train-yolo", "pets", "--epochs", 1, *SCRATCH)
    assert left == 5, said
    assert "valid" in said
    assert "next:" in said


def test_a_batch_larger_than_the_dataset(workspace: Workspace, cv: Cv) -> None:
    make_yolo_dataset(workspace.datasets / "pets", {"train": 2, "valid": 1}, names=("cat",))
    left, said = cv("train-yolo", "pets", "--epochs", 1, *SCRATCH, "--batch", 64)
    assert left == 0, said


def test_a_loss_that_is_no_number(workspace: Workspace, tmp_path: Path, cv: Cv) -> None:
    make_yolo_dataset(workspace.datasets / "pets")
    weights = checkpoint_of("yolov8n", tmp_path / "poisoned.pt", poisoned=True)
    left, said = cv("train-yolo", "pets", "--epochs", 3, "--weights", weights, *SMALL)
    assert left == 1, said
    assert "no longer a number" in said
    assert "lr0" in said
    assert not workspace.weights.exists()


# --- while it runs ---------------------------------------------------------------------------------------------------


def follow(words: tuple[object, ...], workspace: Workspace, acts: dict[str, Callable[[int], None]]) -> tuple[int, str]:
    """Run `cv` in a process of its own and act, with its id, once it has said a line that starts so."""
    with subprocess.Popen(
        [cv_path(), *map(str, words)], cwd=workspace.root, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            for start in [start for start in acts if line.startswith(start)]:
                acts.pop(start)(process.pid)
        assert not acts, "".join(said)
        return process.wait(), "".join(said)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_full_disk_keeps_the_last_checkpoint_and_a_moved_run_goes_on(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "pets")

    def fill(pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # what a full disk does to a large file

    left, said = follow(("train-yolo", "pets", "--epochs", 3, *SCRATCH), workspace, {"epoch 1/3": fill})
    assert left == 1, said
    assert "disk is full" in said
    assert "Traceback" not in said
    (run,) = workspace.runs.iterdir()
    assert f"cv resume {run.name}" in said
    assert RunManifest.load(run).status == "failed"

    moved = run.rename(workspace.root / "elsewhere")
    done = run_cv("resume", moved, cwd=workspace.root, timeout=250)
    assert done.returncode == 0, done.stderr
    assert "going on after epoch 1 of 3" in done.stderr
    assert open_bundle("pets-yolov8n", workspace).record.metrics


@pytest.mark.slow
def test_pictures_that_go_while_it_trains_do_not_cost_the_training(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "pets", {"train": 8, "valid": 4, "test": 2})

    def harm(_pid: int) -> None:
        (root / "train/images/train-003.png").unlink()
        (root / "valid/images/valid-001.png").write_bytes(b"spoilt")
        shutil.rmtree(root / "test")

    left, said = follow(("train-yolo", "pets", "--epochs", 2, *SCRATCH), workspace, {"epoch 1/2": harm})
    assert left == 0, said
    assert "valid-001.png" in said
    assert open_bundle("pets-yolov8n", workspace).record.metrics_split == "valid"


@pytest.mark.slow
def test_ctrl_c_before_and_after_the_epochs(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "pets")

    def stop(pid: int) -> None:
        os.killpg(pid, signal.SIGINT)

    words: tuple[object, ...] = ("train-yolo", "pets", "--epochs", 1, *SCRATCH)
    for moment, waits in (("looking at the train", False), ("exporting", True)):
        left, said = follow(words, workspace, {moment: stop})
        assert left == 130, said
        (run,) = workspace.runs.iterdir()
        assert f"cv resume {run.name}" in said
        assert RunManifest.load(run).status == "interrupted"
        assert not workspace.weights.exists()
        assert (run / "train/weights/last.pt").exists() == waits
        words = ("resume", run.name)
    done = run_cv("resume", run.name, cwd=workspace.root, timeout=250)
    assert done.returncode == 0, done.stderr
    assert "epoch 1/1" not in done.stderr
    assert open_bundle("pets-yolov8n", workspace).record.metrics


@pytest.mark.slow
def test_two_runs_of_one_name_at_once_end_in_two_models(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "pets")
    command = [cv_path(), "train-yolo", "pets", "--epochs", "1", "--name", "mine", *SCRATCH]
    both = [
        subprocess.Popen(command, cwd=workspace.root, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    for one in both:
        _, said = one.communicate(timeout=250)
        assert one.returncode == 0, said
    bundles = [open_bundle(path.name, workspace).record for path in workspace.weights.iterdir() if path.is_dir()]
    assert len({record.name for record in bundles}) == len({record.run for record in bundles}) == 2
    assert "mine" in {record.name for record in bundles}
