"""One tuning from the inside: which failures end it, what it forgets, and what a fault near its end leaves."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event

from lensmith.core.errors import DiskFullError, LensmithError
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.detect import tune_finish, tune_job
from lensmith.detect.trial import Judge, TrialScore
from lensmith.detect.trial_process import TrialFailedError
from lensmith.detect.tune import resume_tune
from lensmith.detect.tune_finish import judge
from lensmith.detect.tune_folders import trial_folder
from lensmith.detect.tune_job import Tuning
from lensmith.detect.tune_page import OF_TUNING
from lensmith.detect.tune_study import TuneStudy, open_study
from lensmith.report.compare import ComparedRun
from lensmith.report.paired import Measured, Sample
from lensmith.weights.bundle import open_bundle
from tests.detect.conftest import Story
from tests.helpers import make_yolo_dataset

SPACE = {"lrf": {"low": 0.1, "high": 0.2}}


def make_tuning(run: Path, dataset: Dataset, workspace: Workspace, **asked: object) -> Tuning:
    of_tuning = {"trials": 3, "time": None, "ray": False, "ray_address": None, "space": SPACE}
    options = {"epochs": 2, "settings": {}, "name": "tuned", OF_TUNING: of_tuning | asked}
    manifest = RunManifest(command="tune", options=options, seed=0, device="cpu")
    run.mkdir(parents=True)
    manifest.save(run)
    return Tuning(run, manifest, dataset, workspace)


@pytest.fixture
def tuning(workspace: Workspace) -> Tuning:
    make_yolo_dataset(workspace.datasets / "small")
    return make_tuning(workspace.runs / "tune-small", open_dataset("small", workspace), workspace)


def fail(folder: Path, judge: Judge) -> TrialScore:
    raise TrialFailedError("no memory", where=folder)


def succeed(folder: Path, judge: Judge) -> TrialScore:
    return TrialScore(0.5, 2, stopped=False)


def begun(study: TuneStudy) -> tuple[object, int | None]:
    trial, again = study.ask()
    trial.suggest_float("lrf", 0.1, 0.2)
    return trial, again


def test_a_trial_that_fails_while_the_defaults_still_train_ends_nothing_else(
    tuning: Tuning, workspace: Workspace
) -> None:
    run = workspace.runs / "tune-small"
    with open_study(run, seed=0, epochs=2) as study:
        first, _ = study.ask()
        second, _ = study.ask()  # at once, by Ray
        tuning.end(study, second, trial_folder(run, 1), fail)
        tuning.end(study, first, trial_folder(run, 0), succeed)
        assert [row.state for row in study.rows()] == ["done", "failed"]
        assert tuning.left(study) == 1


def test_defaults_that_failed_end_the_tuning_and_are_done_again_by_the_next_one(
    tuning: Tuning, workspace: Workspace
) -> None:
    run = workspace.runs / "tune-small"
    with open_study(run, seed=0, epochs=2) as study:
        first, _ = study.ask()
        with pytest.raises(TrialFailedError, match="no memory"):
            tuning.end(study, first, trial_folder(run, 0), fail)
    with open_study(run, seed=0, epochs=2) as study:
        assert tuning.left(study) == 3
        trial, again = study.ask()
        assert (trial.number, again, trial.user_attrs.get("defaults")) == (1, 0, True)
        tuning.end(study, trial, trial_folder(run, 1), succeed)
        assert tuning.left(study) == 2
        assert [(row.state, row.defaults) for row in study.rows()] == [("failed", True), ("done", True)]


def test_a_kill_forgets_no_epoch_of_the_time_limit(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    dataset, run = open_dataset("small", workspace), workspace.runs / "tune-small"
    tuning = make_tuning(run, dataset, workspace, time=3600.0)

    def killed(folder: Path, judge: Judge) -> TrialScore:
        assert judge(1, 0.5)
        raise SystemExit  # nothing is written after it, as after a kill

    with open_study(run, seed=0, epochs=2) as study:
        trial, _ = study.ask()
        with pytest.raises(SystemExit):
            tuning.end(study, trial, trial_folder(run, 0), killed)
    spent = RunManifest.load(run).timings["trials"]
    assert spent > 0
    again = Tuning(run, RunManifest.load(run), dataset, workspace)
    assert again.time_left() < 3600.0 - spent


@pytest.mark.parametrize("whose", ["SQLite", "the system", "a trial"])
def test_a_full_disk_is_told_whoever_notices_it(
    tuning: Tuning, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    run = workspace.runs / "tune-small"

    def work() -> None:
        with open_study(run, seed=0, epochs=2) as study:
            trial, _ = study.ask()
            if whose == "SQLite":
                backend = study.study._storage._backend  # pyright: ignore[reportAttributeAccessIssue]
                event.listen(backend.engine, "begin", lambda one: one.exec_driver_sql("PRAGMA max_page_count = 1"))
                study.fail(trial, "x" * 10**6, 1.0)
                pytest.fail("there was room")
            if whose == "a trial":
                tuning.end(study, trial, trial_folder(run, 0), full)
            raise OSError(errno.ENOSPC, "No space left on device")

    def full(folder: Path, judge: Judge) -> TrialScore:
        raise DiskFullError(folder)

    def end(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tuning, "_work", work)
    monkeypatch.setattr(RunManifest, "end", end)
    with pytest.raises(LensmithError, match="disk is full") as error:
        tuning.carry_on()
    assert error.value.next_step == "free some space, then go on with: cv resume tune-small"
    with open_study(run, seed=0, epochs=2) as study:  # and the trial is done again
        assert study.take_up() == [0]


def a_tuning_before_its_end(story: Story, run: Path) -> None:
    """Two trials that are over, each with the checkpoints of a real training."""
    done = RunManifest.load(story.run)
    options = done.options | {"name": "tuned"}
    asked = {"trials": 2, "time": None, "ray": False, "ray_address": None, "space": SPACE}
    manifest = RunManifest(
        command="tune", options=options | {OF_TUNING: asked}, seed=0, device="cpu", dataset=done.dataset
    )
    run.mkdir(parents=True)
    manifest.save(run)
    for number in range(2):
        folder = trial_folder(run, number)
        shutil.copytree(story.run / "train", folder / "train")
        trial = RunManifest(command="train-yolo", options=options, seed=0, device="cpu", dataset=done.dataset)
        trial.save(folder)
    with open_study(run, seed=0, epochs=2) as study:
        first, _ = study.ask()
        study.finish(first, 0.1, 2, 1.0, stopped=False)
        second, _ = study.ask()
        second.suggest_float("lrf", 0.1, 0.2)
        study.finish(second, 0.2, 2, 1.0, stopped=False)


@pytest.mark.torch
@pytest.mark.slow
def test_a_fault_after_the_verdict_leaves_enough_to_go_on(trained: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = trained.workspace
    run = workspace.runs / "tune-odd"
    a_tuning_before_its_end(trained, run)

    def broken(*_: object) -> Path:
        raise RuntimeError("the page cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr(tune_job, "write_tune_page", broken)
        with pytest.raises(RuntimeError, match="cannot be written"):
            resume_tune(run, workspace)
    assert RunManifest.load(run).status == "failed"

    def never(*_: object) -> object:
        raise AssertionError("what was done is not done again")

    monkeypatch.setattr(tune_finish, "carry_on", never)
    done = resume_tune(run, workspace)
    assert RunManifest.load(run).status == "done"
    assert (done.best.number, done.report.is_file()) == (1, True)
    assert done.detector.metrics == RunManifest.load(done.detector.run).result["metrics"][done.detector.split]
    assert open_bundle(done.detector.bundle.name, workspace).record.run == done.detector.run.name
    assert not list(run.rglob("*.pt"))

    assert done.verdict.better is False  # the same weights: the defaults are what to use, and have a run of their own
    used = done.recommended
    assert used.run.parent == workspace.runs
    assert used.run != done.detector.run
    assert open_bundle(used.bundle.name, workspace).record.run == used.run.name
    assert RunManifest.load(run).result["bundle"] == used.bundle.name != done.detector.bundle.name
    assert f"--weights {used.bundle.name}" in done.report.read_text()


def a_run(name: str, **scores: float) -> ComparedRun:
    """Measured on twenty pictures a split, with figures that every draw shares."""

    def measured(split: str, score: float) -> Measured:
        pictures = tuple(f"{split}{number}" for number in range(20))
        sample = Sample(score, np.full(9, score), 20)
        return Measured(split, pictures, ("",) * 20, 9, lambda _numbers, _draws: {("", "mAP50-95"): sample})

    manifest = RunManifest(command="train-yolo", options={}, seed=0, device="cpu")
    splits = {split: measured(split, score) for split, score in scores.items()}
    return ComparedRun(name, "detect", manifest, {}, splits, "AP50-95", {})


@pytest.mark.parametrize(
    ("defaults", "best", "better"),
    [
        pytest.param({"valid": 0.5, "test": 0.6}, {"valid": 0.6, "test": 0.4}, True, id="better, whatever test says"),
        pytest.param({"valid": 0.5, "test": 0.4}, {"valid": 0.5, "test": 0.6}, False, id="no better"),
        pytest.param({"valid": 0.5}, {"valid": 0.4}, False, id="worse"),
        pytest.param({"valid": 0.5}, {"valid": 0.6}, None, id="better by the pictures that chose it, and no others"),
        pytest.param({}, {}, None, id="not measured"),
    ],
)
def test_validation_pictures_alone_decide_whether_the_best_trial_is_used(
    defaults: dict[str, float], best: dict[str, float], better: bool | None
) -> None:
    verdict = judge(a_run("whatever", **defaults), a_run("best", **best))
    assert verdict.better is better
    assert ("use the defaults" in verdict.sentences[0]) is (better is False)
    assert any("20 test pictures" in said for said in verdict.sentences) is ("test" in best), "it is told all the same"
    flattered = "chosen out of all trials by these very pictures" in verdict.sentences[0]
    assert flattered is (best.get("valid", 0) > defaults.get("valid", 0))
