"""Datasets of which a repair must not make more than they are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.finding import CheckReport, Twin
from lensmith.datasets.fix import FixConfig, fix_dataset
from lensmith.datasets.fixes.kinds import REPAIRED
from lensmith.datasets.fixes.log import Log, Plan
from lensmith.datasets.fixes.moves import plan_splits
from lensmith.datasets.model import Dataset, Item
from lensmith.datasets.read import open_dataset
from tests.datasets.fixes.planted import label
from tests.helpers import make_yolo_dataset


def test_a_picture_whose_label_rows_are_all_lost_does_not_become_an_empty_one(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    label(root, 3).write_text("9 0.5 0.5 0.1 0.1\n")
    label(root, 4).write_bytes(bytes(range(128, 250)))
    report = fix_dataset("set", workspace)
    written = {path.stem for path in (report.folder or root).rglob("*.txt")}
    assert report.after.pictures["train"] == 18
    assert not {"train-003", "train-004"} & written
    partly = fix_dataset("set", workspace, FixConfig(only=("yaml-path",)))
    assert partly.folder
    assert partly.after.pictures["train"] == 20
    assert not {"train-003", "train-004"} & {path.stem for path in partly.folder.rglob("*.txt")}


@pytest.mark.parametrize("what", ["corners", "names"])
def test_labels_that_mean_something_else_are_not_made_to_look_right(workspace: Workspace, what: str) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    for path in sorted(root.rglob("labels/*.txt")):
        if what == "corners":
            path.write_text("0 0.7 0.7 0.8 0.8\n")
        else:
            path.rename(path.with_name(f"{path.stem}.png.txt"))
    if what == "names":
        label(root, 0).write_text("0 0.5 0.5 0.1 0.1\n")
        (root / "train/labels/train-000.png.txt").unlink()
    with pytest.raises(DataError, match=r"reach past|called like") as caught:
        fix_dataset("set", workspace)
    assert caught.value.next_step


def test_nothing_usable(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set")
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="Nothing usable"):
        fix_dataset("set", workspace)
    assert not (workspace.datasets / "set-fixed").exists()


def test_a_link_to_nothing_is_left_out(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    (root / "train" / "images" / "gone.jpg").symlink_to(root / "nothing.jpg")
    fix_dataset("set", workspace)
    assert open_dataset("set-fixed", workspace).count("train") == 20


def test_pictures_that_are_all_alike_stay_where_they_are(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 12, "valid": 4, "test": 4})
    for number, path in enumerate(sorted(root.rglob("images/*.png"))):
        path.rename(path.with_name(f"street_jpg.rf.{number}.png"))
        text = path.parents[1] / "labels" / f"{path.stem}.txt"
        text.rename(text.with_name(f"street_jpg.rf.{number}.txt"))
    report = fix_dataset("set", workspace)
    assert report.after.pictures == report.before.pictures
    assert "no split without leaks is possible" in report.how[0]
    assert report.leaked_after == {"valid": 4, "test": 4}


def test_when_everything_is_somehow_alike_only_what_is_sure_counts(tmp_path: Path) -> None:
    """Forty pictures of one street, each much like the next, and two that are one photograph."""
    items = tuple(Item(tmp_path / f"{number}.jpg", "train" if number < 30 else "valid") for number in range(40))
    chain = [Twin(first, second, "near", 0.8) for first, second in pairwise(items)]
    twins = (*chain, Twin(items[0], items[39], "sibling", 1.0))
    dataset = Dataset("set", tmp_path, "classify", ("street",), "folder", lambda _split: iter(items))
    report = CheckReport(dataset, (), twins, 40, {}, np.zeros((3, 1)))
    plan = Plan(items, np.tile([1, 0], (40, 1)), [item.split for item in items])
    plan_splits(plan, Log(dataset, lambda _steps: None), report, REPAIRED, 0)
    assert plan.splits[0] == plan.splits[39]
    assert plan.splits[1:39] == ["train"] * 29 + ["valid"] * 9
    assert any("nearly the same" in sentence for sentence in plan.how)


def test_a_picture_that_nobody_labelled_gets_no_empty_label(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    label(root, 3).unlink()
    folder = fix_dataset("set", workspace).folder
    assert folder
    assert not list(folder.rglob("train-003.txt"))
    assert len(list(folder.rglob("train-003.png"))) == 1


def test_a_test_split_that_only_repeats_train_is_said_to_be_gone(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 6, "valid": 4, "test": 2})
    for split, count in (("train", 6), ("test", 2)):
        for number in range(count):
            for kind, suffix in (("images", "png"), ("labels", "txt")):
                path = root / split / kind / f"{split}-{number:03d}.{suffix}"
                path.rename(path.with_name(f"street_jpg.rf.{split}{number}.{suffix}"))
    for path in sorted((root / "valid").rglob("valid-*")):
        path.rename(path.with_name(f"square_jpg.rf.{path.name}"))
    report = fix_dataset("set", workspace)
    assert report.after.pictures == {"train": 8, "valid": 4, "test": 0}
    assert "Nothing is left for 'test'" in report.questions[0]
