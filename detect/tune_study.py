"""The trials of one `cv tune` in Optuna's own SQLite file, so that they outlive the process.

Values are proposed by the tree-structured Parzen estimator (Bergstra et al., "Algorithms for Hyper-Parameter
Optimization", 2011), several arguments together; a trial whose best mAP50-95 so far is below the median of what the
others had at the same epoch is stopped (Golovin et al., "Google Vizier", 2017, section 3.2).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.ending import of_full_disk
from ..core.errors import DataError
from .tune_space import Value

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

STUDY_NAME = "study.db"
_NAME = "cv tune"
_RANDOM_TRIALS = 8  # before the estimator has anything to go by
_UNPRUNED_TRIALS = 4
DEFAULTS, SCORE, EPOCHS, ERROR, AGAIN, SECONDS = "defaults", "score", "epochs", "error", "again", "seconds"


@dataclass(frozen=True)
class TrialRow:
    """A trial.

    Attributes:
        number: From 0; its folder is called after it.
        state: "done", "stopped" (it was below the others, or the time was up), "failed", "interrupted" or "running".
        defaults: Whether it was the one that changed nothing.
        score: Its best mAP50-95 on validation pictures; None without one.
        epochs: How many it had.
        seconds: How long it took.
        values: What it changed.
        error: Why it failed.
    """

    number: int
    state: str
    defaults: bool
    score: float | None
    epochs: int
    seconds: float
    values: dict[str, Value]
    error: str | None = None

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that were asked for.

        One that was interrupted is done again, and so are the defaults that failed: without them nothing can be told.
        """
        return self.state != "interrupted" and not (self.defaults and self.state == "failed")


class TuneStudy:
    """The trials so far, and the next one. Made by `open_study`."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def rows(self) -> list[TrialRow]:
        """All trials that have ended, in order."""
        return [_row(trial) for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]

    def take_up(self) -> list[int]:
        """Note that trials which a kill or Ctrl-C cut off are over, and let them be done again; gives their numbers."""
        from optuna.trial import TrialState

        cut_off = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in cut_off:
            self.study.tell(trial.number, state=TrialState.FAIL)
            if not trial.user_attrs.get(DEFAULTS):
                self.study.enqueue_trial(trial.params, user_attrs={AGAIN: trial.number})
        return [trial.number for trial in cut_off]

    def ask(self) -> tuple[Trial, int | None]:
        """The next trial, and the number of the interrupted one that it does again."""
        unchanged = [_row(one) for one in self.study.get_trials(deepcopy=False) if one.user_attrs.get(DEFAULTS)]
        trial = self.study.ask()
        again = trial.user_attrs.get(AGAIN)
        if again is None and not any(row.counts for row in unchanged):
            trial.set_user_attr(DEFAULTS, True)
            again = unchanged[-1].number if unchanged else None
        return trial, again

    def finish(self, trial: Trial, score: float, epochs: int, seconds: float, *, stopped: bool) -> None:
        """Note how a trial ended."""
        from optuna.trial import TrialState

        trial.set_user_attr(SCORE, score)
        trial.set_user_attr(EPOCHS, epochs)
        trial.set_user_attr(SECONDS, round(seconds, 1))
        if stopped:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, score)

    def fail(self, trial: Trial, error: str, seconds: float) -> None:
        """Note that a trial failed."""
        from optuna.trial import TrialState

        trial.set_user_attr(ERROR, error)
        trial.set_user_attr(SECONDS, round(seconds, 1))
        self.study.tell(trial, state=TrialState.FAIL)

    def importances(self) -> dict[str, float]:
        """How much of the difference between trials each argument makes, the largest first; empty where none can tell.

        PED-ANOVA (Watanabe et al., "PED-ANOVA", 2023): of the arguments that every trial but the first one had.
        """
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
        from optuna.trial import TrialState

        done = [one for one in self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) if one.params]
        if len(done) < _RANDOM_TRIALS:
            return {}
        import optuna

        reduced = optuna.create_study(direction="maximize")
        reduced.add_trials(done)
        try:
            return get_param_importances(reduced, evaluator=PedAnovaImportanceEvaluator())
        except (RuntimeError, ValueError):  # all trials alike
            return {}


def best_of(rows: Sequence[TrialRow]) -> TrialRow | None:
    """The trial with the highest score; one that was stopped counts only where none went to its end."""
    scored = [row for row in rows if row.score is not None]
    whole = [row for row in scored if row.state == "done"]
    return max(whole or scored, key=lambda row: row.score or 0.0, default=None)


@contextmanager
def open_study(run: Path, *, seed: int, epochs: int) -> Iterator[TuneStudy]:
    """The study in a run's folder, made if it is not there.

    Args:
        run: The run's folder.
        seed: Of what the sampler draws.
        epochs: Of a trial; no trial is stopped in its first quarter.

    Raises:
        DataError: the file is damaged.
    """
    import optuna
    from sqlalchemy.exc import DatabaseError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = run / STUDY_NAME
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
            study = optuna.create_study(
                study_name=_NAME, storage=storage, direction="maximize", load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(
                    n_startup_trials=_UNPRUNED_TRIALS, n_warmup_steps=max(epochs // 4, 1) + 1, n_min_trials=3
                ),
            )  # fmt: skip
        except (DatabaseError, RuntimeError) as error:
            if of_full_disk(error):
                raise
            raise DataError(
                f"The record of the trials is damaged: {next(iter(str(error).splitlines()), '')}",
                where=path,
                next_step="bring the file back, or tune anew",
            ) from None
        # Another seed after each resume, or it would draw what it drew before.
        study.sampler = optuna.samplers.TPESampler(
            seed=seed + len(study.get_trials(deepcopy=False)), n_startup_trials=_RANDOM_TRIALS, multivariate=True,
            group=True,
        )  # fmt: skip
        try:
            yield TuneStudy(study)
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _row(trial: FrozenTrial) -> TrialRow:
    from optuna.trial import TrialState

    told: dict[str, Any] = trial.user_attrs
    failed = "failed" if ERROR in told else "interrupted"
    states = {TrialState.COMPLETE: "done", TrialState.PRUNED: "stopped", TrialState.RUNNING: "running"}
    state = states.get(trial.state, failed)
    values = {name: round(value, 6) if isinstance(value, float) else value for name, value in trial.params.items()}
    return TrialRow(
        number=trial.number, state=state, defaults=bool(told.get(DEFAULTS)), score=told.get(SCORE),
        epochs=int(told.get(EPOCHS, 0)), seconds=float(told.get(SECONDS, 0.0)), values=values, error=told.get(ERROR),
    )  # fmt: skip
