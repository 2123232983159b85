"""What a preview shows: each class in turn, boxes where they are, the changes that training makes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.draw import class_colour
from lensmith.core.errors import DataError, UsageError
from lensmith.core.images import read_image
from lensmith.core.workspace import Workspace
from lensmith.datasets.augment import Augmentation, sample_seed
from lensmith.datasets.augment_spec import read_spec
from lensmith.datasets.preview import PreviewConfig, balanced, preview
from lensmith.datasets.preview_page import AS_IT_IS, NOTHING
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_yolo_dataset, run_cv


@pytest.fixture
def shapes(workspace: Workspace) -> Path:
    return make_yolo_dataset(workspace.datasets / "shapes", {"train": 8, "valid": 2}, ("cat", "dog", "hünd 犬 <b>"))


def test_each_class_has_its_turn_the_rarest_first(workspace: Workspace, shapes: Path) -> None:
    labels = shapes / "train" / "labels"
    for number, class_id in enumerate([0, 0, 0, 0, 0, 1, 2]):
        (labels / f"train-{number:03d}.txt").write_text(f"{class_id} 0.5 0.5 0.2 0.2\n")
    (labels / "train-007.txt").write_text("")
    dataset = open_dataset("shapes", workspace)
    order = list(balanced(dataset, "train", seed=0))
    assert [class_id for _, class_id in order] == [1, 2, 0, NOTHING, 0, 0, 0, 0]
    assert len({item.image for item, _ in order}) == 8
    assert list(balanced(dataset, "train", seed=0)) == order
    assert list(balanced(dataset, "train", seed=1)) != order


@pytest.mark.parametrize("augment", [None, "heavy"])
def test_a_sheet_and_a_page_are_written(
    augment: str | None, workspace: Workspace, shapes: Path, tmp_path: Path
) -> None:
    done = preview(open_dataset("shapes", workspace), workspace, PreviewConfig(augment, count=5, views=2, to=tmp_path))
    stem = "preview-shapes-heavy" if augment else "preview-shapes"
    assert (done.sheet, done.page) == (tmp_path / f"{stem}.png", tmp_path / f"{stem}.html")
    columns, rows = (3, 5) if augment else (4, 2)
    assert read_image(done.sheet).shape[:2] == (rows * 308 + 8, columns * 408 + 8)
    page = done.page.read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == (15 if augment else 5)
    assert "hünd 犬 &lt;b&gt;" in page
    assert len(done.shown) == 5
    assert done.boxes[0] == 5


def test_the_boxes_are_drawn_where_the_labels_say_also_after_a_change(
    workspace: Workspace, shapes: Path, tmp_path: Path
) -> None:
    spec = tmp_path / "mirror.yaml"
    spec.write_text("transforms:\n  - HorizontalFlip: {p: 1}\n")
    dataset = open_dataset("shapes", workspace)
    done = preview(dataset, workspace, PreviewConfig(spec, count=1, views=1))
    (item,) = [item for item in dataset.items() if item.image == done.shown[0]]
    boxes = dataset.boxes(item)[0]
    sheet = read_image(done.sheet)[8:-8]  # 300 x 400 of a picture with 4:3, twice
    left, _, right, bottom = boxes.xyxy(400, 300)[0].round().astype(int)
    colour = np.array(class_colour(int(boxes.class_id[0])), int)

    def has_line(picture: np.ndarray, x: int) -> bool:
        near = picture[bottom - 12, max(x - 2, 0) : x + 3].astype(int)
        return bool(np.abs(near - colour).sum(axis=1).min() < 120)

    as_it_is, mirrored = sheet[:, 8:408], sheet[:, 416:816]
    assert has_line(as_it_is, left)
    assert has_line(as_it_is, right)
    assert has_line(mirrored, 399 - left)
    assert has_line(mirrored, 399 - right)
    assert not (has_line(mirrored, left) and has_line(mirrored, right))


def test_the_views_are_what_training_makes(workspace: Workspace, shapes: Path) -> None:
    """A picture with strong colours survives the way into the sheet well enough to be told from other draws."""
    dataset = open_dataset("shapes", workspace)
    done = preview(dataset, workspace, PreviewConfig("heavy", count=1, views=3, seed=4))
    bgr = read_image(done.shown[0])
    augmentation = Augmentation(read_spec("heavy"))
    sheet = read_image(done.sheet)
    for view in range(3):
        expected, _ = augmentation(bgr, sample_seed(4, view, 0))
        scale = min(300 / expected.shape[0], 400 / expected.shape[1])
        height, width = round(expected.shape[0] * scale), round(expected.shape[1] * scale)
        top, left = 8 + (300 - height) // 2, 8 + (view + 1) * 408 + (400 - width) // 2
        shown = sheet[top : top + height, left : left + width].astype(float)
        assert np.abs(shown - cv2.resize(expected, (width, height))).mean() < 40  # box and label lie on it
        assert (sheet[top - 2, left:] == 246).all()


def test_a_classification_shows_its_class(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "pets")
    done = preview(open_dataset("pets", workspace), workspace, PreviewConfig("light", count=4, views=1))
    sheet = read_image(done.sheet)
    assert [path.parent.name for path in done.shown] == ["cat", "cat", "dog", "dog"]
    for row, class_id in enumerate([0, 0, 1, 1]):
        corner = sheet[8 + row * 308 + 2, 8 + 2].astype(int)
        assert np.abs(corner - class_colour(class_id)).max() < 40
    assert done.boxes == (0, 0)


def test_unreadable_pictures_are_named_and_others_take_their_place(workspace: Workspace, shapes: Path) -> None:
    for number in range(7):
        (shapes / "train" / "images" / f"train-{number:03d}.png").write_bytes(b"x")
    dataset = open_dataset("shapes", workspace)
    done = preview(dataset, workspace, PreviewConfig(count=5))
    assert [path.name for path in done.shown] == ["train-007.png"]
    assert len(done.skipped) == 7
    (shapes / "train" / "images" / "train-007.png").write_bytes(b"x")
    with pytest.raises(DataError, match="No picture of 'train'"):
        preview(dataset, workspace, PreviewConfig(count=5))


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text(workspace: Workspace, shapes: Path) -> None:
    picture = shapes / "train" / "images" / "train-000.png"
    picture.rename(os.fsdecode(os.fsencode(picture).replace(b"train-000", b"caf\xe9")))
    done = preview(open_dataset("shapes", workspace), workspace, PreviewConfig(count=8))
    assert len(done.shown) == 8
    assert "udce9" in done.page.read_text(encoding="utf-8")


def test_choices_that_make_no_sense() -> None:
    for choice in ({"count": 0}, {"count": 1000}, {"views": 0}):
        with pytest.raises(UsageError):
            PreviewConfig(**choice)


def test_a_preset_is_written_as_a_start(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    done = run_cv("preview", "--augment", "default", "--write", path, cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert read_spec(path).sha256 == read_spec("default").sha256
    again = run_cv("preview", "--write", path, cwd=workspace.root)
    assert (again.returncode, "there already" in again.stderr) == (2, True)


def test_the_command(workspace: Workspace, shapes: Path, tmp_path: Path) -> None:
    spec = tmp_path / "mine.yaml"
    spec.write_text("transforms:\n  - HorizontalFlip: {p: 1}\n")
    done = run_cv("preview", "shapes", "--augment", spec, "--count", 2, "--views", 2, "--json", cwd=workspace.root)
    told = json.loads(done.stdout)
    assert (told["boxes"], told["boxes_in_views"], len(told["pictures"])) == (2, 4, 2)
    assert Path(told["page"]).parent == workspace.root / "reports"
    spec.write_text("transforms:\n  - HorizontalFlip: {prob: 1}\n")
    for arguments, code in (
        (["shapes", "--augment", spec], 2),
        (["shapes", "--split", "val"], 2),
        (["nothing"], 3),
    ):
        done = run_cv("preview", *arguments, cwd=workspace.root)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_a_split_that_is_not_there_is_named(workspace: Workspace, tmp_path: Path) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 3, "valid": 2})
    with pytest.raises(UsageError, match="'set' has no 'test' split") as caught:
        preview(open_dataset("set", workspace), workspace, PreviewConfig(split="test", to=tmp_path))
    assert "train and valid" in str(caught.value)


def test_a_place_that_takes_no_page_is_named_before_anything_is_drawn(workspace: Workspace, tmp_path: Path) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 3})
    (tmp_path / "file").write_text("mine")
    for to in (tmp_path / "file", tmp_path / "file" / "below"):
        done = run_cv("preview", "set", "--to", to, cwd=tmp_path)
        assert done.returncode == 2
        assert "did not expect" not in done.stderr
        assert str(to) in done.stderr
    done = run_cv("preview", "--write", tmp_path / "file" / "mine.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "partial" not in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_with_an_augmentation_the_files_and_the_pictures_say_so(workspace: Workspace, tmp_path: Path) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 2})
    dataset = open_dataset("set", workspace)
    plain = preview(dataset, workspace, PreviewConfig(count=2))
    changed = preview(dataset, workspace, PreviewConfig(count=2, augment="light"))
    assert (plain.page.name, plain.sheet.name) == ("preview-set.html", "preview-set.png")
    assert (changed.page.name, changed.sheet.name) == ("preview-set-light.html", "preview-set-light.png")
    text = changed.page.read_text(encoding="utf-8")
    assert text.count(f"{AS_IT_IS}: train-00") == 2 * 2  # caption and alternative text
    assert AS_IT_IS not in plain.page.read_text(encoding="utf-8")
    assert text.count("minmax(150px") == 2  # six beside each other on a page of 1000
