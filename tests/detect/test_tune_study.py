"""The trials of a tuning outlive the process, and one that was cut off is done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lensmith.core.errors import DataError
from lensmith.detect.tune_study import STUDY_NAME, best_of, open_study


def test_the_first_trial_changes_nothing_and_later_ones_are_kept(tmp_path: Path) -> None:
    with open_study(tmp_path, seed=0, epochs=4) as study:
        first, again = study.ask()
        second, _ = study.ask()  # at once, on another machine
        assert (first.user_attrs.get("defaults"), again, second.user_attrs.get("defaults")) == (True, None, None)
        study.finish(first, 0.5, 4, 10.0, stopped=False)
        second.suggest_float("lrf", 0, 1)
        study.fail(second, "no memory", 3.0)
    with open_study(tmp_path, seed=0, epochs=4) as study:
        third, _ = study.ask()
        third.suggest_float("lrf", 0, 1)
        study.finish(third, 0.75, 2, 5.0, stopped=True)
        fourth, _ = study.ask()
        study.finish(fourth, 0.6, 4, 10.0, stopped=False)
        rows = study.rows()
        assert study.importances() == {}
    assert [row.state for row in rows] == ["done", "failed", "stopped", "done"]
    assert [row.defaults for row in rows] == [True, False, False, False]
    assert (rows[1].error, rows[2].epochs, rows[3].seconds) == ("no memory", 2, 10.0)
    assert best_of(rows) == rows[3]  # a trial that was stopped has not come to its end
    assert best_of(rows[1:3]) == rows[2]
    assert best_of(rows[1:2]) is None


_CUT_OFF = """
import sys; from pathlib import Path
from lensmith.detect.tune_study import open_study
with open_study(Path(sys.argv[1]), seed=0, epochs=4) as study:
    first, again = study.ask()
    print(first.number, again, flush=True)
    if len(sys.argv) > 2:
        study.finish(first, 0.5, 4, 1.0, stopped=False)
        second, again = study.ask()
        print(second.suggest_float("lrf", 0, 1), flush=True)
        second.report(0.25, 1)
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_trial_that_was_killed_is_done_again_with_the_same_values(tmp_path: Path) -> None:
    def run(*more: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", _CUT_OFF, str(tmp_path), *more], capture_output=True, text=True, check=False
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        return done.stdout.split("\n")

    assert run()[0] == "0 None"
    with open_study(tmp_path, seed=0, epochs=4) as study:
        assert study.take_up() == [0]
        assert study.take_up() == []
    first, value, _ = run("on")
    assert first == "1 0"  # the defaults again, in the folder of before
    with open_study(tmp_path, seed=0, epochs=4) as study:
        assert study.take_up() == [2]
        trial, again = study.ask()
        assert (trial.number, again) == (3, 2)
        assert trial.suggest_float("lrf", 0, 1) == float(value)
        study.finish(trial, 0.7, 4, 1.0, stopped=False)
        rows = study.rows()
    assert [row.state for row in rows] == ["interrupted", "done", "interrupted", "done"]
    assert [row.number for row in rows if row.counts] == [1, 3]


def test_a_trial_far_below_the_others_is_stopped_but_not_at_its_start(tmp_path: Path) -> None:
    with open_study(tmp_path, seed=0, epochs=8) as study:
        for _ in range(4):
            trial, _ = study.ask()
            for epoch in range(1, 9):
                trial.report(0.1 * epoch, epoch)
                assert not trial.should_prune()
            study.finish(trial, 0.8, 8, 1.0, stopped=False)
        poor, _ = study.ask()
        stopped = []
        for epoch in range(1, 9):
            poor.report(0.01, epoch)
            stopped.append(poor.should_prune())
        assert stopped == [False] * 2 + [True] * 6


def test_what_mattered_is_told_of_enough_trials(tmp_path: Path) -> None:
    with open_study(tmp_path, seed=0, epochs=1) as study:
        for _ in range(12):
            trial, _ = study.ask()
            score = 0.5
            if not trial.user_attrs.get("defaults"):
                score = trial.suggest_float("lrf", 0, 1) + 0.0 * trial.suggest_float("scale", 0, 1)
            study.finish(trial, score, 1, 1.0, stopped=False)
        found = study.importances()
    assert next(iter(found)) == "lrf"
    assert sum(found.values()) == pytest.approx(1)


def test_a_damaged_study_is_told(tmp_path: Path) -> None:
    (tmp_path / STUDY_NAME).write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match="damaged"), open_study(tmp_path, seed=0, epochs=1):
        pass
