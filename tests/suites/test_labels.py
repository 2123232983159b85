"""The labels suite: 80 files by hand, 10,000 by chance."""

from __future__ import annotations

from pathlib import Path

from .box import bad, run_cases, share
from .labels import BY_CHANCE, COUNT, FILES_IN_A_CASE


def test_labels(tmp_path: Path) -> None:
    assert sum(BY_CHANCE.values()) * FILES_IN_A_CASE == 10_000
    numbers = [0, 1, 2, *(3 + number for number in share(COUNT - 3))]
    outcomes = run_cases("labels", numbers, tmp_path)
    assert bad(outcomes) == ""
    assert [outcome.state for outcome in outcomes] == ["ok"] * len(numbers)
