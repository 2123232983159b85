"""A real training from a folder of pictures to a bundle that another process can use."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.manifest import RunManifest
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.read import open_dataset
from lensmith.predict.engines.choose import open_engine
from lensmith.predict.engines.golden import compare
from lensmith.weights.bundle import open_bundle
from lensmith.weights.trust import check_checkpoint
from tests.detect.conftest import Story
from tests.detect.odd import ODD, UNREADABLE, hashes
from tests.helpers import run_cv

pytestmark = pytest.mark.torch


def test_nothing_outside_is_contacted(trained: Story) -> None:
    assert trained.told["touched"] == []
    assert trained.told["trackers"] == []


def test_the_dataset_is_untouched(trained: Story) -> None:
    assert hashes(trained.workspace.datasets / "odd") == trained.before


def test_the_record_tells_what_was_done(trained: Story) -> None:
    manifest = RunManifest.load(trained.run)
    dataset = open_dataset("odd", trained.workspace)
    assert manifest.status == "done"
    assert manifest.dataset is not None
    assert manifest.dataset.fingerprint == fingerprint(dataset)
    assert manifest.options["model"] == "yolo26n"
    assert manifest.timings.keys() == {"prepare", "train", "finish"}
    assert manifest.result["pictures"] == {"train": 8 + len(ODD), "valid": 4}
    assert sorted(Path(path).name for path, _ in manifest.result["skipped"]) == sorted(UNREADABLE)
    assert manifest.result["metrics"].keys() == {"valid", "test"}
    assert manifest.result["leaked"] == {}
    for name in UNREADABLE:
        assert name in trained.stderr


def test_progress_is_one_line_an_epoch(trained: Story) -> None:
    assert trained.stderr.count("epoch 1/2") == trained.stderr.count("epoch 2/2") == 1
    assert "on the CPU" in trained.stderr
    assert "Ultralytics" not in trained.stderr


def test_the_bundle_says_what_it_is(trained: Story) -> None:
    record = open_bundle("odd-one", trained.workspace).record
    assert record.names == ("cat", "dog")
    assert (record.preprocessing.width, record.preprocessing.resize) == (64, "letterbox")
    assert record.detector is not None
    assert record.detector.family == "yolo26n"
    assert record.metrics_split == trained.told["split"] == "test"
    assert all(record.metrics.get(name, 0) == value for name, value in trained.told["metrics"].items())
    assert record.metrics["mAP50_low"] <= record.metrics["mAP50"] <= record.metrics["mAP50_high"]
    assert record.thresholds is not None
    assert {"evaluation.json", "evaluation-valid.npz", "evaluation-test.npz"} <= {p.name for p in trained.run.iterdir()}
    assert record.run == trained.run.name


def test_both_engines_give_the_golden_results(trained: Story) -> None:
    bundle = open_bundle("odd-one", trained.workspace)
    inputs, expected = bundle.golden()
    assert len(inputs) == 4
    for name in ("onnxruntime", "ultralytics"):
        outputs = open_engine(bundle, engine=name, device="cpu").infer(inputs)
        assert outputs.shape == expected.shape
        assert compare(outputs, expected, bundle.record) is None
        assert np.abs(outputs - expected).max() < 0.05


def test_the_model_carries_no_paths(trained: Story) -> None:
    path = trained.workspace.weights / "odd-one" / "model.pt"
    check_checkpoint(path)
    with zipfile.ZipFile(path) as archive:
        data = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    for secret in (trained.workspace.root.parent.name.encode(), b"train-yolo", b"data.yaml", b"git", b"project"):
        assert secret not in data


def test_a_fresh_process_predicts_with_it(trained: Story) -> None:
    pictures = trained.workspace.datasets / "odd" / "test" / "images"
    done = run_cv("predict", pictures, "--weights", "odd-one", "--conf", "0", "--json",
                  cwd=trained.workspace.root, env=trained.env)  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(record["source"]).name for record in records] == ["test-000.png", "test-001.png"]
    assert {"class", "confidence", "xyxy"} <= records[0]["detections"][0].keys()


def test_a_finished_run_is_not_resumed(trained: Story) -> None:
    before = hashes(trained.run)
    done = run_cv("resume", trained.run.name, cwd=trained.workspace.root, env=trained.env)
    assert done.returncode == 2
    assert "finished" in done.stderr
    assert "odd-one" in done.stderr
    assert hashes(trained.run) == before


def test_a_name_that_is_taken_is_refused_before_training(trained: Story) -> None:
    done = run_cv("train-yolo", "odd", "--from-scratch", "--name", "odd one", "--device", "cpu",
                  cwd=trained.workspace.root, env=trained.env)  # fmt: skip
    assert done.returncode == 2
    assert "already" in done.stderr
    assert len(list(trained.workspace.runs.iterdir())) == 1
