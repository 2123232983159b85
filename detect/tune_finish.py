"""The end of a tuning: the best trial becomes a run with a bundle, and is compared with what changed nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import DataError, NotFoundError
from ..core.lock import sole_use
from ..core.manifest import RunManifest
from ..core.progress import part_of, say
from ..core.workspace import Workspace
from ..datasets.model import Dataset
from ..report.compare import ComparedRun, compare_on, compare_two
from ..weights.bundle import open_bundle
from .compared import open_compared
from .job import TRAINED, DetectorRun, carry_on
from .report import REPORT_NAME
from .tune_folders import DEFAULTS_FOLDER, trial_folder
from .tune_study import TrialRow

BEST_RUN = "best_run"  # in the tuning's result: the name of the run that the best trial became
_DEFAULTS_RUN = "defaults_run"  # of the run that the defaults became, where their model is the one to use


@dataclass(frozen=True)
class Verdict:
    """The best trial against the training that changed nothing.

    Attributes:
        sentences: What came out, in plain words: the answer first.
        better: Whether it is better on the validation pictures by more than chance; None where that cannot be told,
            or where it seems so and there are no test pictures, which did not choose it, beside them.
        defaults: The run that the training which changed nothing became, because its model is the one to use; None
            where that of the best trial is.
    """

    sentences: tuple[str, ...]
    better: bool | None = None
    defaults: DetectorRun | None = None


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
    target = _home(run, manifest, BEST_RUN, dataset, workspace)
    say(f"trial {best.number + 1} was the best; it becomes the run {target.name}")
    done = _as_run(trial_folder(run, best.number), target, run.name, dataset, workspace)
    if best.defaults:
        return done, Verdict(("No trial was better than the one that changed nothing: the defaults stay.",), False)
    first = next((row for row in rows if row.defaults and row.score is not None), None)
    if first is None:
        return done, Verdict(
            ("The training that changed nothing came to no end, so there is nothing to compare with.",)
        )
    defaults = _measured_defaults(run, manifest, first, dataset, workspace)
    verdict = judge(*(open_compared(folder, RunManifest.load(folder)) for folder in (defaults, target)))
    if verdict.better is not False:
        return done, verdict
    home = _home(run, manifest, _DEFAULTS_RUN, dataset, workspace)
    say(f"the training that changed nothing becomes the run {home.name}")
    return done, replace(verdict, defaults=_as_run(defaults, home, run.name, dataset, workspace))


def judge(defaults: ComparedRun, best: ComparedRun) -> Verdict:
    """Whether the best trial is to be used, by the validation pictures: test pictures choose nothing and only tell.

    Args:
        defaults: The training that changed nothing, measured.
        best: The best trial, measured.
    """
    defaults = replace(defaults, name="defaults")
    measured = "valid" in defaults.measured and "valid" in best.measured
    valid = compare_on(defaults, best, "valid") if measured else None
    if valid is None or not valid.differences:
        return Verdict(("Whether the best trial is better than the defaults cannot be told.",))
    lead = valid.differences[0]
    told = compare_two(defaults, best)
    tested = told.sentences() if told.split == "test" else ()
    better = not lead.within_noise and lead.difference.value > 0
    if better:
        answer = (
            "On the validation pictures the best trial is better than the defaults by more than chance: use it. It was"
            " chosen out of all trials by these very pictures, which flatters it"
        )
        answer += "." if tested else "; without test pictures nobody can tell by how much."
    else:
        answer = "Nothing shows that the best trial is better than the defaults, so use the defaults."
    return Verdict((answer, *valid.sentences(), *tested), better if tested or not better else None)


def _measured_defaults(
    run: Path, manifest: RunManifest, first: TrialRow, dataset: Dataset, workspace: Workspace
) -> Path:
    """Measure the defaults as the best one was measured, on the same pictures; their model goes at the very end."""
    kept = manifest.result.get(_DEFAULTS_RUN)
    if kept and (home := workspace.runs / str(kept)).exists():  # killed while it became a run
        return home
    place = Workspace(run / DEFAULTS_FOLDER)
    target = place.runs / DEFAULTS_FOLDER
    say("measuring the training that changed nothing, to compare with")
    _as_run(trial_folder(run, first.number), target, run.name, dataset, place)
    return target


def _home(run: Path, manifest: RunManifest, key: str, dataset: Dataset, workspace: Workspace) -> Path:
    """The run that a trial becomes, the same one after a kill."""
    if key not in manifest.result:
        free = workspace.new_run("train-yolo", dataset.name)
        free.rmdir()
        manifest.result[key] = free.name
        manifest.save(run)
    return workspace.runs / str(manifest.result[key])


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
    with sole_use(target), part_of(tuning):
        manifest.save(target)
        return carry_on(target, manifest, dataset, workspace)


def _finished(run: Path, manifest: RunManifest, workspace: Workspace) -> DetectorRun | None:
    """A run that came to its end before the tuning was cut off; None when its model is gone."""
    try:
        bundle = open_bundle(str(manifest.result["bundle"]), workspace)
    except (KeyError, DataError, NotFoundError):
        return None
    if bundle.record.run != run.name:  # it was made in another place, or is another run's
        return None
    split = bundle.record.metrics_split or "valid"
    metrics = manifest.result["metrics"].get(split, {})
    return DetectorRun(run, bundle, metrics, split, manifest.result["leaked"].get(split, 0), run / REPORT_NAME)
