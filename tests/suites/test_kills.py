"""The kills suite: commands that write datasets, ended at twenty of their steps, without room, and two at once."""

from __future__ import annotations

from pathlib import Path

from .box import bad, run_cases, share
from .kills import COUNT


def test_kills(tmp_path: Path) -> None:
    numbers = share(COUNT)
    outcomes = run_cases("kills", numbers, tmp_path)
    assert bad(outcomes) == ""
    assert [outcome.state for outcome in outcomes] == ["ok"] * len(numbers)
