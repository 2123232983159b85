"""Repairs: what moves and why, what is refused, what a kill leaves, and what the command says."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import UsageError
from lensmith.core.images import read_image
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.fix import FixConfig, fix_dataset
from lensmith.datasets.read import open_dataset
from tests.datasets.fixes.planted import PLANTED, kinds_found, label, picture, plant_misnamed, plant_rotated
from tests.datasets.test_split import snapshot
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset, run_cv


def test_only_the_kinds_asked_for(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 30, "valid": 10, "test": 10})
    for kind in ("picture-empty", "copy-within", "copy-across"):
        PLANTED[kind](root)
    report = fix_dataset("set", workspace, FixConfig(only=("copy-within",)))
    found = kinds_found(workspace, "set-fixed")
    assert "copy-within" not in found
    assert {"picture-empty", "copy-across"} <= set(found)
    assert report.repaired["copy-within"] == 1
    assert report.record
    assert report.record.origin.model_dump()["options"] == {"only": ["copy-within"], "seed": 0}


def test_nothing_to_repair_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 30, "valid": 10, "test": 10})
    PLANTED["copy-within"](root)
    first = fix_dataset("set", workspace)
    again = fix_dataset("set-fixed", workspace)
    assert first.folder
    moved = first.folder.rename(tmp_path / "moved")  # its data.yaml names the folder where it lay
    assert not check_dataset(open_dataset(moved, workspace)).fixable
    moved.rename(first.folder)
    assert (again.folder, again.changes) == (None, ())
    done = run_cv("fix-dataset", "set-fixed", cwd=tmp_path)
    assert done.returncode == 0
    assert "Nothing to repair" in done.stderr
    assert fix_dataset("set", workspace, FixConfig(only=("near-across",))).folder is None
    names = sorted(path.name for path in workspace.datasets.iterdir() if not path.name.startswith("."))
    assert names == ["set", "set-fixed"]


def test_a_dry_run_says_what_the_real_one_does(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 30, "valid": 10, "test": 10})
    PLANTED["copy-across"](root)
    before = snapshot(workspace.datasets)
    planned = fix_dataset("set", workspace, FixConfig(dry_run=True))
    assert planned.folder is None
    assert snapshot(workspace.datasets) == before
    done = fix_dataset("set", workspace)
    assert (done.changes, done.after) == (planned.changes, planned.after)


@pytest.mark.parametrize(
    ("only", "message"),
    [("copy-wihin", "copy-within"), ("class-few", "nothing that a program can repair"), ("zzz", "there are: ")],
)
def test_kinds_that_cannot_be_repaired(workspace: Workspace, only: str, message: str) -> None:
    make_yolo_dataset(workspace.datasets / "set")
    with pytest.raises(UsageError) as caught:
        fix_dataset("set", workspace, FixConfig(only=(only,)))
    assert message in str(caught.value)


def test_names_count_up(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "set")  # its ../train/images paths are a fault
    names = [fix_dataset("set", workspace, FixConfig(seed=seed)).name for seed in range(3)]
    assert names == ["set-fixed", "set-fixed-2", "set-fixed-3"]
    with pytest.raises(UsageError, match="already"):
        fix_dataset("set", workspace, FixConfig(name="set-fixed"))


def test_the_same_repair_is_not_written_twice(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(workspace.datasets / "set")
    first = fix_dataset("set", workspace)
    before = snapshot(workspace.datasets)
    again = fix_dataset("set", workspace)
    assert (again.name, again.folder, again.record, again.already) == ("set-fixed", first.folder, first.record, True)
    told = run_cv("fix-dataset", "set", cwd=tmp_path)
    assert told.returncode == 0
    assert "set-fixed is already this" in told.stderr
    assert snapshot(workspace.datasets) == before
    label(root, 0).write_text("")  # another dataset now
    assert fix_dataset("set", workspace).name == "set-fixed-2"
    picture(workspace.datasets / "set-fixed-2", 0).unlink()  # no longer what was written
    assert fix_dataset("set", workspace).name == "set-fixed-3"


def test_what_is_left_is_told_as_it_is_afterwards(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "set", {"train": 10, "valid": 4, "test": 4})
    for number in range(3):
        (root / f"train/cat/train-0-00{number}.png").write_bytes(b"")
    report = fix_dataset("set", workspace)
    assert [finding.what for finding in report.left if finding.kind == "class-few"] == [
        "1 class has fewer than 10 examples in 'train': cat (7 pictures)."
    ]


def test_a_missing_valid_split_is_filled_and_the_test_split_stays(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 40, "test": 10})
    (workspace.datasets / "set" / "data.yaml").write_text("train: train/images\ntest: test/images\nnames: [cat, dog]\n")
    report = fix_dataset("set", workspace)
    assert report.after.pictures == {"train": 32, "valid": 8, "test": 10}
    assert report.after.objects["valid"] == (4, 4)
    assert {item.image.name for item in open_dataset("set-fixed", workspace).items("test")} == {
        f"test-{number:03d}.png" for number in range(10)
    }


def test_a_dataset_without_splits_gets_three(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "set", {"train": 50})
    root = workspace.datasets / "set"
    for folder in (root / "train").iterdir():
        folder.rename(root / folder.name)
    (root / "train").rmdir()
    report = fix_dataset("set", workspace)
    assert report.after.objects == {"train": (35, 35), "valid": (10, 10), "test": (5, 5)}
    assert set(report.repaired) == {"split-none"}


def test_a_test_split_is_made_when_a_person_asks_for_it(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "set", {"train": 40, "valid": 10})
    assert fix_dataset("set", workspace).folder is None
    report = fix_dataset("set", workspace, FixConfig(only=("split-missing",)))
    assert report.after.pictures == {"train": 70, "valid": 20, "test": 10}


def test_leaks_are_closed_by_moving_few(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 60, "valid": 14, "test": 20})
    for number in range(2):  # two photographs with most of their copies in train
        for copy, (split, start) in enumerate((("train", 0), ("train", 10), ("test", 0))):
            at = start + number
            path, text = picture(root, at, split), label(root, at, split)
            path.rename(path.with_name(f"harbour{number}_jpg.rf.{copy}.png"))
            text.rename(text.with_name(f"harbour{number}_jpg.rf.{copy}.txt"))
    report = fix_dataset("set", workspace, FixConfig(only=("sibling-across",)))
    moved = [change for change in report.changes if change.kind == "sibling-across"]
    assert [(change.before, change.after) for change in moved] == [("test", "train")] * 2
    assert "most of it" in report.how[0]


def test_a_test_split_that_leaks_through_and_through_keeps_its_size(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 60, "valid": 14, "test": 20})
    for number in range(18):
        for split, at in (("train", number), ("train", 20 + number), ("test", number)):
            path, text = picture(root, at, split), label(root, at, split)
            path.rename(path.with_name(f"harbour{number}_jpg.rf.{split}{at}.png"))
            text.rename(text.with_name(f"harbour{number}_jpg.rf.{split}{at}.txt"))
    report = fix_dataset("set", workspace)
    assert report.leaked_before["test"] == 18
    assert report.leaked_after == {"valid": 0, "test": 0}
    assert 17 <= report.after.pictures["test"] <= 22
    assert report.after.pictures["valid"] == 14
    assert all(8 <= number <= 12 for number in report.after.objects["test"])


def test_the_same_picture_in_two_classes_is_left_to_a_person(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    shutil.copyfile(root / "train/cat/train-0-000.png", root / "train/dog/wrong.png")
    report = fix_dataset("set", workspace)
    assert report.folder is None
    assert len(report.questions) == 1
    assert "wrong.png" in report.questions[0]


def test_a_class_missing_from_a_split_comes_there(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    shutil.rmtree(root / "test" / "dog")
    report = fix_dataset("set", workspace)
    assert report.repaired == {"class-absent": report.after.objects["test"][1]}
    assert report.after.objects["test"] == (5, 2)
    assert not [finding for finding in report.left if finding.kind == "class-absent"]


def test_a_folder_that_is_not_ours_is_copied_and_may_be_read_only(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "theirs", {"train": 20, "valid": 5, "test": 5})
    before = snapshot(root)
    for path in (root, *root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        report = fix_dataset(root, workspace)
    finally:
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert report.folder == workspace.datasets / "theirs-fixed"
    assert snapshot(root) == before
    assert {path.stat().st_nlink for path in report.folder.rglob("*.png")} == {1}


DYING = """
import os, sys
from pathlib import Path
from lensmith.core.workspace import Workspace
from lensmith.datasets import fix
real, seen = fix.Picture, []
def picture(*given):
    seen.append(given)
    if len(seen) == 8:
        os.kill(os.getpid(), int(sys.argv[2]))
    return real(*given)
