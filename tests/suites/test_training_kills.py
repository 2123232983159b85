"""The training of a detector, killed at any moment: it always goes on, and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .box import share
from .training_kills import MOMENTS, STEPS

pytestmark = [
    pytest.mark.torch, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"), pytest.mark.timeout(7200),
]  # fmt: skip


def test_a_killed_training_goes_on_to_the_end_of_an_undisturbed_one(tmp_path: Path) -> None:
    numbers = share(MOMENTS) + [MOMENTS + number for number in share(STEPS)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.suites.training_kills", str(tmp_path), *map(str, numbers)],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    assert [case for case in cases if case["broken"]] == []
    assert [case["number"] for case in cases] == numbers
