"""What is exported is read back: the same, or what the layout does not hold is named."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lensmith.core.errors import UsageError
from lensmith.core.workspace import Workspace
from lensmith.datasets.export_dataset import ExportConfig, Exported, export_dataset
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.formats.write_yolo import label_rows
from lensmith.datasets.import_dataset import ImportConfig, import_dataset
from lensmith.datasets.model import Boxes, Format
from lensmith.datasets.read import open_dataset
from tests.helpers import cv_path, make_folder_dataset, make_picture, make_yolo_dataset, run_cv


def _export(workspace: Workspace, given: Path, format_: Format, to: Path, force: bool = False) -> Exported:
    return export_dataset(given, format_, workspace, ExportConfig(to=to, force=force))


@pytest.mark.parametrize("suffix", ["", ".zip"])
@pytest.mark.parametrize("format_", ["yolo", "coco", "folder"])
def test_there_and_back(workspace: Workspace, tmp_path: Path, format_: Format, suffix: str) -> None:
    root = (make_folder_dataset if format_ == "folder" else make_yolo_dataset)(tmp_path / "set")
    done = _export(workspace, root, format_, tmp_path / f"out{suffix}")
    assert (done.losses, done.counts["valid"]) == ((), open_dataset(root, workspace).count("valid"))
    back = import_dataset(done.path, workspace)
    assert back.record.fingerprint == fingerprint(open_dataset(root, workspace))


_name = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8).map(str.strip).filter(bool)
_classes = st.lists(_name, min_size=1, max_size=4, unique=True)
_centre = st.floats(0, 1, width=32)
_side = st.floats(0.015625, 1, width=32)
_boxes = st.lists(st.tuples(st.integers(0, 3), _centre, _centre, _side, _side), max_size=5)
_split = st.sampled_from(["train", "valid", "test"])
_picture = st.tuples(_split, st.integers(1, 70), st.integers(1, 50), st.none() | _boxes)


def _make(root: Path, names: list[str], pictures: list) -> Path:
    """A YOLO dataset; `None` for the boxes of a picture that nobody labelled."""
    given = [("train", 33, 21, [(0, 0.5, 0.5, 0.3, 0.3)]), *pictures]
    for number, (split, width, height, boxes) in enumerate(given):
        make_picture(root / split / "images" / f"{number}.png", width, height, number)
        if boxes is not None:
            rows = np.array([box[1:] for box in boxes], np.float32).reshape(-1, 4)
            text = label_rows(Boxes(rows, np.array([box[0] % len(names) for box in boxes], np.int64)))
            (root / split / "labels").mkdir(exist_ok=True)
            (root / split / "labels" / f"{number}.txt").write_text(text)
    (root / "data.yaml").write_text(yaml.safe_dump({"names": names}, allow_unicode=True), encoding="utf-8")
    return root


@pytest.fixture(autouse=True)
def _no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bringing hundreds of tiny folders to the disk for good takes minutes on a busy machine."""
    monkeypatch.setattr(os, "sync", lambda: None)


_any = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_any
@given(names=_classes, pictures=st.lists(_picture, max_size=4))
@pytest.mark.parametrize("format_", ["yolo", "coco"])
def test_any_detection_dataset_comes_back_the_same(
    workspace: Workspace, tmp_path: Path, format_: Format, names: list[str], pictures: list
) -> None:
    with _cleared(tmp_path):
        dataset = open_dataset(_make(tmp_path / "set", names, pictures), workspace)
        done = _export(workspace, dataset.root, format_, tmp_path / "out")
        back = open_dataset(done.path, workspace)
        assert done.losses == ()
        assert back.names == dataset.names
        assert fingerprint(back) == fingerprint(dataset)
        for first, second in zip(dataset.items(), back.items(), strict=True):
            assert second.image.name == first.image.name
            assert back.boxes(second)[0].cxcywh.tobytes() == dataset.boxes(first)[0].cxcywh.tobytes()
            assert _is_labelled(second) == _is_labelled(first)


