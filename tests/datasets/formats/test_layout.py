"""Folders as people have them: wrapped, doubled, mixed, listed, without data.yaml."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.formats.layout import recognise
from lensmith.datasets.model import SPLITS, Dataset
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset

VOC = """<annotation><size><width>64</width><height>48</height></size><object><name>cat</name>
<bndbox><xmin>8</xmin><ymin>12</ymin><xmax>24</xmax><ymax>36</ymax></bndbox></object></annotation>"""


def _counts(dataset: Dataset) -> list[int]:
    return [dataset.count(split) for split in SPLITS]


def _boxes(dataset: Dataset) -> int:
    return sum(len(dataset.boxes(item)[0]) for item in dataset.items())


def _kinds(dataset: Dataset) -> list[str]:
    return [remark.kind for remark in dataset.remarks]


@pytest.mark.parametrize("inner", ["chess", "chess/chess", "export/chess v2"])
@pytest.mark.parametrize("make", [make_yolo_dataset, make_folder_dataset])
def test_a_dataset_wrapped_in_folders_of_its_name(workspace: Workspace, tmp_path: Path, inner: str, make) -> None:
    make(tmp_path / "set" / inner)
    (tmp_path / "set/README.txt").write_text("hello")
    (tmp_path / "set/__MACOSX").mkdir()
    (tmp_path / "set/.DS_Store").touch()
    dataset = open_dataset(tmp_path / "set", workspace)
    assert dataset.root == tmp_path / "set" / inner
    assert dataset.name == "set"
    assert sum(_counts(dataset)) in {8, 16}
    assert _kinds(dataset)[0] == "nested-folders"


@pytest.mark.parametrize("make", [make_yolo_dataset, make_folder_dataset])
def test_doubled_split_folders(workspace: Workspace, tmp_path: Path, make) -> None:
    plain = open_dataset(make(tmp_path / "plain"), workspace)
    root = make(tmp_path / "set")
    for split in SPLITS:
        (root / split).rename(root / "moved")
        (root / split).mkdir()
        (root / "moved").rename(root / split / split)
    dataset = open_dataset(root, workspace)
    assert _counts(dataset) == _counts(plain)
    assert dataset.names == plain.names
    assert _boxes(dataset) == _boxes(plain)
    assert "nested-folders" in _kinds(dataset)


def test_one_class_is_no_wrapper(workspace: Workspace, tmp_path: Path) -> None:
    make_picture(tmp_path / "set/cat/a.png")
    assert open_dataset(tmp_path / "set", workspace).names == ("cat",)


def test_several_datasets_in_one_folder_are_an_error(workspace: Workspace, tmp_path: Path) -> None:
    make_yolo_dataset(tmp_path / "all/a")
    make_yolo_dataset(tmp_path / "all/b")
    with pytest.raises(DataError, match=r"Several datasets.*a, b"):
        open_dataset(tmp_path / "all", workspace)


def test_two_formats_mixed_take_the_one_of_more_pictures(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    for stem in ("train-000", "train-001"):
        (root / f"train/images/{stem}.xml").write_text(VOC)
    dataset = open_dataset(root, workspace)
    assert dataset.format == "yolo"
    assert "YOLO (8 pictures) is used, not Pascal VOC (2 pictures)" in str(dataset.remarks[0])
    for label in list(root.rglob("labels/*.txt"))[:7]:
        label.unlink()
    dataset = open_dataset(root, workspace)
    assert (dataset.format, _kinds(dataset)[0]) == ("voc", "other-format")
    images = [{"id": n, "file_name": path.name} for n, path in enumerate(sorted((root / "train/images").glob("*.png")))]
    annotations = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 9, 9]}]
    coco = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    (root / "train/images/_annotations.coco.json").write_text(json.dumps(coco))
    assert open_dataset(root, workspace).format == "coco"


def test_captions_beside_pictures_are_no_labels(workspace: Workspace, tmp_path: Path) -> None:
    root = make_folder_dataset(tmp_path / "set")
    for picture in list(root.rglob("*.png")):
        picture.with_suffix(".txt").write_text("a cat of 3 or 4 years on a mat")
    assert open_dataset(root, workspace).format == "folder"


def test_labels_beside_pictures_and_names_as_darknet_has_them(workspace: Workspace, tmp_path: Path) -> None:
    made = make_yolo_dataset(tmp_path / "made")
    for split in SPLITS:
        (tmp_path / "set" / split).mkdir(parents=True)
        for path in made.glob(f"{split}/*/*"):
            shutil.copy(path, tmp_path / "set" / split)
    (tmp_path / "set/train/_darknet.labels").write_text("cat\ndog\n")
    dataset = open_dataset(tmp_path / "set", workspace)
    assert (dataset.format, dataset.names, _counts(dataset), _boxes(dataset)) == ("yolo", ("cat", "dog"), [4, 2, 2], 8)


def test_pictures_and_labels_all_in_one_folder(workspace: Workspace, tmp_path: Path) -> None:
    made = make_yolo_dataset(tmp_path / "made")
    (tmp_path / "set").mkdir()
    for path in made.glob("*/*/*"):
        shutil.copy(path, tmp_path / "set")
    (tmp_path / "set/classes.txt").write_text("cat\ndog\n")
    dataset = open_dataset(tmp_path / "set", workspace)
    assert (dataset.format, _counts(dataset), _boxes(dataset)) == ("yolo", [8, 0, 0], 8)
    assert _kinds(dataset) == ["split-none"]
    assert list(dataset.stray_labels()) == []


@pytest.mark.parametrize(
    "line", ["train/images/{}", "./train/images/{}", "/home/x/set/train/images/{}", "D:\\x\\train\\images\\{}"]
)
def test_splits_given_as_lists(workspace: Workspace, tmp_path: Path, line: str) -> None:
    root = make_yolo_dataset(tmp_path / "set", {"train": 5})
    names = [f"train-{number:03d}.png" for number in range(5)]
    (root / "my_train.txt").write_text(
        "".join(line.format(name) + "\r\n" for name in [*names[:3], names[0], "gone.png"])
    )
    (root / "my_val.txt").write_text("\ufeff" + "".join(line.format(name) + "\n" for name in names[2:4]), "utf-8")
    (root / "data.yaml").write_text("train: my_train.txt\nval: /elsewhere/my_val.txt\nnames: [cat, dog]\n")
    dataset = open_dataset(root, workspace)
    assert _counts(dataset) == [3, 1, 0]
    assert _boxes(dataset) == 4
    said = " ".join(map(str, dataset.remarks))
    assert "1 lines of the lists of pictures name none" in said
    assert "1 pictures are listed for two splits" in said


def test_lists_lead_nowhere_else(workspace: Workspace, tmp_path: Path) -> None:
    make_picture(tmp_path / "secret.png")
    root = make_yolo_dataset(tmp_path / "set", {"train": 2})
    (root / "train/images/link.png").symlink_to(tmp_path / "secret.png")
    lines = [
        "../secret.png",
        str(tmp_path / "secret.png"),
        "train/images/link.png",
        "train/images/train-000.png",
        "\0x",
    ]
    (root / "list.txt").write_text("\n".join([*lines, "https://example.org/a.png", "train/images/.."]))
    (root / "data.yaml").write_text("train: list.txt\nnames: [cat, dog]\n")
    assert [item.image.name for item in open_dataset(root, workspace).items()] == ["train-000.png"]


def test_label_files_without_a_picture_are_listed(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    for name in ("train/labels/alone.txt", "train/labels/deeper/alone.txt", "valid/labels/also.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("0 0.5 0.5 0.1 0.1\n")
    for name in ("train/labels/classes.txt", "train/labels/README.txt", "train/notes.txt"):
        (root / name).touch()
    strays = [path.relative_to(root).as_posix() for path in open_dataset(root, workspace).stray_labels()]
    assert strays == ["train/labels/alone.txt", "train/labels/deeper/alone.txt", "valid/labels/also.txt"]


def test_keypoints_are_not_taken_for_polygons(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set", {"train": 1})
    (root / "train/labels/train-000.txt").write_text("0 0.5 0.5 0.2 0.4 0.9 0.9 0.1 0.1\n")
    (root / "data.yaml").write_text("kpt_shape: [2, 2]\nnames: [cat, dog]\n")
    dataset = open_dataset(root, workspace)
    boxes, _ = dataset.boxes(next(dataset.items()))
    assert boxes.cxcywh.round(3).tolist() == [[0.5, 0.5, pytest.approx(0.2), pytest.approx(0.4)]]
    assert boxes.polygons == 0


def test_a_wanted_layout_is_taken_or_missed(tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    assert recognise(root, "folder").format == "folder"
    with pytest.raises(DataError, match="no COCO file"):
        recognise(root, "coco")


def test_real_datasets_in_every_layout(test_data: Path, workspace: Workspace) -> None:
    coco = open_dataset(test_data / "detect/robot-coco", workspace)
    assert (coco.format, coco.names, _counts(coco)) == ("coco", ("Kanan", "Kiri", "Maju", "Mundur"), [165, 16, 8])
    assert (_boxes(coco), _kinds(coco)) == (58, ["coco-category"])
    assert sum(not len(coco.boxes(item)[0]) for item in coco.items()) == 131
    voc = open_dataset(test_data / "detect/books-voc", workspace)
    assert (voc.format, len(voc.names), _counts(voc), _boxes(voc)) == ("voc", 8, [261, 0, 66], 742)
