"""What pages have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lensmith.core.manifest import DatasetRef, RunManifest
from lensmith.report.bootstrap import Figure
from lensmith.report.page import Page
from lensmith.report.parts import add_facts, add_left_out, plain_value, thinned, thumbnail, told, told_short
from tests.report.reading import Reader


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "not given"),
        (True, "true"),
        (0.5, "0.5"),
        ({}, "none"),
        ({"fliplr": 0, "cos_lr": True}, "fliplr=0, cos_lr=true"),
        ({"name": "heavy", "sha256": "0123456789"}, "heavy (sha256 01234567)"),
        ({"name": None, "sha256": "0123456789"}, "your own (sha256 01234567)"),
    ],
)
def test_an_option_as_a_person_reads_it(value: object, said: str) -> None:
    assert plain_value(value) == said


def test_figures_in_words() -> None:
    assert told(Figure(0.5, 0.25, 0.75)) == "0.500 (0.250 to 0.750)"
    assert told_short(Figure(0.5, 0.25, 0.756)) == "0.50 (0.25 to 0.76)"
    assert told(None) == told_short(None) == "-"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        pytest.param((400, 800), (160, 320), id="large ones shrink"),
        pytest.param((200, 300), (200, 300), id="what fits stays"),
        pytest.param((10, 20), (160, 320), id="tiny ones grow in whole steps"),
        pytest.param((9, 21), (135, 315), id="and not further"),
        pytest.param((1, 5000), (1, 320), id="nothing shrinks to nothing"),
    ],
)
def test_a_thumbnail(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert thumbnail(np.zeros((*size, 3), np.uint8)).shape == (*shown, 3)


def test_a_curve_keeps_its_ends() -> None:
    x = np.arange(10_000)
    thin, same = thinned((x, -x))
    assert (thin[0], thin[-1]) == (0, 9999)
    assert len(thin) <= 400
    assert (same == -thin).all()
    few = np.arange(3)
    assert thinned((few, few))[0].tolist() == [0, 1, 2]


def test_the_facts_of_a_run(tmp_path: Path) -> None:
    manifest = RunManifest(
        command="finetune", options={"epochs": 3, "views": [1, 2], "settings": {}}, seed=7, device="cpu",
        dataset=DatasetRef(name="pets", fingerprint="ab" * 32), timings={"train": 1.25}, versions={"torch": "2.1"},
    )  # fmt: skip
    page = Page("x")
    add_facts(page, manifest, [("run", "of today")])
    add_left_out(page, [])
    text = Reader(page.write(tmp_path / "x.html").read_text()).text
    for said in ("epochs3", "settingsnone", "seed7", "of today", "ab" * 32, "seconds: train1.2", "torch2.1"):
        assert said in text.replace(" ", "") or said in text, said
    assert "views" not in text
    assert "Left out" not in text
