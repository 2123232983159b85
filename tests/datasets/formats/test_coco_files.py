"""COCO datasets of several files that list the same pictures: no label is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.import_dataset import ImportConfig, import_dataset
from lensmith.datasets.read import open_dataset
from lensmith.datasets.record import RECORD_NAME, read_record
from tests.datasets.formats.test_coco import _box, _image, _open, _write
from tests.helpers import make_picture, make_yolo_dataset


def _two_files(root: Path, second: str = "p{}.jpg") -> Path:
    """Six pictures; one file has the cats in them, another the dogs."""
    for number in range(6):
        make_picture(root / f"train/p{number}.jpg", seed=number)
    for name, wording, left in (("cats", "p{}.jpg", 8), ("dogs", second, 40)):
        images = [_image(number, wording.format(number)) for number in range(6)]
        boxes = [_box(number, number, 1, [left, 8, 16, 16]) for number in range(6)]
        categories = [{"id": 1, "name": name[:-1]}]
        _write(root / f"train/{name}.json", images=images, annotations=boxes, categories=categories)
    return root


@pytest.mark.parametrize("second", ["p{}.jpg", "images/p{}.jpg"])
def test_two_files_over_the_same_pictures_are_put_together(workspace: Workspace, tmp_path: Path, second: str) -> None:
    dataset = _open(_two_files(tmp_path / "set", second), workspace)
    assert (dataset.names, dataset.count()) == (("cat", "dog"), 6)
    for item in dataset.items():
        boxes, problems = dataset.boxes(item)
        assert (boxes.class_id.tolist(), problems) == ([0, 1], [])
        np.testing.assert_allclose(boxes.cxcywh[:, 0], [0.25, 0.75])
    (remark,) = [remark for remark in dataset.remarks if remark.kind == "coco-merged"]
    assert "6 pictures" in remark.what


def test_a_picture_listed_twice_in_one_file_keeps_all_its_boxes(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "set"
    make_picture(root / "train/a.jpg")
    boxes = [_box(1, 1, 3, [8, 8, 16, 16]), _box(2, 2, 7, [40, 8, 16, 16])]
    images = [_image(1, "a.jpg"), _image(2, "images/a.jpg")]
    _write(root / "train/_annotations.coco.json", images=images, annotations=boxes)
    dataset = _open(root, workspace)
    ((found, problems),) = [dataset.boxes(item) for item in dataset.items()]
    assert (found.class_id.tolist(), problems) == ([0, 1], [])


def test_a_box_of_two_files_counts_once_and_is_named_where_it_stands(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "set"
    make_picture(root / "train/a.jpg")
    for name, number in (("new.json", 11), ("old.json", 22)):
        _write(root / "train" / name, images=[_image(1, "a.jpg")], annotations=[_box(number, 1)])
    dataset = _open(root, workspace)
    ((found, problems),) = [dataset.boxes(item) for item in dataset.items()]
    assert len(found) == 1
    assert [(problem.file.name, problem.row, problem.fault) for problem in problems] == [("old.json", 22, "duplicate")]


@pytest.mark.parametrize("padding", [0, 2 << 20])
def test_a_coco_file_called_as_our_record_is_called_is_read(workspace: Workspace, tmp_path: Path, padding: int) -> None:
    root = tmp_path / "set"
    for number in range(4):
        make_picture(root / f"images/p{number}.jpg", seed=number)
    images = [_image(number, f"p{number}.jpg") for number in range(4)]
    boxes = [_box(number, number) for number in range(4)]
    _write(root / "dataset.json", images=images, annotations=boxes, info={"version": " " * padding})
    assert _open(root, workspace).count() == 4
    done = import_dataset(root, workspace, ImportConfig(split="50/50"))
    assert open_dataset("set", workspace).count() == 4
    assert read_record(done.folder) == done.record


def test_a_record_that_breaks_off_is_still_ours(workspace: Workspace, tmp_path: Path) -> None:
    folder = import_dataset(make_yolo_dataset(tmp_path / "set"), workspace).folder
    whole = (folder / RECORD_NAME).read_text()
    for text in (whole[:100], whole.replace('"detect"', '"guess"')):
        (folder / RECORD_NAME).write_text(text)
        with pytest.raises(DataError, match=r"dataset\.json is damaged"):
            read_record(folder)
