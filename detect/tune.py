"""Look for better training options on small data: many short trainings, judged on validation pictures alone.

runs/tune-<dataset>-.../study.db       every trial, in Optuna's own format
                        trials/0007/   a trial: run.json, results.csv, log; its checkpoints while they are needed
                        defaults/      the training that changed nothing, measured as the best one is
                        report.html

The best trial becomes a run of `cv train-yolo` of its own, with its bundle and its report; test pictures are looked at
once, there, when everything is decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UsageError
from ..core.extras import need_extra
from ..core.lock import sole_use
from ..core.manifest import RunManifest
from ..core.progress import say
from ..core.workspace import Workspace
from ..datasets.model import Dataset
from ..datasets.of_run import dataset_of_run
from .config import YoloConfig, checked
from .train import resolved
from .tune_folders import clear_tuning
from .tune_job import TuneRun, Tuning
from .tune_page import OF_TUNING
from .tune_space import check_space, read_space, usual_space

COMMAND = "tune"


@dataclass(frozen=True)
class TuneConfig:
    """How options are looked for.

    Attributes:
        yolo: What is the same in every trial; `epochs` are those of one trial.
        trials: How many, the first one with nothing changed included.
        time: Seconds after which no trial begins and the one that runs is stopped; None for no limit.
        space: A YAML file with what to try, see `tune_space.read_space`; None takes the usual.
        ray: Several trials at once on the machines of a Ray cluster.
        ray_address: Of the cluster; None starts one on this machine.
    """

    yolo: YoloConfig
    trials: int = 20
    time: float | None = None
    space: Path | None = None
    ray: bool = False
    ray_address: str | None = None

    def check(self) -> None:
        """Raises UsageError for choices that make no sense."""
        if self.trials < 2:
            raise UsageError("One trial has nothing to be compared with.", where="--trials", next_step="give 10, say")
        if self.ray_address and not self.ray:
            raise UsageError("--ray-address is the address of a Ray cluster.", where="--ray-address",
                             next_step="add --ray")  # fmt: skip


def tune_yolo(dataset: Dataset, workspace: Workspace, config: TuneConfig) -> TuneRun:
    """Try training options and make a bundle of the best trial.

    Args:
        dataset: A detection dataset; its files are only read.
        workspace: Where the runs and the bundle go.
        config: What the person chose.

    Raises:
        MissingExtraError: the tune part is not installed, or with `ray` the ray part.
        UsageError, DataError, NotFoundError: as `train_yolo`, or the space makes no sense.
        LensmithError: the training that changes nothing fails.
        KeyboardInterrupt: the person stopped it; `resume_tune` goes on.
    """
    need_extra("tune", "Tuning")
    if config.ray:
        need_extra("ray", "Tuning with --ray")
    config.check()
    space, remarks = (read_space(config.space, config.yolo), []) if config.space else usual_space(config.yolo)
    manifest = resolved(dataset, workspace, config.yolo, COMMAND)
    model = manifest.options["model"]
    check_space(space, checked(config.yolo, {"model": model, "size": None}), config.space or "the usual")
    for remark in remarks:
        say(remark)
    manifest.options[OF_TUNING] = {
        "trials": config.trials, "time": config.time, "ray": config.ray, "ray_address": config.ray_address,
        "space": {name: one.as_record() for name, one in space.items()},
    }  # fmt: skip
    run = workspace.new_run(COMMAND, dataset.name)
    with sole_use(run):
        manifest.save(run)
        say(f"run: {run}")
        return Tuning(run, manifest, dataset, workspace).carry_on()


def resume_tune(run: Path, workspace: Workspace, *, dataset: str | Path | None = None) -> TuneRun:
    """Go on with a tuning that was interrupted: a trial that was cut off goes on from its last checkpoint.

    Args:
        run: The run's folder.
        workspace: Where the dataset is looked for, and where the best trial and its bundle go.
        dataset: The dataset's name or folder now; None where it is where it was.

    Raises:
        UsageError: the run is finished, is no tuning, or another process is at work on it.
        DataError: its record or its dataset is damaged or was changed.
        KeyboardInterrupt: the person stopped it again.
    """
    need_extra("tune", "Tuning")
    RunManifest.load(run)
    with sole_use(run):
        manifest = RunManifest.load(run)
        if manifest.command != COMMAND:
            raise UsageError(f"This is a run of `cv {manifest.command}`, not of `cv {COMMAND}`.", where=run)
        if manifest.status == "done":
            clear_tuning(run)  # what a kill just after the end left behind
            raise UsageError(
                "This run is finished: there is nothing to resume.",
                where=run,
                next_step=f"its best training is a run of its own: cv resume {manifest.result.get('best_run')}"
                " --extend 20",
            )
        return Tuning(run, manifest, dataset_of_run(run, manifest, workspace, dataset), workspace).carry_on()
