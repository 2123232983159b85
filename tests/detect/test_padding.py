"""Little padding is for a detector that takes any size, and only where its validation pictures lose nothing by it."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lensmith.detect.finish import is_as_good, with_less_padding
from lensmith.report.bootstrap import Figure
from lensmith.weights.bundle import Preprocessing
from tests.predict.make_bundle import make_detector

_SQUARE = Preprocessing(width=64, height=64, resize="letterbox")
_DETECTOR: Any = SimpleNamespace(stride=32)


def _scored(value: float | None) -> Any:
    figure = None if value is None else Figure(value, value - 0.1, value + 0.1)
    return SimpleNamespace(scores=SimpleNamespace(map50_95=figure))


@pytest.mark.parametrize(("stride", "expected"), [(16, 32), (None, None)], ids=["any size", "one size"])
def test_a_portable_model_says_whether_it_takes_any_size(
    stride: int | None, expected: int | None, tmp_path: Path
) -> None:
    made = make_detector(tmp_path / "weights" / "made", stride=stride)
    portable = Path(shutil.copy(made.folder / "model.onnx", tmp_path))
    assert with_less_padding(_SQUARE, _DETECTOR, portable).stride == expected
    assert with_less_padding(_SQUARE, _DETECTOR, tmp_path / "none.onnx").stride == 32


def test_a_model_that_sees_pictures_stretched_has_no_padding(tmp_path: Path) -> None:
    stretched = _SQUARE.model_copy(update={"resize": "stretch"})
    assert with_less_padding(stretched, _DETECTOR, tmp_path / "none.onnx") == stretched


@pytest.mark.parametrize(
    ("less", "full", "good"), [(0.40, 0.40, True), (0.399, 0.40, True), (0.39, 0.40, False), (None, 0.40, False)]
)
def test_little_padding_must_not_cost_anything(less: float | None, full: float, good: bool) -> None:
    assert is_as_good(_scored(less), _scored(full)) is good
