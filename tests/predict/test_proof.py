"""A bundle is tried out in a fresh process with limits before anybody relies on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lensmith.core.errors import DataError
from lensmith.core.limited import Limits, ask
from lensmith.predict.model import open_model
from lensmith.predict.proof import prove_bundle, prove_stranger
from lensmith.weights.bundle import BUNDLE_NAME, Bundle, read_bundle
from lensmith.weights.known import is_known

from .make_bundle import make_classifier, make_detector


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CV_CACHE", str(tmp_path / "cache"))


def _from_elsewhere(bundle: Bundle) -> Bundle:
    """The same bundle with another record, as if another machine had written it."""
    path = bundle.folder / BUNDLE_NAME
    record = json.loads(path.read_bytes())
    path.write_text(json.dumps({**record, "run": "there"}))
    return read_bundle(bundle.folder)


def test_a_sound_bundle_is_proven_by_each_portable_engine(tmp_path: Path) -> None:
    assert set(prove_bundle(make_detector(tmp_path / "cells").folder)) == {"onnxruntime", "openvino"}


def test_other_answers_are_told_with_the_engine_and_how_far_off(tmp_path: Path) -> None:
    bundle = make_classifier(tmp_path / "off", golden_shift=0.3)
    with pytest.raises(DataError, match=r"(onnxruntime|openvino) gives other results.*differs by 0\.3"):
        prove_bundle(bundle.folder)


def test_what_was_written_here_is_known_and_what_came_is_tried_out_once(tmp_path: Path) -> None:
    ours = make_classifier(tmp_path / "ours")
    assert is_known(ours.folder)
    stranger = _from_elsewhere(ours)
    assert not is_known(stranger.folder)
    open_model(stranger, engine="onnxruntime")
    assert is_known(stranger.folder)


def test_a_hostile_stranger_is_refused_before_any_engine_opens_it(tmp_path: Path) -> None:
    stranger = _from_elsewhere(make_classifier(tmp_path / "off", golden_shift=0.3))
    with pytest.raises(DataError):
        prove_stranger(stranger)
    assert not is_known(stranger.folder)


def test_a_child_that_ends_by_itself_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Looking ended the process that tried it") as told:
        ask("this_module_is_not_there", {}, Limits(seconds=30), doing="Looking", where=tmp_path)
    assert told.value.where == str(tmp_path)
