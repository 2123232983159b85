"""Several classifiers as one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import DataError, LensmithError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.predict.engines.onnx import OnnxEngine
from lensmith.predict.ensemble import Ensemble, open_models
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import Model
from lensmith.predict.results import Frame, Scores
from lensmith.weights.bundle import Bundle
from tests.helpers import run_cv

from .make_bundle import blocks, make_classifier, make_detector
from .test_sources import make_video


def _model(bundle: Bundle, **record: object) -> Model:
    """The bundle with some entries of its record changed, on its portable model."""
    return Model(Bundle(bundle.folder, bundle.record.model_copy(update=record)), OnnxEngine(bundle))


def _answer(model: Model | Ensemble, bgr: np.ndarray, confidence: float | None = None) -> Scores:
    (done,) = predict_frames([Frame(bgr, "made")], model, confidence=confidence)
    assert isinstance(done.result, Scores)
    return done.result


PICTURE = blocks(60, 40, (0, 0, 20, 40, 2), (20, 0, 32, 40, 0))


def test_the_mean_in_the_order_of_the_first(tmp_path: Path) -> None:
    one = _model(make_classifier(tmp_path / "one"))
    other = _model(make_classifier(tmp_path / "other", ("green", "red", "blue")))
    both = Ensemble([one, other])
    said = _answer(both, PICTURE)
    first, second = _answer(one, PICTURE), _answer(other, PICTURE)
    expected = (first.probability + second.probability[[2, 0, 1]]) / 2
    np.testing.assert_allclose(said.probability, expected, atol=1e-7)
    assert (both.names, said.probability.dtype) == (one.names, np.float32)
    np.testing.assert_array_equal(said.members[0].probability, first.probability)
    np.testing.assert_array_equal(said.members[1].probability, second.probability[[2, 0, 1]])


def test_each_member_keeps_its_own_input_and_threshold(tmp_path: Path) -> None:
    bundle = make_classifier(tmp_path / "stretched")
    letterbox = bundle.record.preprocessing.model_copy(update={"resize": "letterbox", "pad_value": 0})
    one, other = _model(bundle, confidence=0.2), _model(make_classifier(tmp_path / "padded"), preprocessing=letterbox,
                                                        confidence=0.6)  # fmt: skip
    alone = [_answer(model, PICTURE) for model in (one, other)]
    assert abs(alone[0].probability - alone[1].probability).max() > 0.05
    said = _answer(Ensemble([one, other]), PICTURE)
    np.testing.assert_allclose(said.probability, (alone[0].probability + alone[1].probability) / 2, atol=1e-7)
    np.testing.assert_allclose(said.threshold, 0.4)
    np.testing.assert_allclose(_answer(Ensemble([one, other]), PICTURE, 0.9).threshold, 0.9)


def test_each_member_is_calibrated_by_itself(tmp_path: Path) -> None:
    thresholds = (0.1, 0.5, 0.9)
    one = _model(make_classifier(tmp_path / "one"), temperature=4.0, thresholds=thresholds)
    other = _model(make_classifier(tmp_path / "other", ("red", "blue", "green")), thresholds=thresholds)
    said = _answer(Ensemble([one, other]), PICTURE)
    alone = [_answer(model, PICTURE).probability for model in (one, other)]
    raw = _answer(_model(one.bundle, temperature=1.0), PICTURE).probability
    cooled = raw**0.25 / (raw**0.25).sum()
    np.testing.assert_allclose(said.probability, (cooled + alone[1][[1, 2, 0]]) / 2, atol=1e-6)
    np.testing.assert_allclose(said.thresholds, np.add(thresholds, (0.5, 0.9, 0.1)) / 2, atol=1e-6)


def test_the_commands(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "one")
    make_classifier(workspace.weights / "other", ("green", "red", "blue"))
    make_detector(workspace.weights / "cells")
    make_video(workspace.root / "clip.mp4", frames=6, rate=10)
    both = ("--weights", "one", "--weights", "other")
    done = run_cv("predict", "clip.mp4", *both, "--json", "--save", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert "cv live --weights one --weights other" in done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(record["members"]) for record in records] == [2] * 6
    live = run_cv("live", *both, "--source", "clip.mp4", "--no-window", "--json", cwd=workspace.root)
    assert live.returncode == 0, live.stderr
    shown = {record["index"]: record["probabilities"] for record in map(json.loads, live.stdout.splitlines())}
    assert shown and all(records[index]["probabilities"] == said for index, said in shown.items())
    mixed = run_cv("predict", "clip.mp4", "--weights", "one", "--weights", "cells", cwd=workspace.root)
    assert mixed.returncode == 2, mixed.stderr
    assert "'cells' is a detector" in mixed.stderr


def test_what_cannot_be_averaged(tmp_path: Path) -> None:
    tint = make_classifier(tmp_path / "tint")
    with pytest.raises(UsageError, match="'cells' is a detector"):
        open_models([tint, make_detector(tmp_path / "cells")])
    with pytest.raises(UsageError, match="more than once"):
        open_models([tint, tint])
    other = make_classifier(tmp_path / "other", ("blue", "lime", "red"))
    with pytest.raises(DataError, match="only 'tint' knows green and only 'other' knows lime"):
        open_models([tint, other])
    with pytest.raises(LensmithError, match="only 'two' knows grey"):
        open_models([tint, make_classifier(tmp_path / "two", (*tint.record.names, "grey"))])
