"""One tuning in its run folder, from wherever it is to the bundle of its best trial."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from ..core.duration import duration_words
from ..core.ending import told_in
from ..core.errors import LensmithError
from ..core.isolation import isolate_ultralytics
from ..core.manifest import RunManifest
from ..core.progress import say, warn
from ..core.words import many
from ..core.workspace import Workspace
from ..datasets.model import Dataset
from .config import YoloConfig
from .job import DetectorRun
from .trial import Judge, TrialScore
from .trial_process import TrialFailedError, run_trial
from .tune_finish import BEST_RUN, Verdict, finish_tuning
from .tune_folders import clear_tuning, make_trial, tidy
from .tune_page import OF_TUNING, changed, write_tune_page
from .tune_space import Space, space_of, suggest, with_values
from .tune_study import DEFAULTS, TrialRow, TuneStudy, best_of, open_study
from .view import VIEW_NAME, build_view, view_stands

if TYPE_CHECKING:
    from optuna.trial import Trial

_TRIALS = "trials"  # the stage that the time limit is of


@dataclass(frozen=True)
class TuneRun:
    """What tuning came to.

    Attributes:
        run: Its folder.
        trials: All that ended.
        best: The best of them.
        values: What it changed, by the arguments' names; nothing where the defaults were best.
        detector: The run that it became, with its bundle.
        verdict: Against the defaults, on the same pictures.
        report: The page.
    """

    run: Path
    trials: tuple[TrialRow, ...]
    best: TrialRow
    detector: DetectorRun
    verdict: Verdict
    report: Path

    @property
    def recommended(self) -> DetectorRun:
        """The run whose model is the one to use: that of the defaults where nothing shows that the best is better."""
        return self.verdict.defaults or self.detector

    @property
    def values(self) -> dict[str, Any]:
        """What the best trial changed."""
        return self.best.values


class Tuning:
    """One tuning in its run folder, from wherever it is to the bundle."""

    def __init__(self, run: Path, manifest: RunManifest, dataset: Dataset, workspace: Workspace) -> None:
        self._run = run
        self._manifest = manifest
        self._dataset = dataset
        self._workspace = workspace
        self._asked: dict[str, Any] = manifest.options[OF_TUNING]
        self._options = {name: value for name, value in manifest.options.items() if name != OF_TUNING}
        fields = YoloConfig.model_fields.keys() & self._options.keys()
        self._config = YoloConfig(**{name: self._options[name] for name in fields - {"augment"}})
        self._one_by_one = RLock()  # trials may end at once, with Ray
        self._since = time.monotonic()  # what came before stands in the record
        self._space: Space = space_of(self._asked["space"], self._config, run)

    def carry_on(self) -> TuneRun:
        """Do what is not done yet, and note in run.json how it ended."""
        manifest = self._manifest
        manifest.status, manifest.ended = "running", None
        with told_in(self._run, manifest):
            manifest.save(self._run)
            done = self._work()
            manifest.end(self._run, "done")
        clear_tuning(self._run)  # not before: a kill there would leave nothing to go on from
        return done

    def _work(self) -> TuneRun:
        isolate_ultralytics()
        manifest, epochs = self._manifest, int(self._options["epochs"])
        with open_study(self._run, seed=manifest.seed, epochs=epochs) as study:
            for number in study.take_up():
                say(f"trial {number + 1} was cut off, and goes on from its last checkpoint")
            with self._timed(_TRIALS):
                self._try(study)
            rows = study.rows()
            if (ended := sum(row.counts for row in rows)) < int(self._asked["trials"]):
                say(f"the time is up after {many(ended, 'trial')} of {self._asked['trials']}")
            best = best_of(rows)
            if best is None:
                raise LensmithError("No trial came to an end.", where=self._run,
                                    next_step="read why: trials/*/log.txt in that folder")  # fmt: skip
            with self._timed("finish"):
                detector, verdict = finish_tuning(self._run, manifest, rows, best, self._dataset, self._workspace)
            used = verdict.defaults or detector
            manifest.result |= {
                "bundle": used.bundle.name, "metrics": {used.split: used.metrics}, "leaked": {used.split: used.leaked},
                "trials": len(rows),
                "best_trial": best.number + 1, "values": best.values, "verdict": list(verdict.sentences),
            }  # fmt: skip
            report = write_tune_page(self._run, manifest, rows, best, (detector, verdict), study.importances())
        return TuneRun(self._run, tuple(rows), best, detector, verdict, report)

    def _try(self, study: TuneStudy) -> None:
        """Trials, until there are enough or the time is up."""
        if BEST_RUN in self._manifest.result:  # killed while it was finishing
            return
        self._need_view()
        if self._asked["ray"]:
            from .tune_ray import try_with_ray

            try_with_ray(self, study, self._asked["ray_address"])
            return
        while self.left(study) > 0:
            trial, again = study.ask()
            self.end(study, trial, self.begin(trial, again), run_trial)

    def left(self, study: TuneStudy) -> int:
        """How many trials are still to be begun; none when the time is up and there is anything to show."""
        done = [row for row in study.rows() if row.counts]
        if done and self.time_left() <= 0:
            return 0
        return int(self._asked["trials"]) - len(done)

    def time_left(self) -> float:
        """Seconds; infinite without a limit."""
        limit = self._asked["time"]
        if limit is None:
            return float("inf")
        with self._one_by_one:
            spent = self._manifest.timings.get(_TRIALS, 0.0) + time.monotonic() - self._since
        return float(limit) - spent

    def begin(self, trial: Trial, again: int | None) -> Path:
        """The folder of a trial, ready to be trained; one that was cut off goes on in its old one."""
        values = {} if trial.user_attrs.get(DEFAULTS) else suggest(self._space, trial, self._config)
        return make_trial(self._run, trial.number, again, self._manifest, with_values(self._options, values))

    def end(self, study: TuneStudy, trial: Trial, folder: Path, train: Callable[[Path, Judge], TrialScore]) -> None:
        """Do a trial that was begun, note how it ended, and say so; several threads may."""
        started = time.monotonic()

        def judge(epoch: int, score: float) -> bool:
            trial.report(score, epoch)
            self._note_time(_TRIALS)
            return not trial.should_prune() and self.time_left() > 0

        try:
            score = train(folder, judge)
        except TrialFailedError as error:
            study.fail(trial, str(error), time.monotonic() - started)
            warn(f"trial {trial.number + 1} failed: {error.what}")
            if trial.user_attrs.get(DEFAULTS):
                raise  # what fails with nothing changed fails always
            return
        with self._one_by_one:
            study.finish(trial, score.score, score.epochs, time.monotonic() - started, stopped=score.stopped)
            rows = study.rows()
            say(self._line(next(row for row in rows if row.number == trial.number), rows))
            tidy(self._run, rows)

    def _line(self, row: TrialRow, rows: Sequence[TrialRow]) -> str:
        best, ended = best_of(rows), sum(one.counts for one in rows)  # those that are done again have a number too
        how = "the best so far" if best is row or best is None else f"best: {best.score:.3f}, trial {best.number + 1}"
        stopped = f"stopped after {many(row.epochs, 'epoch')}; " if row.state == "stopped" else ""
        return (
            f"trial {row.number + 1} ({ended} of {self._asked['trials']}): mAP50-95 {row.score:.3f} on valid in"
            f" {duration_words(row.seconds)} ({stopped}{how}); changed: {changed(row)}"
        )

    def _need_view(self) -> None:
        folder = self._run / VIEW_NAME
        if folder.exists() and not view_stands(folder, self._dataset):
            shutil.rmtree(folder)
        if not folder.exists():
            build_view(self._dataset, folder, self._manifest.seed)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        """Add the seconds that the block takes to the stage; a run that was resumed has the sum."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._note_time(stage)

    def _note_time(self, stage: str) -> None:
        """Save the seconds since the last time, so that a kill forgets those of one epoch at most."""
        with self._one_by_one:
            now, timings = time.monotonic(), self._manifest.timings
            timings[stage] = round(timings.get(stage, 0.0) + now - self._since, 3)
            self._since = now
            self._manifest.save(self._run)
