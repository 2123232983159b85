"""What the check finds, and that it finds nothing where nothing is."""

from __future__ import annotations

import shutil
from pathlib import Path

from lensmith.core.workspace import Workspace
from lensmith.datasets.check.finding import CheckReport
from lensmith.datasets.check.kinds import KINDS
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset

COUNTS = {"train": 24, "valid": 4, "test": 4}


def _check(root: Path, workspace: Workspace) -> CheckReport:
    return check_dataset(open_dataset(root, workspace))


def _found(root: Path, workspace: Workspace) -> dict[str, tuple[str, int]]:
    return {finding.kind: (finding.severity, finding.count) for finding in _check(root, workspace).findings}


def _yolo(root: Path, names: str = "[cat, dog]") -> Path:
    make_yolo_dataset(root, COUNTS, width=96, height=72)
    (root / "data.yaml").write_text(f"names: {names}\n")
    return root


def test_a_good_dataset_has_no_findings(workspace: Workspace) -> None:
    assert _found(_yolo(workspace.datasets / "good"), workspace) == {}
    assert _found(make_folder_dataset(workspace.datasets / "pets", COUNTS), workspace) == {}


def test_what_is_wrong_is_found(workspace: Workspace) -> None:
    root = _yolo(workspace.datasets / "bad", "[cat, dog, bird]")
    (root / "train/images/train-000.png").write_bytes(b"")
    (root / "train/labels/train-001.txt").write_text("7 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.1 0.1\n")
    (root / "train/labels/train-002.txt").unlink()
    (root / "train/labels/train-005.txt").write_text("")
    shutil.copy(root / "train/images/train-003.png", root / "valid/images/copy.png")
    shutil.copy(root / "train/labels/train-003.txt", root / "valid/labels/copy.txt")
    shutil.copy(root / "train/images/train-004.png", root / "train/images/again.png")
    shutil.copy(root / "train/labels/train-004.txt", root / "train/labels/again.txt")
    for split, number in (("train", 70), ("test", 71)):
        make_picture(root / f"{split}/images/harbour{number}_jpg.rf.aaaa.png", seed=number)
        (root / f"{split}/labels/harbour{number}_jpg.rf.aaaa.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    (root / "test/images/harbour71_jpg.rf.aaaa.png").rename(root / "test/images/harbour70_jpg.rf.bbbb.png")
    (root / "test/labels/harbour71_jpg.rf.aaaa.txt").rename(root / "test/labels/harbour70_jpg.rf.bbbb.txt")
    report = _check(root, workspace)
    found = {finding.kind: (finding.severity, finding.count) for finding in report.findings}
    assert found == {
        "picture-empty": ("problem", 1),
        "copy-across": ("problem", 1),
        "sibling-across": ("problem", 1),
        "label-unknown-class": ("problem", 1),
        "picture-without-label": ("warning", 1),
        "class-unused": ("warning", 1),
        "copy-within": ("note", 1),
        "picture-without-objects": ("note", 1),
    }
    by_kind = {finding.kind: [path.name for path in finding.files] for finding in report.findings}
    assert by_kind["copy-across"] == ["train-003.png", "copy.png"]
    assert by_kind["picture-without-label"] == ["train-002.png"]
    assert [path.name for path in report.leaked] == ["copy.png", "harbour70_jpg.rf.bbbb.png"]
    order = [finding.severity for finding in report.findings]
    assert order == sorted(order, key=["problem", "warning", "note"].index)
    assert all(finding.why == KINDS[finding.kind].why for finding in report.findings)
