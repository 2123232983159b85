"""A bundle is tried out in a fresh process with limits before anybody relies on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lensmith.core.errors import DataError
from lensmith.core.limited import Limits, ask
from lensmith.predict import proof
from lensmith.predict.model import open_model
from lensmith.predict.proof import check_files, prove_arrival, prove_bundle, prove_stranger
from lensmith.weights.bundle import BUNDLE_NAME, Bundle, copy_model, read_bundle, rewrite_bundle, write_bundle
from lensmith.weights.known import WRITTEN, marks_of

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


def test_what_was_written_here_is_known_and_what_came_is_tried_out_once_by_each_engine(tmp_path: Path) -> None:
    ours = make_classifier(tmp_path / "ours")
    assert marks_of(ours.folder) == {WRITTEN}
    stranger = _from_elsewhere(ours)
    assert marks_of(stranger.folder) == set()
    open_model(stranger, engine="onnxruntime")
    assert marks_of(stranger.folder) == {"onnxruntime"}
    with pytest.MonkeyPatch.context() as patch:
        tried: list[str] = []
        patch.setattr(proof, "_try", lambda _bundle, engines: tried.extend(engines))
        open_model(stranger, engine="onnxruntime")
        assert tried == []
        open_model(stranger, engine="openvino")
        assert tried == ["openvino"], "it has not tried it out yet"


def test_a_hostile_stranger_is_refused_before_any_engine_opens_it(tmp_path: Path) -> None:
    stranger = _from_elsewhere(make_classifier(tmp_path / "off", golden_shift=0.3))
    for engine in ("onnxruntime", "openvino"):
        with pytest.raises(DataError):
            prove_stranger(stranger, engine)
    assert marks_of(stranger.folder) == set()


@pytest.mark.parametrize("beside", ["nothing", "a sound model"])
def test_a_program_for_a_gpu_that_came_from_elsewhere_is_refused(tmp_path: Path, beside: str) -> None:
    sound = make_classifier(tmp_path / "sound")

    def fill(folder: Path) -> None:
        (folder / "model.engine").write_bytes(b"ftrt" + bytes(64))
        if beside != "nothing":
            (folder / "model.onnx").write_bytes((sound.folder / "model.onnx").read_bytes())

    record = sound.record.model_copy(update={"name": "evil", "files": {}})
    ours = write_bundle(tmp_path / "evil", record, fill, golden=sound.golden())
    check_files(ours)
    with pytest.raises(DataError, match="only one that was made on this machine"):
        prove_arrival(_from_elsewhere(ours).folder)


def test_what_nothing_here_runs_is_told_and_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = _from_elsewhere(make_classifier(tmp_path / "tint"))
    monkeypatch.setattr(proof, "find_spec", lambda _name: None)
    assert prove_arrival(stranger.folder) == ()
    assert "not tried out: nothing that runs it (openvino or onnxruntime) is installed here" in capsys.readouterr().err
    assert marks_of(stranger.folder) == set()


def test_an_import_is_a_strangers_until_it_was_tried_out(tmp_path: Path) -> None:
    sound = make_classifier(tmp_path / "sound")
    record = sound.record.model_copy(update={"name": "came", "origin": "imported", "files": {}})

    def fill(folder: Path) -> None:
        copy_model(sound.folder / "model.onnx", folder, "model.onnx")

    came = write_bundle(tmp_path / "came", record, fill, golden=sound.golden())
    assert marks_of(came.folder) == set()
    prove_bundle(came.folder)
    assert marks_of(came.folder) == {"onnxruntime", "openvino"}
    again = rewrite_bundle(came, came.record.model_copy(update={"confidence": 0.3}))
    assert marks_of(again.folder) == {"onnxruntime", "openvino"}, "another threshold is no other model"


def test_a_child_that_ends_by_itself_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Looking ended the process that tried it") as told:
        ask("this_module_is_not_there", {}, Limits(seconds=30), doing="Looking", where=tmp_path)
    assert told.value.where == str(tmp_path)
