"""How many epochs fit into the time that a training may take."""

from __future__ import annotations

import pytest

from lensmith.detect import budget as module
from lensmith.detect.budget import TimeBudget


class _Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_as_many_epochs_as_the_time_is_enough_for(clock: _Clock) -> None:
    budget = TimeBudget(100, epochs=50)
    clock.now += 20
    assert budget.epochs(done=1, seconds=20) == 5
    clock.now += 10
    assert budget.left == 70
    assert budget.epochs(done=2, seconds=10) == 2 + 4  # 15 seconds is their mean


def test_the_number_of_epochs_stays_the_most(clock: _Clock) -> None:
    budget = TimeBudget(1000, epochs=12)
    clock.now += 1
    assert budget.epochs(done=1, seconds=1) == 12
    assert budget.epochs(done=11, seconds=1) == 12


def test_an_epoch_that_would_be_cut_off_is_not_begun(clock: _Clock) -> None:
    budget = TimeBudget(10, epochs=12)
    clock.now += 8
    assert budget.epochs(done=7, seconds=4) == 7
    clock.now += 8
    assert budget.left == 0
    assert budget.epochs(done=8, seconds=4) == 8
