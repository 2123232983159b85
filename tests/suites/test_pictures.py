"""The pictures suite: every kind, 12 bombs, and 3,000 with some damage."""

from __future__ import annotations

from pathlib import Path

from .box import bad, run_cases, share
from .picture_cases import bombs
from .pictures import BY_CHANCE, IN_A_CASE


def test_pictures(tmp_path: Path) -> None:
    assert BY_CHANCE * IN_A_CASE == 3000
    assert len(bombs()) == 12
    numbers = [0, 1, *(2 + number for number in share(BY_CHANCE))]
    outcomes = run_cases("pictures", numbers, tmp_path, patience_seconds=120)
    assert bad(outcomes) == ""
    assert len(outcomes) == len(numbers)
