"""What the check finds, and that it finds nothing where nothing is."""

from __future__ import annotations

import shutil
from pathlib import Path

from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset


def _found(root: Path, workspace: Workspace) -> dict[str, tuple[str, int]]:
    return {finding.what: (finding.severity, finding.count) for finding in check_dataset(open_dataset(root, workspace))}


def test_a_good_dataset_has_no_findings(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "good")
    (root / "data.yaml").write_text("names: [cat, dog]\n")
    assert _found(root, workspace) == {}
    assert _found(make_folder_dataset(workspace.datasets / "pets"), workspace) == {}


def test_what_is_wrong_is_found(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "bad", {"train": 6, "valid": 2, "test": 2})
    (root / "data.yaml").write_text("names: [cat, dog, bird]\n")
    (root / "train/images/train-000.png").write_bytes(b"")
    (root / "train/labels/train-001.txt").write_text("7 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.1 0.1\n")
    (root / "train/labels/train-002.txt").unlink()
    shutil.copy(root / "train/images/train-003.png", root / "valid/images/copy.png")
    shutil.copy(root / "train/images/train-004.png", root / "train/images/again.png")
    make_picture(root / "train/images/photo_jpg.rf.aaaa.png", seed=70)
    make_picture(root / "test/images/photo_jpg.rf.bbbb.png", seed=71)
    found = _found(root, workspace)
    assert found["1 picture not usable: the file is empty."] == ("problem", 1)
    assert found["1 picture in two splits, byte for byte; scores on them mean nothing."] == ("problem", 1)
    assert found["1 class without a picture in 'train': bird."] == ("problem", 1)
    assert found["1 class without a picture in 'valid': bird."] == ("warning", 1)
    assert found["1 label row: left out: the class id 7 has no name; ids run from 0 to 2."] == ("warning", 1)
    assert found["3 pictures of 'train' without boxes."] == ("note", 3)
    assert found["1 picture twice in one split, byte for byte."] == ("note", 1)
    assert [severity for what, (severity, _) in found.items() if ".rf." in what] == ["warning"]
    order = [severity for severity, _ in found.values()]
    assert order == sorted(order, key=["problem", "warning", "note"].index)


def test_real_defects_are_found(test_data: Path, workspace: Workspace) -> None:
    waste = _found(test_data / "detect/waste-yolo", workspace)
    assert any("photographs that another split has too" in what for what in waste)
    assert waste["There is no 'valid' split."][0] == "warning"
    assert _found(test_data / "detect/rubik-yolo", workspace)["7 pictures twice in one split, byte for byte."][1] == 7
    chess = _found(test_data / "detect/chess-yolo", workspace)
    assert any("already" in what for what in chess)
