"""The models suite: hostile model files and bundles through `cv weights import` and through opening."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from . import models
from .box import bad, run_cases, share

QUICK, TRIED = 360, 17
_PART_OF_TRIED = 3  # each starts a process of a second or two


def test_files_and_bundles_that_are_refused_unopened(tmp_path: Path) -> None:
    outcomes = run_cases("models", share(len(models.quick())), tmp_path)
    assert bad(outcomes) == ""


def test_models_that_a_process_with_limits_must_end(tmp_path: Path) -> None:
    first = len(models.quick())
    numbers = range(first, first + len(models.tried()))
    chosen = list(numbers) if os.environ.get("CV_SUITES") == "all" else list(numbers)[:: len(numbers) // _PART_OF_TRIED]
    outcomes = run_cases("models", chosen, tmp_path, patience_seconds=60)
    assert bad(outcomes) == ""


@pytest.mark.slow
@pytest.mark.keras
def test_keras_files_whose_weights_are_not_what_they_seem(tmp_path: Path) -> None:
    first = len(models.quick()) + len(models.tried())
    outcomes = run_cases("models", range(first, first + len(models.heavy())), tmp_path, patience_seconds=240)
    assert bad(outcomes) == ""


def test_there_are_enough_of_them() -> None:
    assert len(models.quick()) >= QUICK
    assert len(models.tried()) >= TRIED
