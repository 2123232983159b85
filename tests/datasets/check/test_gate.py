"""A dataset with errors is not trained on, and one that merely comes as Roboflow makes it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.gate import refuse_problems
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset, run_cv

COUNTS = {"train": 12, "valid": 4, "test": 4}


def gate(root: Path, workspace: Workspace, *, force: bool = False) -> set[str]:
    report = refuse_problems(open_dataset(root, workspace), force=force)
    return {finding.kind for finding in report.findings if finding.severity == "problem"}


def cut_short(root: Path) -> None:
    picture = root / "train/images/train-000.png"
    picture.write_bytes(picture.read_bytes()[:60])


def unknown_class(root: Path) -> None:
    (root / "train/labels/train-001.txt").write_text("7 0.5 0.5 0.1 0.1\n")


def pixels(root: Path) -> None:
    (root / "valid/labels/valid-000.txt").write_text("0 32 24 20 20\n")


def corners(root: Path) -> None:
    for label in (root / "train/labels").iterdir():
        label.write_text("0 0.2 0.2 0.9 0.9\n")


def misnamed(root: Path) -> None:
    for label in (root / "train/labels").iterdir():
        label.rename(label.with_name(f"{label.stem}.png.txt"))


@pytest.mark.parametrize(
    ("harm", "kind", "where"),
    [
        (cut_short, "picture-truncated", "train/images/train-000.png"),
        (unknown_class, "label-unknown-class", "train/labels/train-001.txt"),
        (pixels, "label-out-of-range", "valid/labels/valid-000.txt"),
        (corners, "label-misread", "train/labels/"),
        (misnamed, "label-without-picture", ".png.txt"),
    ],
)
def test_errors_are_named_with_a_place_and_a_way_out(
    harm: Callable[[Path], None], kind: str, where: str, workspace: Workspace
) -> None:
    root = make_yolo_dataset(workspace.datasets / "my pets", COUNTS)
    assert gate(root, workspace) == set()
    harm(root)  # the check before is no excuse: what has changed is looked at again
    with pytest.raises(DataError) as refused:
        gate(root, workspace)
    told = str(refused.value)
    assert f"[{kind}]" in told
    assert where in told
    assert "--force" in told
    assert "cv check-dataset 'my pets'" in told
    assert ("cv fix-dataset 'my pets'" in told) == (kind not in {"label-misread", "label-without-picture"})


def test_three_files_of_each_kind_of_error_are_named(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "some", COUNTS)
    for number in range(5):
        (root / f"train/labels/train-00{number}.txt").write_text("7 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError) as refused:
        gate(root, workspace)
    said = str(refused.value)
    assert [f"train-00{number}.txt" in said for number in range(5)] == [True, True, True, False, False]
    assert "      and 2 more\n" in said


def test_force_goes_on_and_says_with_what(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    root = make_yolo_dataset(workspace.datasets / "pets", COUNTS)
    cut_short(root)
    assert gate(root, workspace, force=True) == {"picture-truncated"}
    assert "--force" in capfd.readouterr().err


def test_what_spoils_only_the_score_does_not_stop_a_training(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    root = make_yolo_dataset(workspace.datasets / "pets", COUNTS, names=("cat", "dog", "bird"))
    shutil.copy(root / "train/images/train-003.png", root / "test/images/copy.png")
    shutil.copy(root / "train/labels/train-003.txt", root / "test/labels/copy.txt")
    for label in (root / "train/labels").iterdir():
        label.write_text(label.read_text().replace("2 ", "0 "))
    data = root / "data.yaml"
    data.write_text(data.read_text().replace("../train/images", "D:/pets/train/images"))
    assert gate(root, workspace) == {"copy-across", "class-absent"}
    assert "bird" in capfd.readouterr().err


def test_a_class_folder_with_a_damaged_picture(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", COUNTS)
    assert gate(root, workspace) == set()
    (root / "train/dog/train-1-000.png").write_bytes(b"")
    with pytest.raises(DataError, match="picture-empty"):
        gate(root, workspace)


@pytest.mark.parametrize("name", ["chess-yolo", "rubik-yolo", "waste-yolo"])
def test_real_datasets_as_they_come_are_not_refused(name: str, workspace: Workspace, test_data: Path) -> None:
    shutil.copytree(test_data / "detect" / name, workspace.datasets / name)
    found = gate(workspace.datasets / name, workspace)
    assert found & {"near-across", "sibling-across"}  # they leak, all of them


@pytest.mark.parametrize("command", ["train-yolo", "finetune"])
def test_both_trainings_ask_first(command: str, workspace: Workspace) -> None:
    if command == "train-yolo":
        root = make_yolo_dataset(workspace.datasets / "pets", COUNTS)
        cut_short(root)
        options = ("--from-scratch", "--model", "yolov8n")
    else:
        root = make_folder_dataset(workspace.datasets / "pets", COUNTS)
        make_picture(root / "train/cat/twice.png", seed=3)
        shutil.copy(root / "train/cat/twice.png", root / "train/dog/twice.png")
        options = ("--backbone", "cnn", "--weights", "none", "--imgsz", "32")
    done = run_cv(command, "pets", *options, "--device", "cpu", cwd=workspace.root)
    assert done.returncode == 5, done.stderr
    assert "cv check-dataset pets" in done.stderr
    assert "Traceback" not in done.stderr
    assert not workspace.runs.exists()
