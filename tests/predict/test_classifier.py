"""The classifier for use from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import DataError, UsageError
from lensmith.core.images import read_image
from lensmith.core.workspace import Workspace
from lensmith.predict.classifier import Classifier
from tests.helpers import make_picture, run_cv

from .make_bundle import COLOURS, make_classifier, make_detector


@pytest.fixture
def pictures(workspace: Workspace) -> list[Path]:
    make_classifier(workspace.weights / "tint")
    make_classifier(workspace.weights / "other", ("green", "blue", "red"))
    sizes = [(64, 48), (33, 90), (200, 20)]
    return [make_picture(workspace.root / "shots" / f"{n}.png", w, h, n) for n, (w, h) in enumerate(sizes)]


@pytest.mark.parametrize("weights", [["tint"], ["tint", "other"]])
def test_the_same_numbers_as_cv_predict(weights: list[str], pictures: list[Path], workspace: Workspace) -> None:
    options = [word for name in weights for word in ("--weights", name)]
    done = run_cv("predict", "shots", *options, "--json", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    classifier = Classifier.load(weights if len(weights) > 1 else weights[0], workspace.root)
    assert classifier.names == COLOURS
    mixed = (path if n % 2 else read_image(path) for n, path in enumerate(pictures))
    scores = classifier.predict(mixed)
    assert [dict(zip(COLOURS, np.round(one.probability, 4).tolist(), strict=True)) for one in scores] == [
        {name: pytest.approx(p, abs=1e-6) for name, p in record["probabilities"].items()} for record in records
    ]
    assert [classifier.name_of(one) for one in scores] == [record["class"] for record in records]
    assert [record.get("members") and len(record["members"]) for record in records] == [
        None if len(weights) == 1 else 2
    ] * 3
    (single,) = classifier.predict(pictures[0])
    np.testing.assert_array_equal(single.probability, scores[0].probability)


def test_pictures_are_taken_a_few_at_a_time(pictures: list[Path]) -> None:
    classifier, taken = Classifier.load("tint"), 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield np.full((8, 8, 3), 90, np.uint8)

    results = classifier.stream(endless())
    next(results)
    results.close()
    assert taken < 20
    assert classifier.predict([]) == []


@pytest.mark.parametrize(
    ("image", "error", "says"),
    [
        ("missing.png", DataError, "Picture 2 cannot be used: there is no such file"),
        (np.zeros((8, 8, 3), np.float32), UsageError, r"an array of float32 \(8, 8, 3\)"),
        (np.zeros((8, 8), np.uint8), UsageError, r"an array of uint8 \(8, 8\)"),
        (np.zeros((0, 8, 3), np.uint8), UsageError, r"\(0, 8, 3\)"),
        (7, UsageError, "Picture 2 is of the type int"),
    ],
)
def test_what_is_no_picture_is_named(image: object, error: type[Exception], says: str, pictures: list[Path]) -> None:
    with pytest.raises(error, match=says):
        Classifier.load("tint").predict([pictures[0], image])  # type: ignore[list-item]


def test_a_detector_is_refused(workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells")
    with pytest.raises(UsageError, match="'cells' is a detector"):
        Classifier.load("cells")
    with pytest.raises(UsageError, match="No model was named"):
        Classifier.load([])


def test_needs_neither_keras_nor_torch(pictures: list[Path], workspace: Workspace) -> None:
    program = (
        "import sys\n"
        "from lensmith.core.isolation import hidden\n"
        "with hidden('keras'), hidden('tensorflow'), hidden('torch'):\n"
        "    from lensmith.predict.classifier import Classifier\n"
        "    (scores,) = Classifier.load('tint').predict(sys.argv[1])\n"
        "print(float(scores.probability.sum()), [p for p in ('keras', 'tensorflow', 'torch') if p in sys.modules])\n"
    )
    command = [sys.executable, "-c", program, str(pictures[0])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=workspace.root, check=False)
    assert done.returncode == 0, done.stderr
    total, loaded = done.stdout.split(" ", 1)
    assert (float(total), loaded.strip()) == (pytest.approx(1, abs=1e-5), "[]")