@_any
@given(names=_classes, pictures=st.lists(_picture, max_size=4))
def test_any_detection_dataset_comes_back_from_voc_within_a_pixel(
    workspace: Workspace, tmp_path: Path, names: list[str], pictures: list
) -> None:
    with _cleared(tmp_path):
        dataset = open_dataset(_make(tmp_path / "set", names, pictures), workspace)
        done = _export(workspace, dataset.root, "voc", tmp_path / "out")
        back = open_dataset(done.path, workspace)
        assert (fingerprint(back) == fingerprint(dataset)) or done.losses
        for first, second in zip(dataset.items(), back.items(), strict=True):
            size = back.stated_size(second) or (1, 1)
            there, here = dataset.boxes(first)[0], back.boxes(second)[0]
            assert _named(here, back.names, here.xyxy(*size).round().tolist()) == _named(
                there, [_as_xml_has_it(name) for name in dataset.names], _pixels(there, size)
            )
            assert _is_labelled(second) == _is_labelled(first)


@contextlib.contextmanager
def _cleared(tmp_path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        for name in ("set", "out"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)


def _named(boxes: Boxes, names: Sequence[str], edges: list[list[float]]) -> set[tuple]:
    return {(names[class_id], *edge) for class_id, edge in zip(boxes.class_id.tolist(), edges, strict=True)}


def _is_labelled(item) -> bool:
    return item.label is not None and item.label.is_file()


def _as_xml_has_it(name: str) -> str:
    return "".join("?" if (ord(c) < 32 and c not in "\t\n\r") or c in "\ufffe\uffff" else c for c in name)


def _pixels(boxes: Boxes, size: tuple[int, int]) -> list[list[float]]:
    """The nearest whole pixels, at least one across and inside."""
    half = boxes.cxcywh[:, 2:].astype(np.float64) / 2
    low = np.clip(np.rint((boxes.cxcywh[:, :2] - half) * size), 0, np.array(size) - 1)
    high = np.clip(np.rint((boxes.cxcywh[:, :2] + half) * size), low + 1, size)
    return np.concatenate([low, high], axis=1).tolist()


def test_what_other_tools_find_in_our_coco(workspace: Workspace, tmp_path: Path) -> None:
    """Read with nothing but the format's own definition."""
    root = make_yolo_dataset(tmp_path / "set", width=100, height=50)
    dataset = open_dataset(root, workspace)
    done = _export(workspace, root, "coco", tmp_path / "out")
    for split, count in (("train", 4), ("valid", 2), ("test", 2)):
        coco = json.loads((done.path / split / "_annotations.coco.json").read_text(encoding="utf-8"))
        assert [category["name"] for category in sorted(coco["categories"], key=lambda c: c["id"])] == ["cat", "dog"]
        assert all(category["supercategory"] not in {"", "none"} for category in coco["categories"])
        assert len(coco["images"]) == len({image["id"] for image in coco["images"]}) == count
        assert len({annotation["id"] for annotation in coco["annotations"]}) == count
        by_id = {image["id"]: image for image in coco["images"]}
        expected = {item.image.name: dataset.boxes(item)[0] for item in dataset.items(split)}
        for annotation in coco["annotations"]:
            image = by_id[annotation["image_id"]]
            assert (done.path / split / image["file_name"]).is_file()
            assert (image["width"], image["height"]) == (100, 50)
            x, y, w, h = annotation["bbox"]
            boxes = expected[image["file_name"]]
            np.testing.assert_allclose([[x, y, x + w, y + h]], boxes.xyxy(100, 50), atol=1e-4)
            assert annotation["area"] == pytest.approx(w * h)
            assert annotation["category_id"] == boxes.class_id[0] + 1


def test_what_other_tools_find_in_our_voc(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set", {"train": 1}, names=("a<b>&c",), width=100, height=50)
    (root / "train/labels/train-000.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    done = _export(workspace, root, "voc", tmp_path / "out")
    tree = ElementTree.parse(done.path / "train/train-000.xml").getroot()
    assert (tree.findtext("filename"), tree.findtext("object/name")) == ("train-000.png", "a<b>&c")
    edges = [tree.findtext(f"object/bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")]
    assert edges == ["41", "16", "60", "35"]  # from 1, the last pixel included
    assert [tree.findtext(f"size/{side}") for side in ("width", "height", "depth")] == ["100", "50", "3"]
    assert done.losses == ()


def test_what_voc_does_not_hold_is_said(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set", names=("dog", "cat", "fish"), counts={"train": 2})
    losses = " ".join(_export(workspace, root, "voc", tmp_path / "out").losses)
    assert "2 of 2 boxes were moved" in losses
    assert "these are lost: fish" in losses
    assert "sort them by name" in losses


def test_an_exported_yolo_folder_can_be_moved_and_says_nothing_of_home(workspace: Workspace, tmp_path: Path) -> None:
    source = make_yolo_dataset(tmp_path / "set")
    (source / "README.dataset.txt").write_text("License: MIT\n")
    import_dataset(source, workspace)
    done = export_dataset("set", "yolo", workspace, ExportConfig(to=tmp_path / "out"))
    texts = [path.read_text() for path in done.path.rglob("*") if path.suffix in {".yaml", ".txt"}]
    assert not any(str(tmp_path) in text for text in texts)
    moved = done.path.rename(tmp_path / "moved")
    content = yaml.safe_load((moved / "data.yaml").read_text())
    assert (moved / content["train"]).is_dir()
    assert (moved / content["val"]).is_dir()
    assert import_dataset(moved, workspace, ImportConfig(name="again")).record.licence == "MIT"


def test_pictures_that_cannot_be_read_are_named(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    (root / "train/images/train-001.png").write_bytes(b"no picture")
    for format_ in ("coco", "voc"):
        done = _export(workspace, root, format_, tmp_path / format_)
        assert "1 picture left out, the file is not a picture that can be read: train-001.png." in done.losses
    assert _export(workspace, root, "yolo", tmp_path / "yolo").losses == ()


@pytest.mark.parametrize(
    ("make", "format_", "hint"),
    [
        (make_yolo_dataset, "folder", "cv crops set"),
        (make_folder_dataset, "yolo", "--format folder"),
        (make_folder_dataset, "coco", "--format folder"),
        (make_folder_dataset, "voc", "--format folder"),
    ],
)
def test_what_a_layout_cannot_hold_is_refused(
    workspace: Workspace, tmp_path: Path, make, format_: Format, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        _export(workspace, make(tmp_path / "set"), format_, tmp_path / "out")
    assert hint in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_force_replaces_an_export_and_nothing_else(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    for name in ("out", "out.zip"):
        _export(workspace, root, "yolo", tmp_path / name)
        with pytest.raises(UsageError, match="--force"):
            _export(workspace, root, "coco", tmp_path / name)
        done = _export(workspace, root, "coco", tmp_path / name, force=True)
        assert import_dataset(done.path, workspace, ImportConfig(name=f"{name}-back")).record.origin.format == "coco"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years")
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("thesis.txt", "years")
    for name in ("mine", "mine.zip"):
        with pytest.raises(UsageError, match="does not replace"):
            _export(workspace, root, "yolo", tmp_path / name, force=True)
    assert (tmp_path / "mine/thesis.txt").read_text() == "years"
    for inside in (root / "out", root, tmp_path):
        with pytest.raises(UsageError, match="in the dataset"):
            _export(workspace, root, "yolo", inside, force=True)


def test_the_command(workspace: Workspace, tmp_path: Path) -> None:
    make_yolo_dataset(workspace.datasets / "chess")
    done = run_cv("export-dataset", "chess", "--format", "coco", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["path"] == str(tmp_path / "chess-coco")
    assert (tmp_path / "chess-coco/train/_annotations.coco.json").is_file()


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on file size")
@pytest.mark.parametrize("to", ["out", "out.zip"])
def test_a_full_disk_leaves_nothing(workspace: Workspace, tmp_path: Path, to: str) -> None:
    make_yolo_dataset(workspace.datasets / "chess", width=640, height=480)
    command = f"ulimit -f 16; exec '{cv_path()}' export-dataset chess --format coco --to {to}"
    done = subprocess.run(["/bin/bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "The disk is full" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [workspace.root.name]


@pytest.mark.parametrize("name", ["robot-coco", "books-voc", "waste-yolo", "chess-yolo", "rubik-yolo"])
def test_real_datasets_there_and_back(test_data: Path, workspace: Workspace, tmp_path: Path, name: str) -> None:
    first = import_dataset(test_data / "detect" / name, workspace, ImportConfig(link=True))
    for format_ in ("yolo", "coco", "voc"):
        done = export_dataset(name, format_, workspace, ExportConfig(to=tmp_path / f"{format_}"))
        same = fingerprint(open_dataset(done.path, workspace)) == first.record.fingerprint
        assert same or (format_ == "voc" and done.losses)
