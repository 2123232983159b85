"""An interrupted training goes on, and comes out as if nothing had happened."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from lensmith.classify import bundling as bundling_module
from lensmith.classify import job as job_module
from lensmith.classify.config import FinetuneConfig
from lensmith.classify.finetune import finetune, resume_finetune
from lensmith.classify.job import Job
from lensmith.classify.stage_data import Pictures
from lensmith.classify.state import StateFolder
from lensmith.core.errors import DataError, LensmithError, NotFoundError, UsageError
from lensmith.core.lock import sole_use
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset

pytestmark = pytest.mark.keras
OPTIONS = {
    "backbone": "cnn", "imgsz": 16, "epochs_frozen": 3, "epochs_tune": 3, "batch": 4, "units": 8,
    "unfreeze": "block5", "lr_tune": 1e-3, "patience": 9, "mixup": 0.2, "balance": "resample", "seed": 5, "views": 2,
    "optimizer": "adamw",
}  # fmt: skip
# Stops the process for good where a line of the loop is reached for the n-th time, as a kill from outside would.
_KILLED = """
import os, signal, sys
from pathlib import Path
from lensmith.classify import {module} as module
from lensmith.classify.finetune import finetune
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from tests.classify.test_resume import config
real, calls = module.{name}, []
def killed(*arguments, **options):
    calls.append(1)
    if len(calls) == {times}:
        {partly}
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **options)
module.{name} = killed
place = Workspace(Path(sys.argv[1]))
finetune(open_dataset("pets", place), place, config())
"""
_HALF_A_FILE = "arguments[0].with_name('.epoch.npz.1-0123abcd.partial').write_bytes(b'PK half')"


def config() -> FinetuneConfig:
    return FinetuneConfig(**OPTIONS)  # pyright: ignore[reportArgumentType]


def curve(run: Path) -> list[list[float]]:
    rows = json.loads((run / "history.json").read_text())
    return [[row[key] for key in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")] for row in rows]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace with a finished training, and a cache of its own."""
    home = Workspace(tmp_path_factory.mktemp("resume"))
    make_folder_dataset(home.datasets / "pets", {"train": 6, "valid": 3}, width=20, height=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CV_CACHE", str(home.root / "cache"))
        finetune(open_dataset("pets", home), home, config())
        yield home


@pytest.fixture
def reference(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run that nothing interrupted."""
    monkeypatch.setenv("CV_CACHE", str(place.root / "cache"))
    return min(place.runs.iterdir())


def killed_run(place: Workspace, module: str, name: str, times: int, partly: str = "pass") -> Path:
    before = set(place.runs.iterdir())
    code = _KILLED.format(module=module, name=name, times=times, partly=partly)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(place.root)], cwd=root, capture_output=True, text=True, timeout=300,
        check=False, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    (run,) = set(place.runs.iterdir()) - before
    assert RunManifest.load(run).status == "running"
    return run


@pytest.mark.parametrize(
    ("module", "name", "times", "partly"),
    [
        pytest.param("stages", "learn", 2, "pass", id="in the frozen stage", marks=pytest.mark.slow),
        pytest.param("stages", "learn", 4, "pass", id="between the stages", marks=pytest.mark.slow),
        pytest.param("stages", "learn", 6, "pass", id="in fine-tuning"),
        pytest.param("state", "_save_arrays", 4, _HALF_A_FILE, id="while the state is written", marks=pytest.mark.slow),
        pytest.param("job", "finish_bundle", 1, "pass", id="while the model is finished", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_goes_on_without_a_seam(
    module: str, name: str, times: int, partly: str, place: Workspace, reference: Path
) -> None:
    run = killed_run(place, module, name, times, partly)
    done = resume_finetune(run, place)
    assert np.allclose(curve(run), curve(reference), atol=1e-4)
    inputs, outputs = done.bundle.golden()
    whole = np.load(place.weights / "pets-cnn" / "golden.npz")
    assert np.array_equal(inputs, whole["inputs"])
    assert np.allclose(outputs, whole["outputs"], atol=1e-4)
    assert RunManifest.load(run).status == "done"
    assert not (run / "state").exists()


def test_a_name_that_another_run_takes_while_the_model_is_written_costs_nothing(
    place: Workspace, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, other = bundling_module.copy_model, place.weights / "both"

    def copy(source: Path, folder: Path, name: str) -> None:
        if folder.parent == place.weights:
            other.mkdir(exist_ok=True)
            (other / "theirs").touch()
        real(source, folder, name)

    monkeypatch.setattr(bundling_module, "copy_model", copy)
    short = replace(config(), name="both", epochs_frozen=1, epochs_tune=0)
    done = finetune(open_dataset("pets", place), place, short)
    assert done.bundle.name == "both-2"
    assert [path.name for path in other.iterdir()] == ["theirs"]


def test_a_finished_run_and_a_changed_or_lost_dataset_are_told_apart(
    place: Workspace, reference: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="finished"):
        resume_finetune(reference, place)
    manifest = RunManifest.load(reference).model_copy(update={"status": "interrupted"})
    run = tmp_path / "run"
    run.mkdir()
    assert manifest.dataset is not None
    manifest.model_copy(update={"dataset": manifest.dataset.model_copy(update={"fingerprint": "0" * 64})}).save(run)
    with pytest.raises(DataError, match="was changed"):
        resume_finetune(run, place)
    gone = manifest.dataset.model_copy(update={"path": str(tmp_path / "gone")})
    manifest.model_copy(update={"dataset": gone}).save(run)
    with pytest.raises(NotFoundError):
        resume_finetune(run, Workspace(tmp_path))  # in its own workspace it is found under its name
    manifest.model_copy(update={"options": {**manifest.options, "colour": "red"}}).save(run)
    with pytest.raises(DataError, match="colour"):
        resume_finetune(run, place)


def test_a_run_that_another_process_works_on_is_not_even_read(reference: Path, place: Workspace) -> None:
    with sole_use(reference), pytest.raises(UsageError, match="Another process"):
        resume_finetune(reference, place)


def test_a_run_whose_start_is_gone_does_not_begin_with_other_weights(
    place: Workspace, reference: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    RunManifest.load(reference).model_copy(update={"status": "failed"}).save(run)
    (run / "history.json").write_text("[]")
    with pytest.raises(DataError, match="began with are gone"):
        resume_finetune(run, place)


def test_a_run_counts_as_done_before_its_state_goes(
    place: Workspace, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_of_process(_run: Path) -> None:
        raise SystemExit

    manifest = RunManifest.load(reference).model_copy(update={"status": "running"})
    begun = Job(tmp_path, manifest, cast("Pictures", None), place)
    (tmp_path / "state").mkdir()
    (tmp_path / "folds").mkdir()
    monkeypatch.setattr(Job, "_work", lambda *_: None)
    with monkeypatch.context() as patch:
        patch.setattr(job_module, "forget", end_of_process)
        with pytest.raises(SystemExit):
            begun.carry_out(None)
    assert RunManifest.load(tmp_path).status == "done"
    with pytest.raises(UsageError, match="finished"):
        resume_finetune(tmp_path, place)
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", ".lock"}


def test_a_full_disk_says_how_to_go_on(
    place: Workspace, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Job, "_work", full)
    with pytest.raises(LensmithError, match="disk is full") as caught:
        Job(tmp_path, RunManifest.load(reference), cast("Pictures", None), place).carry_out(None)
    assert f"cv resume {tmp_path.name}" in str(caught.value.next_step)
    assert RunManifest.load(tmp_path).status == "failed"


def test_a_damaged_state_is_said(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.folder.mkdir()
    assert state.load() is None
    (state.folder / "epoch.npz").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(DataError, match="start the training anew"):
        state.load()
