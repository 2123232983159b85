"""The end of a tuning: the best trial becomes a run with a bundle, and is compared with what changed nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError, NotFoundError
from ..core.lock import sole_use
from ..core.manifest import RunManifest
from ..core.progress import say
from ..core.workspace import Workspace
from ..datasets.model import Dataset
from ..report.compare import compare_two
from ..weights.bundle import open_bundle
from .compared import open_compared
from .job import TRAINED, DetectorRun, carry_on
from .report import REPORT_NAME
from .tune_folders import DEFAULTS_FOLDER, trial_folder
from .tune_study import TrialRow

BEST_RUN = "best_run"  # in the tuning's result: the name of the run that the best trial became


@dataclass(frozen=True)
class Verdict:
    """The best trial against the training that changed nothing.

    Attributes:
        sentences: What came out, in plain words: the answer first.
        better: Whether it is better by more than chance; None where that cannot be told.
    """

    sentences: tuple[str, ...]
    better: bool | None = None


def finish_tuning(
    run: Path, manifest: RunManifest, rows: Sequence[TrialRow], best: TrialRow, dataset: Dataset, workspace: Workspace
) -> tuple[DetectorRun, Verdict]:
    """Make the bundle of the best trial, and look at the test pictures: for the first time.

    Args:
        run: The tuning's folder.
        manifest: Its record; gets the name of the run that the best trial becomes.
        rows: All trials.
        best: The best of them; its checkpoint must stand.
        dataset: What was trained on.
        workspace: Where the run and the bundle go.
    """
    if BEST_RUN not in manifest.result:
        free = workspace.new_run("train-yolo", dataset.name)
        free.rmdir()
        manifest.result[BEST_RUN] = free.name
        manifest.save(run)
    target = workspace.runs / str(manifest.result[BEST_RUN])
    say(f"trial {best.number + 1} was the best; it becomes the run {target.name}")
    done = _as_run(trial_folder(run, best.number), target, run.name, dataset, workspace)
    if best.defaults:
        return done, Verdict(("No trial was better than the one that changed nothing: the defaults stay.",), False)
    first = next((row for row in rows if row.defaults and row.score is not None), None)
    if first is None:
        return done, Verdict(
            ("The training that changed nothing came to no end, so there is nothing to compare with.",)
        )
    return done, _verdict(run, first, target, dataset)


def _verdict(run: Path, first: TrialRow, best: Path, dataset: Dataset) -> Verdict:
    """Measure the defaults as the best one was measured, on the same pictures; their model goes at the very end."""
    place = Workspace(run / DEFAULTS_FOLDER)
    target = place.runs / DEFAULTS_FOLDER
    say("measuring the training that changed nothing, to compare with")
    _as_run(trial_folder(run, first.number), target, run.name, dataset, place)
    pair = compare_two(*(open_compared(folder, RunManifest.load(folder)) for folder in (target, best)))
    lead = pair.differences[0] if pair.differences else None
    better = None if lead is None else not lead.within_noise and lead.difference.value > 0
    return Verdict(tuple(pair.sentences()), better)


def _as_run(trial: Path, target: Path, tuning: str, dataset: Dataset, workspace: Workspace) -> DetectorRun:
    """Make a run of a trial, and do what is left of it: the bundle, the measuring, the report."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        trial.rename(target)
    manifest = RunManifest.load(target)
    if manifest.status == "done" and (done := _finished(target, manifest, workspace)):
        return done
    manifest.result |= {TRAINED: True, "tuned_by": tuning}
    manifest.status, manifest.ended = "running", None
    with sole_use(target):
        manifest.save(target)
        return carry_on(target, manifest, dataset, workspace)


def _finished(run: Path, manifest: RunManifest, workspace: Workspace) -> DetectorRun | None:
    """A run that came to its end before the tuning was cut off; None when its model is gone."""
    try:
        bundle = open_bundle(str(manifest.result["bundle"]), workspace)
    except (KeyError, DataError, NotFoundError):
        return None
    split = bundle.record.metrics_split or "valid"
    metrics = manifest.result["metrics"].get(split, {})
    return DetectorRun(run, bundle, metrics, split, manifest.result["leaked"].get(split, 0), run / REPORT_NAME)
