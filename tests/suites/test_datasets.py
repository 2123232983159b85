"""The datasets suite: what somebody may put into a dataset, and what must never come of it."""

from __future__ import annotations

from pathlib import Path

from .box import bad, run_cases, share
from .dataset_cases import cases
from .datasets import COUNT


def test_datasets(tmp_path: Path) -> None:
    assert len(cases()) == COUNT
    numbers = share(COUNT)
    outcomes = run_cases("datasets", numbers, tmp_path)
    assert bad(outcomes) == ""
    assert len(outcomes) == len(numbers)
