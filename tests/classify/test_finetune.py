"""Fine-tuning up to a bundle, with real Keras on real little pictures."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lensmith.classify.config import FinetuneConfig
from lensmith.classify.finetune import ClassifierRun, finetune
from lensmith.classify.state import StateFolder
from lensmith.core.errors import UsageError
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.datasets.record import DatasetOrigin, DatasetRecord
from lensmith.predict.engines.choose import open_engine
from tests.classify.test_data import make_odd_pictures
from tests.helpers import cv_path, make_folder_dataset, run_cv

pytestmark = pytest.mark.keras
TINY = ("--backbone", "vgg16", "--weights", "none", "--imgsz", "32", "--batch", "4")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClassifierRun]:
    """One run for all the tests that look at what it left: odd pictures among good ones, no test of speed or skill."""
    place = Workspace(tmp_path_factory.mktemp("trained"))
    root = make_folder_dataset(place.datasets / "pets ü", {"train": 6, "valid": 2, "test": 2})
    make_odd_pictures(root / "train" / "cat")
    cut = DatasetOrigin(parent="zoo", parent_fingerprint="0", made_by="crops", options={"margin": 0.25, "min_size": 16})
    DatasetRecord(origin=cut, task="classify", names=("cat", "dog"), counts={}, fingerprint="1", files={}).save(root)
    (root / "valid" / "dog" / "broken.jpg").write_bytes(b"no picture")
    mine = place.root / "mine.yaml"
    mine.write_text(
        "transforms:\n  - RandomCropFromBorders: {p: 1}\n  - OneOf: {transforms: [ToGray, HorizontalFlip]}\n"
    )
    config = FinetuneConfig(
        augment=mine, backbone="vgg16", weights="none", imgsz=32, epochs_frozen=1, epochs_tune=1, batch=4, units=8,
        seed=3, unfreeze="block1_conv1", lr_tune=1e-3, name="pets", force=True,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CV_CACHE", str(place.root / "cache"))
        yield finetune(open_dataset("pets ü", place), place, config)


def test_run_folder_tells_what_happened(trained: ClassifierRun) -> None:
    manifest = RunManifest.load(trained.run)
    assert (manifest.status, manifest.seed) == ("done", 3)
    assert "tensorflow" in manifest.device
    assert manifest.dataset is not None
    assert manifest.result["bundle"] == "pets"
    assert manifest.result["leaked"] == {}
    assert {"frozen", "tuned", "export", "measure"} <= set(manifest.timings)
    augment = manifest.options["augment"]
    assert (augment["name"], len(augment["transforms"]), len(augment["sha256"])) == ("mine.yaml", 2, 64)
    history = json.loads((trained.run / "history.json").read_text())
    assert [row["stage"] for row in history] == ["frozen", "tuned"]
    assert manifest.options["views"] == 8  # settled, so that cross-validation has no others
    evaluation = json.loads((trained.run / "evaluation.json").read_text())
    assert evaluation["temperature"] == trained.bundle.record.temperature
    assert set(evaluation["thresholds"]) == {"cat", "dog"}
    scores = evaluation["splits"]
    assert [one["leak"] for one in scores] == [None, None]
    assert [(one["split"], one["pictures"]) for one in scores] == [("valid", 4), ("test", 4)]
    assert not (trained.run / "bundle").exists()
    assert not (trained.run / "state").exists()
    assert trained.report.is_file()


def test_the_bundle_ships_the_better_stage_and_its_figures(trained: ClassifierRun) -> None:
    record = trained.bundle.record
    history = json.loads((trained.run / "history.json").read_text())
    best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert record.classifier is not None
    assert record.classifier.stage == best["stage"]
    assert record.classifier.crop_margin == 0.25  # so that the crops it is shown are cut as those it learned from
    assert record.metrics_split == "test"
    assert {"accuracy", "accuracy_low", "balanced_accuracy", "f1", "ece", "valid_accuracy"} <= set(record.metrics)


def test_the_portable_model_agrees(trained: ClassifierRun) -> None:
    inputs, expected = trained.bundle.golden()
    assert inputs.shape == (4, 32, 32, 3)
    assert np.allclose(open_engine(trained.bundle, engine="onnxruntime").infer(inputs), expected, atol=1e-4)


@pytest.mark.parametrize(("backend", "other"), [("tensorflow", "torch"), ("torch", "tensorflow")])
def test_a_fresh_process_gives_the_same_answers_with_one_framework(
    backend: str, other: str, trained: ClassifierRun
) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from lensmith.weights.bundle import read_bundle\n"
        "from lensmith.predict.engines.choose import open_engine\n"
        "from lensmith.datasets.augment import check_spec\n"
        "from lensmith.datasets.augment_spec import read_spec\n"
        "bundle = read_bundle(Path(sys.argv[1])); inputs, outputs = bundle.golden()\n"
        "engine = open_engine(bundle, engine='keras', device='cpu'); check_spec(read_spec('light'))\n"
        "print(np.allclose(engine.infer(inputs), outputs, atol=1e-4), *(m in sys.modules for m in sys.argv[2:]))"
    )
    command = [sys.executable, "-c", code, str(trained.bundle.folder), backend, other]
    surroundings = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=250, check=False)
    assert done.stdout.split() == ["True", "True", "False"], done.stderr


@pytest.mark.slow
def test_training_on_torch_ends_in_a_bundle_with_a_portable_model(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "pets")
    options = (*TINY, "--epochs-frozen", "1", "--epochs-tune", "1", "--name", "pets")
    done = run_cv("finetune", "pets", *options, cwd=workspace.root, env={"KERAS_BACKEND": "torch"}, timeout=280)
    assert done.returncode == 0, done.stderr
    assert (workspace.weights / "pets" / "model.onnx").is_file()
    assert "warning: The export" not in done.stderr


def test_a_kill_leaves_a_whole_state(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "pets")
    long = ("--epochs-frozen", "400", "--patience", "400", "--lr-frozen", "0.01")
    command = [cv_path(), "finetune", "pets", *TINY, *long]
    log = workspace.root / "log"
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=workspace.root, stdout=sink, stderr=sink)
        try:
            wait_for(lambda: log.read_text().count("best so far") >= 3, process, log)
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
    (run,) = workspace.runs.iterdir()
    assert RunManifest.load(run).status == "running"
    saved = StateFolder(run).load()
    assert saved is not None
    assert len(saved[0].history) >= 3


def test_ctrl_c_is_noted(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "pets")
    command = [cv_path(), "finetune", "pets", *TINY, "--epochs-frozen", "400", "--patience", "400"]
    log = workspace.root / "log"
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=workspace.root, stdout=sink, stderr=sink)
        try:
            wait_for(lambda: "400  loss" in log.read_text(), process, log)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()
    (run,) = workspace.runs.iterdir()
    assert RunManifest.load(run).status == "interrupted"
    assert f"cv resume {run.name}" in log.read_text()
    assert not list(workspace.root.glob("weights/*"))


def wait_for(condition, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 150
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def test_an_unknown_layer_names_those_on_offer_and_leaves_no_run(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "pets")
    config = FinetuneConfig(backbone="vgg16", weights="none", imgsz=32, unfreeze="block9_conv1")
    with pytest.raises(UsageError) as caught:
        finetune(open_dataset("pets", workspace), workspace, config)
    assert "block1, block2, block3, block4, block5" in str(caught.value)
    assert not workspace.runs.exists()


def test_imagenet_without_a_network_names_the_other_ways(workspace: Workspace, tmp_path: Path) -> None:
    make_folder_dataset(workspace.datasets / "pets")
    done = run_cv(
        "finetune", "pets", "--backbone", "vgg16", "--imgsz", 32,
        cwd=workspace.root, env={"CV_WEIGHTS_MIRROR": "http://127.0.0.1:9/weights", "CV_CACHE": str(tmp_path / "c")},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1
    assert "--weights PATH" in done.stderr
    assert "--weights none" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in workspace.root.iterdir()] == ["datasets"]
