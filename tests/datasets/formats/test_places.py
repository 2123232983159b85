"""Where pictures lie: each counts once, and none is passed over without a word."""

from __future__ import annotations

from pathlib import Path

import yaml

from lensmith.core.workspace import Workspace
from lensmith.datasets.fix import FixConfig, fix_dataset
from lensmith.datasets.import_dataset import import_dataset
from lensmith.datasets.model import SPLITS, Dataset, Remark
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset


def _put(root: Path, folder: str, numbers: range) -> None:
    for number in numbers:
        make_picture(root / "images" / folder / f"p{number}.png", seed=number)
        label = root / "labels" / folder / f"p{number}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 .5 .5 .3 .3\n")


def _yaml(root: Path, **places: object) -> None:
    (root / "data.yaml").write_text(yaml.safe_dump({"names": ["cat"], **places}))


def _stems(dataset: Dataset) -> dict[str, list[str]]:
    return {split: [item.image.stem for item in dataset.items(split)] for split in SPLITS}


def _remarks(dataset: Dataset, kind: str) -> list[Remark]:
    return [remark for remark in dataset.remarks if remark.kind == kind]


def test_a_split_within_another_keeps_its_pictures_to_itself(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "set"
    _put(root, "", range(6))
    _put(root, "val", range(6, 9))
    _yaml(root, train="images", val="images/val")
    dataset = open_dataset(root, workspace)
    assert _stems(dataset) == {"train": [f"p{n}" for n in range(6)], "valid": ["p6", "p7", "p8"], "test": []}
    (remark,) = _remarks(dataset, "split-shared")
    assert remark.what == "images/val of 'valid' lies in images of 'train'; its pictures count as 'valid' only."
    fixed = fix_dataset(root, workspace)
    assert (fixed.before.pictures, sum(fixed.after.pictures.values())) == ({"train": 6, "valid": 3, "test": 0}, 9)


def test_folders_of_one_split_within_each_other_count_once(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "set"
    _put(root, "", range(3))
    _put(root, "more", range(3, 5))
    _yaml(root, train=["images", "images/more"])
    dataset = open_dataset(root, workspace)
    assert sorted(_stems(dataset)["train"]) == [f"p{n}" for n in range(5)]
    assert _remarks(dataset, "split-shared") == []


def test_a_split_within_another_that_has_a_list(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "set"
    _put(root, "", range(3))
    _put(root, "val", range(3, 5))
    _put(root, "more", range(5, 6))
    (root / "test.txt").write_text("images/more/p5.png\n")
    _yaml(root, train="images", val="images/val", test="test.txt")
    assert _stems(open_dataset(root, workspace))["valid"] == ["p3", "p4"]


def test_pictures_beside_the_splits_are_named(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    loose = [make_picture(root / f"holdout/images/h{number}.png", seed=number) for number in range(3)]
    loose.append(make_picture(root / "train/loose.png", seed=50))
    make_picture(root / "train/masks/m.png")
    make_picture(root / "runs/detect/batch.png")
    dataset = open_dataset(root, workspace)
    (remark,) = _remarks(dataset, "loose-pictures")
    assert sorted(remark.files) == sorted(loose)
    assert remark.what.startswith("4 pictures lie outside")
    assert remark.what in import_dataset(root, workspace).record.remarks
    assert _remarks(open_dataset("set", workspace), "loose-pictures") == []


def test_pictures_that_no_list_names_are_named(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "set"
    _put(root, "", range(4))
    (root / "train.txt").write_text("".join(f"images/p{number}.png\n" for number in range(3)))
    _yaml(root, train="train.txt")
    (remark,) = _remarks(open_dataset(root, workspace), "loose-pictures")
    assert [path.name for path in remark.files] == ["p3.png"]


def test_class_folders_beside_the_splits_are_named(workspace: Workspace, tmp_path: Path) -> None:
    root = make_folder_dataset(tmp_path / "set")
    loose = [make_picture(root / f"new_photos/cat/n{number}.png", seed=number) for number in range(3)]
    loose.append(make_picture(root / "train/loose.png", seed=50))
    (remark,) = _remarks(open_dataset(root, workspace), "loose-pictures")
    assert sorted(remark.files) == sorted(loose)
    assert fix_dataset(root, workspace, FixConfig(dry_run=True)).repaired["loose-pictures"] == 4
