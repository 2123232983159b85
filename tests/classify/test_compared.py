"""What a run keeps of its model's answers, and what another run's are compared by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lensmith.classify.compared import measure, open_compared
from lensmith.classify.evaluate import Evaluation
from lensmith.classify.saved import read_evaluation, save_evaluation
from lensmith.core.arrays import read_arrays, write_arrays
from lensmith.core.errors import DataError, NotFoundError
from lensmith.core.files import sha256_of
from lensmith.core.manifest import RunManifest
from lensmith.predict.results import Skipped
from lensmith.report.compare import compare_runs


def answers(labels: list[int], said: list[int], images: list[Path] | None = None, split: str = "test") -> Evaluation:
    """A model of two classes that is 90% sure of each answer."""
    probability = np.full((len(labels), 2), 0.1, np.float32)
    probability[np.arange(len(labels)), said] = 0.9
    return Evaluation(
        "some", split, ("cat", "<b>dög"), probability, np.array(labels, np.int64),
        tuple(images or [Path(f"{number}.png") for number in range(len(labels))]), np.array([0.0, 0.5], np.float32),
        temperature=1.5, skipped=(Skipped("odd.png", "cut off"),),
    )  # fmt: skip


def make_pictures(folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def make_run(runs: Path, name: str, *evaluations: Evaluation) -> Path:
    run = runs / name
    run.mkdir(parents=True)
    RunManifest(command="finetune", options={"epochs": 3}, seed=0, device="cpu").end(run, "done")
    for one in evaluations:
        save_evaluation(one, run)
    return run


def compared(run: Path):
    return open_compared(run, RunManifest.load(run))


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    images = make_pictures(tmp_path / "pictures", 3)
    before = answers([0, 1, 1], [0, 1, 0], images)
    images[2].unlink()
    save_evaluation(before, tmp_path)
    after, hashes = read_evaluation(tmp_path, "test")
    assert np.array_equal(after.said, before.said)
    assert np.array_equal(after.labels, before.labels)
    assert np.array_equal(after.thresholds, before.thresholds)
    assert (after.names, after.images, after.skipped) == (before.names, before.images, before.skipped)
    assert after.scores.as_record() == before.scores.as_record()
    assert hashes == (sha256_of(images[0]), sha256_of(images[1]), "")


def test_what_is_damaged_or_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no answers about 'test' pictures"):
        read_evaluation(tmp_path, "test")
    path = save_evaluation(answers([0, 1], [0, 1]), tmp_path)
    whole = path.read_bytes()
    for damaged in (whole[:-30], b"PK", b""):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read"):
            read_evaluation(tmp_path, "test")
    path.write_bytes(whole)
    about, arrays = read_arrays(path, "")
    for changed, said in (
        ({"said": arrays["said"][:1]}, "do not fit"),
        ({"labels": np.array([0, 2])}, "no class"),
        ({"labels": np.array(["a", "b"])}, "cannot be read"),
    ):
        write_arrays(path, about, {**arrays, **changed})
        with pytest.raises(DataError, match=said):
            read_evaluation(tmp_path, "test")
    write_arrays(path, {"model": "x"}, arrays)
    with pytest.raises(DataError, match="cannot be read"):
        read_evaluation(tmp_path, "test")


def test_the_figures_are_those_of_the_evaluation() -> None:
    evaluation = answers([0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1, 0])
    found, scores = measure(evaluation, np.arange(8), 200), evaluation.scores
    assert found["", "accuracy"].value == pytest.approx(scores.accuracy.value)
    assert found["", "balanced accuracy"].value == pytest.approx(scores.balanced_accuracy.value)
    assert found["", "mean F1"].value == pytest.approx(scores.f1.value)
    for one in scores.classes:
        assert one.recall is not None
        assert one.precision is not None
        assert found[one.name, "recall"].value == pytest.approx(one.recall.value)
        assert found[one.name, "precision"].value == pytest.approx(one.precision.value)
        assert found[one.name, "recall"].pictures == one.pictures
    assert found["", "accuracy"].drawn.shape == (200,)
    some = measure(evaluation, np.array([0, 2]), 50)
    assert some["", "accuracy"].value == 0.5
    assert ("<b>dög", "recall") not in some


def test_two_runs_that_differ_on_the_same_pictures(tmp_path: Path) -> None:
    """One is right on 24 of 40 pictures, the other on the same and on 12 more: that is no chance."""
    images = make_pictures(tmp_path / "pictures", 40)
    labels = [number % 2 for number in range(40)]
    good = [label if number < 36 else 1 - label for number, label in enumerate(labels)]
    bad = [label if number < 24 else 1 - label for number, label in enumerate(labels)]
    first = make_run(tmp_path, "first", answers(labels, bad, images))
    second = make_run(tmp_path, "second", answers(labels[::-1], good[::-1], images[::-1]))  # in another order
    pair = compare_runs([compared(first), compared(second)]).pairs[0]
    lead = pair.differences[0]
    assert (lead.measure, lead.of, pair.shared) == ("accuracy", "", 40)
    assert lead.difference.value == pytest.approx(0.3)
    assert 0.1 < lead.difference.low < 0.3 < lead.difference.high < 0.5
    assert lead.verdict == "better"
    assert "30.0 points higher" in pair.sentences()[0]
    same = compare_runs([compared(first), compared(make_run(tmp_path, "same", answers(labels, bad, images)))]).pairs[0]
    assert all(one.within_noise for one in same.differences)
    assert "0.0 points higher" in same.sentences()[0]
    assert "within noise" in same.sentences()[0]
