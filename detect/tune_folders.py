"""The folders of a tuning's trials: each a run folder of its own kind, thrown away as soon as it can be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..core.manifest import RunManifest
from ..core.workspace import Workspace
from .job import WEIGHTS_PATH
from .tune_study import TrialRow, best_of
from .view import VIEW_NAME

_TRIALS = "trials"
DEFAULTS_FOLDER = "defaults"  # a workspace of its own: what ships must not stand beside what lost
_OF_TRIAL = "train-yolo"  # a trial is a training as any other


def trial_folder(run: Path, number: int) -> Path:
    """Where a trial lies."""
    return run / _TRIALS / f"{number:04d}"


def make_trial(run: Path, number: int, again: int | None, manifest: RunManifest, options: Mapping[str, Any]) -> Path:
    """A folder that can be trained in: its run.json, and a view of the dataset that costs no space.

    Args:
        run: The tuning's folder, with its view.
        number: Of the trial.
        again: The number of an interrupted trial with the same options, whose checkpoints are taken over.
        manifest: The tuning's record.
        options: Of this training.
    """
    folder = trial_folder(run, number)
    if again is not None and trial_folder(run, again).is_dir():
        trial_folder(run, again).rename(folder)
    folder.mkdir(parents=True, exist_ok=True)
    RunManifest(
        command=_OF_TRIAL, options=dict(options), seed=manifest.seed, device=manifest.device, dataset=manifest.dataset
    ).save(folder)
    shutil.rmtree(folder / VIEW_NAME, ignore_errors=True)
    shutil.copytree(run / VIEW_NAME, folder / VIEW_NAME, copy_function=_link)
    data = folder / VIEW_NAME / "data.yaml"
    content = yaml.safe_load(data.read_text(encoding="utf-8")) | {"path": str((folder / VIEW_NAME).resolve())}
    data.unlink()  # it may be the same file as the tuning's
    data.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return folder


def tidy(run: Path, rows: Sequence[TrialRow]) -> None:
    """Throw away what no trial needs any more: views, and the checkpoints of all but the best and the first one."""
    best = best_of(rows)
    for row in rows:
        folder = trial_folder(run, row.number)
        if row.counts:
            shutil.rmtree(folder / VIEW_NAME, ignore_errors=True)
        if row.counts and not row.defaults and row is not best:
            clear_trial(run, row.number)


def clear_trial(run: Path, number: int) -> None:
    """Remove a trial's checkpoints and its view; what it was and how it went stays."""
    folder = trial_folder(run, number)
    for path in (folder / WEIGHTS_PATH, folder / VIEW_NAME):
        shutil.rmtree(path, ignore_errors=True)


def clear_tuning(run: Path) -> None:
    """Remove all that only an unfinished tuning needs, the model of the training that changed nothing included."""
    for folder in (run / _TRIALS).glob("*"):
        clear_trial(run, int(folder.name))
    place = Workspace(run / DEFAULTS_FOLDER)
    for path in (place.weights, place.runs / DEFAULTS_FOLDER / WEIGHTS_PATH, run / VIEW_NAME):
        shutil.rmtree(path, ignore_errors=True)


def _link(source: str, target: str) -> str:
    """A hard link where the disk has them, as in the view itself."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target
