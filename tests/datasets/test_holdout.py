"""Without a valid split, a fair and repeatable part of the training pictures is held out."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.holdout import training_splits
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_yolo_dataset


def test_the_datasets_own_split_is_kept(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "set")
    splits = training_splits(open_dataset("set", workspace), seed=0)
    assert (len(splits.train), len(splits.valid), splits.held_out) == (4, 2, False)


def test_each_class_gives_a_fifth_and_copies_of_a_photo_stay_together(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "set", counts={"train": 20})
    for path in sorted(root.rglob("*.png")):  # two copies of each of ten photographs a class
        number = int(path.stem.rsplit("-", 1)[1])
        path.rename(path.with_name(f"{path.parent.name}{number // 2}.rf.{number}.png"))
    dataset = open_dataset("set", workspace)
    splits = training_splits(dataset, seed=3)
    photos = [{item.image.name.split(".rf.")[0] for item in part} for part in (splits.train, splits.valid)]
    assert splits.held_out
    assert Counter(item.class_id for item in splits.valid) == {0: 4, 1: 4}
    assert not photos[0] & photos[1]
    assert training_splits(dataset, seed=3) == splits
    assert training_splits(dataset, seed=4) != splits


def test_alike_pictures_stay_together_whatever_they_are_called(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", counts={"train": 30})
    for number in range(0, 30, 3):  # ten photographs: themselves, a copy, and a mirror image
        first, second, third = (root / "train/images" / f"train-{number + more:03d}.png" for more in range(3))
        rng = np.random.default_rng(number)
        bgr = cv2.resize(rng.integers(0, 256, (60, 80, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(first), bgr)
        shutil.copyfile(first, second)
        cv2.imwrite(str(third), bgr[:, ::-1])
    splits = training_splits(open_dataset("set", workspace), seed=0)
    photos = [{int(item.image.stem[-3:]) // 3 for item in part} for part in (splits.train, splits.valid)]
    assert [len(part) for part in photos] == [8, 2]
    assert not photos[0] & photos[1]


def test_detection_pictures_are_held_out_by_class(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", counts={"train": 50}, names=("cat", "dog", "owl"))
    for number, label in enumerate(sorted((root / "train" / "labels").iterdir())):
        class_id = 2 if number < 5 else 1 if number < 20 else 0
        label.write_text(f"{class_id} 0.5 0.5 0.2 0.2\n" if number < 40 else "")
    dataset = open_dataset("set", workspace)
    for seed in range(5):
        held = training_splits(dataset, seed).valid
        objects = Counter(class_id for item in held for class_id in dataset.boxes(item)[0].class_id.tolist())
        assert objects == {0: 4, 1: 3, 2: 1}
        assert len(held) == 10


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures(workspace: Workspace, tmp_path: Path, count: int) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", counts={"train": 2, "test": 1})
    for path in sorted((root / "train" / "images").iterdir())[count:]:
        path.unlink()
    with pytest.raises(DataError, match=r"no training pictures|too few"):
        training_splits(open_dataset("set", workspace), seed=0)
