"""Bundles that an older Lensmith wrote open as they are, and are not rewritten for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lensmith.core.errors import DataError
from lensmith.core.files import sha256_of
from lensmith.core.workspace import Workspace
from lensmith.predict.engines.choose import open_engine
from lensmith.weights.bundle import open_bundle, read_record, rewrite_bundle
from lensmith.weights.record import SCHEMA_VERSION, BundleRecord, Export
from tests.predict.make_bundle import make_classifier, make_detector

# As Lensmith 0.1.0 wrote them after training; only the hashes are filled in by the tests.
DETECTOR_1 = """{
  "schema_version": 1, "name": "rubik-yolov8n", "task": "detect", "names": ["rubik", "other", "third"],
  "preprocessing": {"width": 128, "height": 128, "resize": "letterbox", "interpolation": "linear", "pad_value": 114},
  "detector": {"family": "yolov8n", "output": "raw", "iou": 0.7, "max_det": 300, "tiles": null},
  "classifier": null, "confidence": 0.25, "thresholds": [0.429, 0.25, 0.3], "temperature": 1.0,
  "metrics": {"mAP50": 0.15089045594871733, "mAP50_low": 0.030255350903205004, "mAP50_high": 0.4186099397480184,
              "precision": 0.5, "recall": 0.1, "pictures": 10},
  "metrics_split": "test",
  "dataset": {"name": "rubik", "fingerprint": "4071b45a4950558490cba0da660ef0f407d96304f7854332bea017285e700654",
              "path": null},
  "run": "train-yolo-rubik-20261121-225631", "created": "2026-11-21T22:56:52.679590Z",
  "versions": {"python": "3.11.7", "lensmith": "0.1.0", "ultralytics": "8.4.190", "torch": "2.15.0"},
  "files": {}
}"""
CLASSIFIER_1 = """{
  "schema_version": 1, "name": "fl60-vgg16", "task": "classify", "names": ["daisy", "dandelion", "rose"],
  "preprocessing": {"width": 32, "height": 32, "resize": "stretch", "interpolation": "area", "pad_value": 114},
  "detector": null,
  "classifier": {"backbone": "vgg16", "units": 256, "dropout": 0.3, "pooling": "average", "activation": "leaky_relu",
                 "unfrozen_from": null, "stage": "frozen"},
  "confidence": 0.0, "thresholds": null, "temperature": 13.209042471443196,
  "metrics": {"accuracy": 0.65, "accuracy_low": 0.5166666666666667, "accuracy_high": 0.7666666666666667,
              "ece": 0.155957567691803, "ece_before": 0.3125191261370977, "pictures": 60.0},
  "metrics_split": "valid",
  "dataset": {"name": "fl60", "fingerprint": "91dfd9105332f388bdde9b5bf6466b5830a7a90969d1cbfba3857122f3968e08",
              "path": null},
  "run": "finetune-fl60-vgg16-20261121-192841", "created": "2026-11-21T19:30:33.569893Z",
  "versions": {"python": "3.11.7", "lensmith": "0.1.0", "keras": "3.15.1", "tensorflow": "2.21.0"},
  "files": {}
}"""


def _of_version_1(folder: Path, text: str, make: Callable[[Path], object]) -> Path:
    """A whole bundle whose record is the one of version 1."""
    make(folder)
    content: dict[str, Any] = json.loads(text)
    content["files"] = {path.name: sha256_of(path) for path in folder.iterdir() if path.name != "bundle.json"}
    (folder / "bundle.json").write_text(json.dumps(content, indent=2))
    return folder


@pytest.mark.parametrize(("text", "make"), [(DETECTOR_1, make_detector), (CLASSIFIER_1, make_classifier)])
def test_a_bundle_of_version_1_opens_runs_and_is_not_rewritten(
    workspace: Workspace, text: str, make: Callable[[Path], object]
) -> None:
    folder = _of_version_1(workspace.weights / "old", text, make)
    before = (folder / "bundle.json").read_bytes()
    bundle = open_bundle("old", workspace)
    assert (bundle.record.schema_version, bundle.record.origin, bundle.record.exported) == (2, "trained", None)
    old = json.loads(text)
    assert bundle.record.metrics == old["metrics"]
    assert bundle.record.run == old["run"]
    engine = open_engine(bundle, engine="onnxruntime")
    inputs, outputs = bundle.golden()
    assert engine.infer(inputs).shape == outputs.shape
    assert (folder / "bundle.json").read_bytes() == before


def test_a_record_that_is_changed_is_written_in_this_version(workspace: Workspace) -> None:
    folder = _of_version_1(workspace.weights / "old", DETECTOR_1, make_detector)
    (folder / "notes.txt").write_text("mine")
    bundle = open_bundle("old", workspace)
    rewrite_bundle(bundle, bundle.record.model_copy(update={"confidence": 0.4}))
    assert json.loads((folder / "bundle.json").read_text())["schema_version"] == SCHEMA_VERSION
    assert open_bundle("old", workspace).record.confidence == 0.4
    assert (folder / "notes.txt").read_text() == "mine"
    assert "notes.txt" not in open_bundle("old", workspace).record.files


def test_an_export_says_from_what_it_was_made(workspace: Workspace) -> None:
    bundle = make_detector(workspace.weights / "source")
    exported = Export(
        format="openvino", precision="fp16", source="source", source_sha256=sha256_of(bundle.folder / "bundle.json")
    )
    record = bundle.record.model_copy(update={"origin": "exported", "exported": exported})
    rewrite_bundle(bundle, record)
    assert read_record(bundle.folder).exported == exported
    content = json.loads((bundle.folder / "bundle.json").read_text())
    (bundle.folder / "bundle.json").write_text(json.dumps({**content, "origin": "trained"}))
    with pytest.raises(DataError, match="exported"):
        read_record(bundle.folder)


# Another number here alone is right only for a version that nobody has bundles of yet. Otherwise: a new SCHEMA_VERSION,
# a step in `weights.migrate`, and a bundle of the version before among the ones above.
SCHEMA = (2, "3bedae25e06c578d")


def test_a_changed_schema_has_a_number_of_its_own() -> None:
    shape = json.dumps(_without_words(BundleRecord.model_json_schema()), sort_keys=True)
    found = (SCHEMA_VERSION, hashlib.sha256(shape.encode()).hexdigest()[:16])
    assert found == SCHEMA, "an older Lensmith refuses such a bundle by its version only where that has changed too"


def _without_words(schema: Any) -> Any:
    """A JSON schema without titles and descriptions, which bind nobody."""
    if isinstance(schema, list):
        return [_without_words(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    words = {key for key in ("title", "description") if isinstance(schema.get(key), str)}
    return {key: _without_words(value) for key, value in schema.items() if key not in words}
