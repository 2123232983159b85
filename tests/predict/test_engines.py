"""Engines, their choice, and the golden samples."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import DataError, NotFoundError, UsageError
from lensmith.core.isolation import cache_folder
from lensmith.core.workspace import Workspace
from lensmith.predict.engines.choose import open_engine
from lensmith.predict.engines.golden import compare
from lensmith.predict.engines.onnx import OnnxEngine
from lensmith.weights.bundle import PORTABLE_NAME, Bundle, open_bundle, write_bundle

from .make_bundle import CELL, SIZE, blocks, make_classifier, make_detector


def test_portable_model_runs_and_takes_any_batch(tmp_path: Path) -> None:
    engine = open_engine(make_classifier(tmp_path / "tint"), device="cpu")
    assert (engine.name, engine.device) == ("onnxruntime", "cpu")
    pictures = np.stack([blocks(32, 32, (0, 0, 32, 32, channel)) for channel in (2, 0, 1, 1, 0)])
    np.testing.assert_array_equal(engine.infer(pictures).argmax(axis=1), [2, 0, 1, 1, 0])


def test_model_with_a_fixed_batch_gets_whole_ones(tmp_path: Path) -> None:
    import onnx

    bundle = make_classifier(tmp_path / "tint")

    def fix_batch(folder: Path) -> None:
        model = onnx.load(str(tmp_path / "tint" / PORTABLE_NAME))
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
        model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 2
        onnx.save(model, str(folder / PORTABLE_NAME))

    fixed = write_bundle(tmp_path / "fixed", bundle.record, fix_batch, golden=bundle.golden())
    pictures = np.stack([blocks(32, 32, (0, 0, 32, 32, channel)) for channel in (2, 0, 1)])
    engine = open_engine(fixed, engine="onnxruntime")
    assert engine.batch == 2
    np.testing.assert_allclose(engine.infer(pictures), OnnxEngine(bundle).infer(pictures), atol=1e-6)


@pytest.mark.parametrize("make", [make_detector, make_classifier])
def test_other_results_than_golden_are_refused(make: type, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="other results"):
        open_engine(make(tmp_path / "off", golden_shift=0.2), engine="onnxruntime")


def test_auto_has_no_native_model_to_fall_back_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="openvino gives other results"):
        open_engine(make_detector(tmp_path / "off", golden_shift=0.2), device="cpu")


@pytest.mark.torch
def test_auto_takes_the_native_model_when_the_portable_one_is_wrong_and_says_so(
    tmp_path: Path, test_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lensmith.predict.engines.ultralytics import MODEL_NAME, TorchDetector

    checkpoint = test_data / "weights" / "yolov8n-coco.pt"
    inputs = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    wrong = make_detector(tmp_path / "cells")
    record = wrong.record.model_copy(
        update={
            "names": tuple(f"c{i}" for i in range(80)),
            "preprocessing": wrong.record.preprocessing.model_copy(update={"width": 64, "height": 64}),
        }
    )

    def fill(folder: Path) -> None:
        shutil.copyfile(checkpoint, folder / MODEL_NAME)
        shutil.copyfile(wrong.folder / PORTABLE_NAME, folder / PORTABLE_NAME)

    bundle = write_bundle(tmp_path / "b", record, fill, golden=(inputs, TorchDetector(checkpoint, "cpu").infer(inputs)))
    engine = open_engine(bundle, device="cpu")
    assert engine.name == "ultralytics"
    assert "Using ultralytics instead" in capsys.readouterr().err


def test_agreement_is_remembered_until_the_bundle_changes(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    open_engine(bundle, engine="onnxruntime")
    open_engine(bundle, engine="onnxruntime")
    assert len(list(cache_folder("golden").iterdir())) == 1
    with pytest.raises(DataError, match="other results"):
        open_engine(make_detector(tmp_path / "cells", golden_shift=0.2), engine="onnxruntime")


def test_what_counts_as_agreement_of_detectors(tmp_path: Path) -> None:
    record = make_detector(tmp_path / "cells").record
    raw = np.zeros((1, 7, 3), np.float32)
    raw[0, :, 0] = [50, 50, 40, 40, 0.8, 0, 0]
    raw[0, :, 1] = [90, 90, 30, 30, 0, 0.4, 0]
    raw[0, :4, 2] = [20, 20, 10, 10]
    assert compare(raw, raw, record) is None

    def changed(row: int, column: int, value: float) -> np.ndarray:
        other = raw.copy()
        other[0, row, column] = value
        return other

    assert compare(changed(0, 0, 50.5), raw, record) is None
    assert "not found" in (compare(changed(0, 0, 54), raw, record) or "")  # IoU 0.82
    assert "highest" in (compare(changed(4, 0, 0.6), raw, record) or "")
    assert "not found" in (compare(changed(5, 1, 0.0), raw, record) or "")
    assert "should not be there" in (compare(changed(6, 2, 0.3), raw, record) or "")


def test_engine_and_device_must_fit_the_model(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    with pytest.raises(UsageError, match="cannot run"):
        open_engine(bundle, engine="keras")
    with pytest.raises(UsageError, match="CPU"):
        open_engine(bundle, engine="onnxruntime", device="gpu")


def _rewritten(tmp_path: Path, content: bytes | None) -> Bundle:
    bundle = make_classifier(tmp_path / "good")

    def fill(folder: Path) -> None:
        if content is not None:
            (folder / PORTABLE_NAME).write_bytes(content)

    return write_bundle(tmp_path / "bad", bundle.record, fill, golden=bundle.golden())


@pytest.mark.parametrize("content", [None, b"", b"no model at all"], ids=["missing", "empty", "garbage"])
def test_portable_model_that_is_none(content: bytes | None, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="portable model"):
        open_engine(_rewritten(tmp_path, content), engine="onnxruntime")


def test_model_for_another_size_is_refused(tmp_path: Path) -> None:
    detector = (make_detector(tmp_path / "cells").folder / PORTABLE_NAME).read_bytes()
    with pytest.raises(DataError, match=f"{SIZE}"):
        open_engine(_rewritten(tmp_path, detector), engine="onnxruntime")


def test_golden_samples_must_fit(tmp_path: Path) -> None:
    bundle = make_classifier(tmp_path / "tint")
    inputs, outputs = bundle.golden()
    model = (bundle.folder / PORTABLE_NAME).read_bytes()
    for golden in [
        (inputs[:0], outputs[:0]),
        (inputs[:, :CELL], outputs),
        (inputs, outputs[:1]),
        (inputs, outputs * np.nan),
    ]:
        bad = write_bundle(
            tmp_path / "bad",
            bundle.record,
            lambda folder: (folder / PORTABLE_NAME).write_bytes(model) and None,
            golden=golden,
        )
        with pytest.raises(DataError, match="golden samples"):
            open_engine(bad, engine="onnxruntime")


def test_bundle_with_a_changed_byte_does_not_open(workspace: Workspace) -> None:
    path = make_classifier(workspace.weights / "tint").folder / PORTABLE_NAME
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="changed"):
        open_bundle("tint", workspace)
    with pytest.raises(NotFoundError):
        open_bundle("tent", workspace)