fix.Picture = picture
fix.fix_dataset("set", Workspace(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_leaves_nothing_half_made(workspace: Workspace, how: signal.Signals) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 20})
    command = [sys.executable, "-c", DYING, str(workspace.root), str(int(how))]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    assert [path.name for path in workspace.datasets.iterdir() if not path.name.startswith(".")] == ["set"]
    assert fix_dataset("set", workspace).name == "set-fixed"
    assert {path.name for path in workspace.datasets.iterdir()} == {".locks", "set", "set-fixed"}


def test_the_command(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 30, "valid": 10, "test": 10})
    PLANTED["copy-across"](root)
    planned = run_cv("fix-dataset", "set", "--dry-run", "--json", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["repaired"]["copy-across"] == 1
    done = run_cv("fix-dataset", "set", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "1 of 10 pictures in 'test' (10%) shows what pictures in 'train' or 'valid' show" in done.stderr
    assert "Afterwards: 0." in done.stderr
    assert "learnt" not in done.stderr  # there is no model yet
    assert "Next: cv train-yolo set-fixed" in done.stderr
    wrong = run_cv("fix-dataset", "set", "--only", "copy-acros", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "copy-across" in wrong.stderr


@pytest.mark.parametrize(
    "name",
    [
        "detect/waste-yolo",
        "detect/robot-coco",
        pytest.param("detect/rubik-yolo", marks=pytest.mark.slow),
        pytest.param("detect/books-voc", marks=pytest.mark.slow),
        pytest.param("detect/chess-yolo", marks=pytest.mark.slow),
        pytest.param("classify/flowers", marks=pytest.mark.slow),
    ],
)
def test_real_data_comes_out_clean(workspace: Workspace, test_data: Path, name: str) -> None:
    report = fix_dataset(test_data / name, workspace)
    assert report.folder
    found = set(kinds_found(workspace, report.folder.name)) & set(report.repaired)
    assert not found - {"class-absent"}
    assert not check_dataset(open_dataset(report.folder, workspace)).leaked


def test_a_picture_that_only_decoding_shows_to_be_broken_is_left_out(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    plant_rotated(root)
    monkeypatch.setattr("lensmith.datasets.fix.read_image", _gone)
    report = fix_dataset("set", workspace)
    assert report.repaired["picture-unreadable"] == 1
    assert report.after.pictures["train"] == open_dataset("set-fixed", workspace).count("train") == 19


def _gone(path: Path) -> np.ndarray:
    return read_image(path.with_name("gone.png"))


def test_a_pictures_own_name_is_kept_and_two_that_meet_are_told_apart(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    make_picture(root / "train/images/train-004.jpg", seed=77)
    plant_misnamed(root)  # train-004.png is to become train-004.jpg
    fix_dataset("set", workspace)
    names = {path.name for path in (workspace.datasets / "set-fixed/train/images").iterdir()}
    assert len(names) == 21
    assert {path.stem for path in (workspace.datasets / "set-fixed/train/labels").iterdir()} == {
        Path(name).stem for name in names
    }
