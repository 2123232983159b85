"""Classifiers in other formats."""

from __future__ import annotations

import sys

import pytest

from lensmith.classify.exported import export_classifier
from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.predict import export_check
from lensmith.predict.engines.choose import open_engine
from lensmith.predict.exporting import ExportConfig
from lensmith.weights.bundle import Bundle, read_bundle, rewrite_bundle
from tests.helpers import make_folder_dataset, run_cv
from tests.predict.make_bundle import COLOURS, make_classifier


@pytest.fixture(autouse=True)
def _soon_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_check, "_ROUNDS", 1)


@pytest.fixture
def tints(workspace: Workspace) -> Bundle:
    """A classifier that is portable alone, and a dataset that its record does not name."""
    make_folder_dataset(workspace.datasets / "tints", names=COLOURS)
    return make_classifier(workspace.weights / "tint")


@pytest.mark.parametrize(("kind", "precision"), [("onnx", "fp16"), ("openvino", "fp32"), ("onnx", "int8")])
def test_an_export_answers_like_its_source(tints: Bundle, workspace: Workspace, kind: str, precision: str) -> None:
    calibrate = "tints" if precision == "int8" else None
    config = ExportConfig(kind, precision, dataset="tints", calibrate=calibrate, split="valid")  # type: ignore[arg-type]
    done = export_classifier(tints, config, workspace)
    found = read_bundle(workspace.weights / f"tint-{kind}-{precision}")
    exported = found.record.exported
    assert exported is not None
    assert exported.loss == {"accuracy": 0.0} and exported.split == "valid"
    assert exported.difference["probability"] < 0.01
    assert done.measured["accuracy"][0] > 0.5, "something was measured"
    assert found.record.metrics["pictures"] == 6
    assert open_engine(found).name in {"onnxruntime", "openvino"}


def test_the_dataset_that_it_was_made_from_measures_it_while_it_is_as_it_was(
    tints: Bundle, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    from lensmith.core.manifest import DatasetRef
    from lensmith.datasets.fingerprint import fingerprint

    dataset = open_dataset("tints", workspace)
    reference = DatasetRef(name="tints", fingerprint=fingerprint(dataset))
    bundle = rewrite_bundle(tints, tints.record.model_copy(update={"dataset": reference}))
    done = export_classifier(bundle, ExportConfig("onnx"), workspace)
    assert done.bundle.record.metrics_split == "test" and "accuracy" in done.measured
    next(dataset.items("train")).image.unlink()
    done = export_classifier(bundle, ExportConfig("onnx", name="again"), workspace)
    assert done.measured == {} and done.bundle.record.metrics == {}
    assert "not measured" in capsys.readouterr().err


def test_a_dataset_of_boxes_is_refused(tints: Bundle, workspace: Workspace) -> None:
    from tests.helpers import make_yolo_dataset

    make_yolo_dataset(workspace.datasets / "boxes")
    with pytest.raises(DataError, match="boxes"):
        export_classifier(tints, ExportConfig("onnx", dataset="boxes"), workspace)
    assert [path.name for path in workspace.weights.iterdir()] == ["tint"]


@pytest.mark.keras
@pytest.mark.slow
def test_a_keras_classifier_goes_into_every_format_that_is_made_here(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "tints", {"train": 8, "valid": 4, "test": 4})
    trained = run_cv(
        "finetune", "tints", "--backbone", "cnn", "--weights", "none", "--imgsz", 64, "--name", "tint",
        "--epochs-frozen", 1, "--epochs-tune", 0, "--device", "cpu", cwd=workspace.root, timeout=280,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    bundle = read_bundle(workspace.weights / "tint")
    for kind, precision in (("torchscript", "fp32"), ("savedmodel", "fp32"), ("tflite", "fp32"), ("tflite", "int8")):
        done = export_classifier(bundle, ExportConfig(kind, precision), workspace)  # type: ignore[arg-type]
        exported = done.bundle.record.exported
        assert exported is not None and exported.difference["probability"] < 0.02, kind
        assert done.export.engine == kind and "accuracy" in exported.loss
    assert not {"torch", "tensorflow"} & sys.modules.keys(), "each has a process of its own"
