"""`cv check-dataset`: what a person reads, what a program gets, and the page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lensmith.core.workspace import Workspace
from tests.helpers import make_yolo_dataset, run_cv

COUNTS = {"train": 24, "valid": 4, "test": 4}


@pytest.fixture
def leaky(workspace: Workspace) -> Path:
    """A dataset with one picture in two splits, one class name with markup in it, and an empty file."""
    root = make_yolo_dataset(workspace.datasets / "leaky", COUNTS, ["cat", "<b>dog</b>"], width=96, height=72)
    (root / "data.yaml").write_text("names: [cat, '<b>dog</b>']\n")
    for kind, suffix in (("images", "png"), ("labels", "txt")):
        shutil.copy(root / f"train/{kind}/train-003.{suffix}", root / f"test/{kind}/copy.{suffix}")
    (root / "train/images/train-000.png").write_bytes(b"")
    return root


def test_a_person_reads_the_worst_first_and_what_to_do_next(workspace: Workspace, leaky: Path, tmp_path: Path) -> None:
    done = run_cv("check-dataset", "leaky", cwd=tmp_path)
    assert done.returncode == 0
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "leaky: train 24, valid 4, test 5 pictures, 2 classes" in lines
    assert lines.index("Problems (2)") < next(n for n, line in enumerate(lines) if "[copy-across]" in line)
    assert "train/images/train-003.png and test/images/copy.png" in lines
    assert done.stderr.splitlines()[-1] == "Next: cv fix-dataset leaky"
    assert not (workspace.root / "reports").exists()


def test_a_program_gets_all_of_it(workspace: Workspace, leaky: Path, tmp_path: Path) -> None:
    done = run_cv("check-dataset", "leaky", "--json", "--strict", "--html", cwd=tmp_path)
    assert done.returncode == 5
    report = json.loads(done.stdout)
    kinds = {finding["kind"]: finding for finding in report["findings"]}
    assert kinds["copy-across"]["files"] == ["train/images/train-003.png", "test/images/copy.png"]
    assert kinds["picture-empty"]["severity"] == "problem"
    assert report["objects"]["train"] == {"cat": 12, "<b>dog</b>": 12}
    assert report["twins"] == [{
        "kind": "copy", "first": "train/images/train-003.png", "second": "test/images/copy.png",
        "splits": ["train", "test"], "similarity": 1.0,
    }]  # fmt: skip
    assert report["next"] == "cv fix-dataset leaky"
    page = Path(report["page"])
    assert page == workspace.root / "reports" / "check-leaky.html"
    html = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;dog&lt;/b&gt;" in html
    assert "<b>dog</b>" not in html
    assert html.index("[picture-empty]") < html.index("Pictures in two splits")
    assert "copy-across: train/images/train-003.png | test/images/copy.png" in html
    assert html.count("data:image/jpeg;base64,") == 4  # the pair side by side, each alone, and the empty file


def test_a_good_dataset_passes_strictly(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(workspace.datasets / "good", COUNTS, width=96, height=72)
    (root / "data.yaml").write_text("names: [cat, dog]\n")
    done = run_cv("check-dataset", root, "--strict", cwd=tmp_path)
    assert done.returncode == 0
    assert "Nothing is wrong with it." in done.stdout
    assert done.stderr.splitlines()[-1].startswith("Next: cv train-yolo ")


@pytest.mark.parametrize(("given", "code"), [(["nothing"], 3), (["leaky", "--workers", "0"], 2)])
def test_wrong_use(leaky: Path, tmp_path: Path, given: list[str], code: int) -> None:
    assert run_cv("check-dataset", *given, cwd=tmp_path).returncode == code
