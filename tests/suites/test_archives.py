"""The archives suite: all that is made by hand, and 5,000 made by chance."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from .archive_cases import cases
from .archives import BY_CHANCE, BY_HAND
from .box import bad, run_cases, share


def test_archives_by_hand(tmp_path: Path) -> None:
    outcomes = run_cases("archives", range(BY_HAND), tmp_path)
    assert bad(outcomes) == ""
    assert len(outcomes) == len(cases()) == BY_HAND


def test_archives_by_chance(tmp_path: Path) -> None:
    numbers = [BY_HAND + number for number in share(BY_CHANCE)]
    outcomes = run_cases("archives", numbers, tmp_path)
    assert bad(outcomes) == ""
    states = Counter(outcome.state for outcome in outcomes)
    assert sum(states.values()) == len(numbers)
    assert min(states["ok"], states["refused"]) > len(numbers) // 50, "too tame, or too wild, to show anything"
