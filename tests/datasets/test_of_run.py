"""The dataset that a run goes on with, wherever it is by now."""

from __future__ import annotations

from pathlib import Path

import pytest

from lensmith.core.errors import DataError, NotFoundError
from lensmith.core.manifest import DatasetRef, RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.import_dataset import ImportConfig, import_dataset
from lensmith.datasets.of_run import dataset_of_run
from lensmith.datasets.read import open_dataset
from tests.helpers import make_yolo_dataset


@pytest.fixture
def manifest(workspace: Workspace, tmp_path: Path) -> RunManifest:
    import_dataset(make_yolo_dataset(tmp_path / "given"), workspace, ImportConfig(name="small"))
    dataset = open_dataset("small", workspace)
    reference = DatasetRef(name="small", fingerprint=fingerprint(dataset), path=str(dataset.root))
    return RunManifest(command="train-yolo", options={}, seed=0, device="cpu", dataset=reference)


def _root(manifest: RunManifest) -> str | None:
    return manifest.dataset.path if manifest.dataset else None


def test_in_a_workspace_that_was_moved_it_is_found_by_its_name(workspace: Workspace, manifest: RunManifest) -> None:
    root = workspace.root.rename(workspace.root.with_name("elsewhere"))
    found = dataset_of_run(root / "runs" / "x", manifest, Workspace(root))
    assert found.root == root / "datasets" / "small"
    assert _root(manifest) == str(found.root)


def test_a_dataset_that_was_moved_is_asked_for_and_found_there(workspace: Workspace, manifest: RunManifest) -> None:
    place = (workspace.datasets / "small").rename(workspace.root / "away")
    with pytest.raises(NotFoundError) as raised:
        dataset_of_run(Path("runs/x"), manifest, workspace)
    assert raised.value.next_step == "say where it is now: cv resume x --dataset FOLDER"
    assert dataset_of_run(Path("runs/x"), manifest, workspace, place).root == place


def test_another_dataset_is_refused(workspace: Workspace, manifest: RunManifest, tmp_path: Path) -> None:
    other = make_yolo_dataset(tmp_path / "other", {"train": 3, "valid": 2})
    with pytest.raises(DataError, match="not the dataset that the run began with"):
        dataset_of_run(Path("runs/x"), manifest, workspace, other)


def test_what_was_changed_is_named(workspace: Workspace, manifest: RunManifest) -> None:
    label = next((workspace.datasets / "small" / "train" / "labels").iterdir())
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match=f"Changed or missing: train/labels/{label.name}"):
        dataset_of_run(Path("runs/x"), manifest, workspace)
