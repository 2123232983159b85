"""COCO files as tools and people leave them: read annotation by annotation, none of which costs the others."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import SPLITS, Dataset
from lensmith.datasets.read import open_dataset
from tests.helpers import make_picture

CATEGORIES = [{"id": 3, "name": "cat", "supercategory": "pets"}, {"id": 7, "name": "dog", "supercategory": "pets"}]


def _image(number: int, name: str, width: int = 64, height: int = 48) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": width, "height": height}


def _box(number: int, image: object, category: object = 3, bbox: object = (8, 12, 16, 24), **more: object) -> dict:
    return {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0, **more}


def _write(path: Path, **content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"categories": CATEGORIES, **content}), encoding="utf-8")
    return path


def _one_picture(root: Path, *annotations: object, **more: object) -> Path:
    make_picture(root / "train/a.jpg")
    _write(root / "train/_annotations.coco.json", images=[_image(1, "a.jpg")], annotations=list(annotations), **more)
    return root


def _open(root: Path, workspace: Workspace) -> Dataset:
    dataset = open_dataset(root, workspace)
    assert dataset.format == "coco"
    return dataset


def _counts(dataset: Dataset) -> list[int]:
    return [dataset.count(split) for split in SPLITS]


def _kinds(dataset: Dataset) -> list[str]:
    return [remark.kind for remark in dataset.remarks]


def test_as_roboflow_exports_it(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for split, count in (("train", 3), ("valid", 1)):
        for number in range(count):
            make_picture(root / split / f"{number}.jpg", seed=number)
        images = [_image(number, f"{number}.jpg") for number in range(count)]
        _write(root / split / "_annotations.coco.json", images=images, annotations=[_box(5, 0, 7)])
    dataset = _open(root, workspace)
    assert (dataset.task, dataset.names, _counts(dataset)) == ("detect", ("cat", "dog"), [3, 1, 0])
    boxes, problems = dataset.boxes(next(dataset.items("train")))
    np.testing.assert_array_equal(boxes.cxcywh, np.float32([[0.25, 0.5, 0.25, 0.5]]))
    assert (boxes.class_id.tolist(), problems) == ([1], [])
    assert dataset.stated_size(next(dataset.items("train"))) == (64, 48)


@pytest.mark.parametrize(
    ("pictures", "file", "what"),
    [
        ("train2017", "annotations/instances_train2017.json", "official"),
        ("images/train2017", "annotations/instances_train2017.json", "official, pictures in images"),
        ("train/images", "train/labels.json", "pictures in a folder below"),
        ("images/train", "annotations/train.json", "by split names"),
        ("images/train", "train.json", "at the top"),
    ],
)
def test_where_pictures_and_files_may_lie(
    workspace: Workspace, tmp_path: Path, pictures: str, file: str, what: str
) -> None:
    for split in ("train", "val"):
        place, name = pictures.replace("train", split), file.replace("train", split)
        make_picture(tmp_path / "set" / place / "a.jpg", seed=len(split))
        _write(tmp_path / "set" / name, images=[_image(1, "a.jpg")], annotations=[_box(1, 1)])
    (tmp_path / "set/annotations").mkdir(exist_ok=True)
    (tmp_path / "set/annotations/captions_train2017.json").write_text('{"images": [], "annotations": []}')
    dataset = _open(tmp_path / "set", workspace)
    assert _counts(dataset) == [1, 1, 0], what
    assert all(len(dataset.boxes(item)[0]) == 1 for item in dataset.items())


def test_one_file_and_a_folder_of_pictures_have_no_splits(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("a", "b", "unlisted"):
        make_picture(tmp_path / f"set/images/{name}.jpg")
    images = [_image(1, "images/a.jpg"), _image(2, "images/b.jpg")]
    _write(tmp_path / "set/result.json", images=images, annotations=[_box(1, 1)])
    dataset = _open(tmp_path / "set", workspace)
    assert _counts(dataset) == [3, 0, 0]
    assert "split-none" in _kinds(dataset)
    label_of = {item.image.stem: item.label for item in dataset.items()}
    assert label_of == {"a": tmp_path / "set/result.json", "b": tmp_path / "set/result.json", "unlisted": None}


@pytest.mark.parametrize(
    ("annotation", "fault", "reason"),
    [
        (_box(9, 1, 99), "unknown-class", "no category"),
        (_box(9, 1, None), "unknown-class", "no category"),
        (_box(9, 1, [3]), "unknown-class", "no category"),
        (_box(9, 1, 3, [1, 2, 3]), "row-length", "no bbox"),
        (_box(9, 1, 3, None), "row-length", "no bbox"),
        (_box(9, 1, 3, {"x": 1}), "row-length", "no bbox"),
        (_box(9, 1, 3, [], segmentation={"size": [48, 64], "counts": "abc"}), "row-length", "no bbox"),
        (_box(9, 1, 3, ["x", 1, 2, 3]), "not-a-number", "not a number"),
        (_box(9, 1, 3, [[1], 1, 2, 3]), "not-a-number", "not a number"),
        (_box(9, 1, 3, [10**400, 1, 2, 3]), "not-a-number", "not a number"),
        (_box(9, 1, 3, [math.nan, 1, 2, 3]), "nan", "NaN"),
        (_box(9, 1, 3, [1, 2, math.inf, 3]), "nan", "NaN"),
        (_box(9, 1, 3, [1e300, 2, 3, 3]), "out-of-range", "absurdly"),
        (_box(9, 1, 3, [64, 2, 3, 3]), "out-of-range", "outside the picture"),
        (_box(9, 1, 3, [4, 2, 0, 3]), "no-area", "no area"),
        (_box(9, 1, 3, [4, 2, -3, 3]), "no-area", "no area"),
        (_box(9, 1), "duplicate", "already"),
    ],
)
def test_a_bad_annotation_is_named_and_the_others_stay(
    workspace: Workspace, tmp_path: Path, annotation: dict, fault: str, reason: str
) -> None:
    root = _one_picture(tmp_path / "set", _box(8, 1), annotation, _box(10, 1, 7, [0, 0, 32, 24]))
    dataset = _open(root, workspace)
    boxes, problems = dataset.boxes(next(dataset.items()))
    assert boxes.class_id.tolist() == [0, 1]
    assert [(problem.row, problem.fault) for problem in problems] == [(9, fault)]
    assert reason in problems[0].reason


def test_boxes_past_the_edge_are_clipped_and_said(workspace: Workspace, tmp_path: Path) -> None:
    dataset = _open(_one_picture(tmp_path / "set", _box(1, 1, 3, [-16, 24, 32, 48])), workspace)
    boxes, problems = dataset.boxes(next(dataset.items()))
    np.testing.assert_allclose(boxes.cxcywh, [[0.125, 0.75, 0.25, 0.5]])
    assert [problem.fault for problem in problems] == ["clipped"]


def test_polygons_become_boxes_and_crowds_are_left_out(workspace: Workspace, tmp_path: Path) -> None:
    polygon = {"segmentation": [[8, 12, 24, 12, 24, 36], [8, 30, 10, 30, 9, 31]]}
    crowd = _box(2, 1, 3, [0, 0, 60, 40], iscrowd=1)
    dataset = _open(_one_picture(tmp_path / "set", _box(1, 1, 3, None, **polygon), crowd | {"iscrowd": 1}), workspace)
    boxes, problems = dataset.boxes(next(dataset.items()))
    np.testing.assert_allclose(boxes.cxcywh, [[0.25, 0.5, 0.25, 0.5]])
    assert (boxes.polygons, problems) == (1, [])
    assert "crowds" in str(next(remark for remark in dataset.remarks if remark.kind == "labels-left-out"))


@pytest.mark.parametrize(
    ("categories", "names", "dropped"),
    [
        ([(0, "pets", "none"), (1, "cat", "pets"), (2, "dog", "pets")], ("cat", "dog"), True),
        ([(0, "cat", "none"), (1, "dog", "none")], ("cat", "dog"), False),
        ([(0, "pets", "none"), (1, "cat", "pets"), (2, "dog", "other")], ("pets", "cat", "dog"), False),
        ([(0, "cat", "none")], ("cat",), False),
        ([(2, "b", ""), (10, "a", ""), (1, "c", "")], ("c", "b", "a"), False),
        ([(1, "cat", ""), (2, "cat", ""), (3, "dog", "")], ("cat", "dog"), True),
        ([("x", "b", ""), ("a", "a", "")], ("a", "b"), False),
    ],
)
def test_categories_become_classes(
    workspace: Workspace, tmp_path: Path, categories: list, names: tuple, dropped: bool
) -> None:
    given = [dict(zip(("id", "name", "supercategory"), row, strict=True)) for row in categories]
    root = _one_picture(tmp_path / "set", _box(1, 1, categories[-1][0]), categories=given)
    dataset = _open(root, workspace)
    assert dataset.names == names
    assert ("coco-category" in _kinds(dataset)) is dropped
    assert dataset.names[dataset.boxes(next(dataset.items()))[0].class_id[0]] == categories[-1][1]


def test_a_grouping_category_with_boxes_is_a_class(workspace: Workspace, tmp_path: Path) -> None:
    given = [{"id": 0, "name": "pets", "supercategory": "none"}, {"id": 1, "name": "cat", "supercategory": "pets"}]
    root = _one_picture(tmp_path / "set", _box(1, 1, 0), categories=given)
    assert _open(root, workspace).names == ("pets", "cat")


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jpg", "/etc/secret.jpg", "C:\\x\\secret.jpg", "..\\secret.jpg", "train/../../secret.jpg",
        "missing.jpg", "http://example.org/x/secret.jpg?size=2", "file:///etc/passwd", "..", "/", "link.jpg",
    ],
)  # fmt: skip
def test_no_name_leads_out(workspace: Workspace, tmp_path: Path, name: str) -> None:
    make_picture(tmp_path / "secret.jpg")
    root = _one_picture(tmp_path / "set", _box(1, 1))
    (root / "train/link.jpg").symlink_to(tmp_path / "secret.jpg")
    images = [_image(1, "a.jpg"), _image(2, name)]
    _write(root / "train/_annotations.coco.json", images=images, annotations=[_box(1, 1), _box(2, 2)])
    dataset = _open(root, workspace)
    assert [item.image.name for item in dataset.items()] == ["a.jpg"]
    assert [path.parent for path in dataset.stray_labels()] == [root / "train"]


def test_names_with_folders_of_another_machine_are_found(workspace: Workspace, tmp_path: Path) -> None:
    root = _one_picture(tmp_path / "set", _box(1, 1))
    make_picture(root / "train/sub/b.jpg", seed=2)
    images = [_image(1, "/home/x/data/train/a.jpg"), _image(2, "D:\\data\\sub\\b.jpg")]
    _write(root / "train/_annotations.coco.json", images=images, annotations=[_box(1, 1), _box(2, 2)])
    dataset = _open(root, workspace)
    assert [len(dataset.boxes(item)[0]) for item in dataset.items()] == [1, 1]


def test_order_ids_and_orphans(workspace: Workspace, tmp_path: Path) -> None:
    """Annotations before pictures, text for numbers, ids twice, and annotations of nobody."""
    make_picture(tmp_path / "set/train/a.jpg")
    make_picture(tmp_path / "set/train/b.jpg")
    images = [_image(1, "a.jpg"), {"id": "2", "file_name": "b.jpg"}, _image(1, "c.jpg"), "x", {"id": [1]}, {"id": 5}]
    annotations = [_box(1, "1", "3"), _box(2, 2.0, 7), _box(3, 77), "x", None]
    text = json.dumps({"annotations": annotations, "images": images, "categories": [*CATEGORIES, 4, {"id": None}]})
    (tmp_path / "set/train/_annotations.coco.json").write_text(text)
    dataset = _open(tmp_path / "set", workspace)
    assert [dataset.boxes(item)[0].class_id.tolist() for item in dataset.items()] == [[0], [1]]
    said = " ".join(map(str, dataset.remarks))
    assert "3 annotations belong to no picture" in said
    assert "1 pictures have the id of another" in said
    assert dataset.stated_size(list(dataset.items())[1]) is None  # the size is then the picture's own


def test_a_picture_of_two_splits_counts_once(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        make_picture(tmp_path / f"set/images/{name}.jpg")
    _write(tmp_path / "set/train.json", images=[_image(1, "a.jpg"), _image(2, "b.jpg")], annotations=[_box(1, 1)])
    _write(tmp_path / "set/val.json", images=[_image(1, "b.jpg")], annotations=[_box(1, 1)])
    dataset = _open(tmp_path / "set", workspace)
    assert _counts(dataset) == [2, 0, 0]
    assert {"split-shared", "loose-pictures"} <= set(_kinds(dataset))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read at character 1"),
        ("[]", "cannot be read at character 1"),
        ("{}", "lists no pictures"),
        ('{"images": [', "cannot be read"),
        ('{"images": [{"id": 1}', "cannot be read"),
        ('{"images": [' + "[" * 200_000, "nested too deeply"),
        ('{"images": 3, "annotations": {}}', "lists no pictures"),
        ('{"images": [{"id": ' + "9" * 6000 + ', "file_name": "a.jpg"}]}', "thousands of digits"),
        ('{"images": [{"id": 1, "file_name": "a.jpg"}]}', "class names are missing"),
        ('{"images": [{"id": 1, "file_name": "z.jpg"}], "categories": [{"id": 1, "name": "c"}]}', "is there"),
        ('{"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "c"}]}', "no annotations"),
        ('{"images": [{"id": 1, "file_name": "a.jpg", "x": "' + "y" * 9_000_000 + '"}]}', "cannot be read"),
        ("\xff\xfe\xfa", "not text|cannot be read"),
    ],
)
def test_what_is_no_coco_file_is_one_clear_error(workspace: Workspace, tmp_path: Path, text: str, message: str) -> None:
    root = _one_picture(tmp_path / "set", _box(1, 1))
    (root / "train/_annotations.coco.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=message):
        open_dataset(root, workspace)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_encodings(workspace: Workspace, tmp_path: Path, encoding: str) -> None:
    root = _one_picture(tmp_path / "set", _box(1, 1))
    path = root / "train/_annotations.coco.json"
    text = path.read_text().replace('"cat"', '"Kätzchen"')
    path.write_bytes(text.encode(encoding))
    assert _open(root, workspace).names == ("Kätzchen", "dog")


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from([1, 3])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
_annotation = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("id", "image_id", "category_id", "bbox", "segmentation", "iscrowd"), _json)
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(annotations=st.lists(st.one_of(_annotation, _json), max_size=6), more=_json)
def test_any_json_is_survived(workspace: Workspace, tmp_path: Path, annotations: list, more: object) -> None:
    root = _one_picture(tmp_path / "set", _box(1, 1), *annotations, licenses=more, info=more)
    try:
        dataset = _open(root, workspace)
        boxes, problems = dataset.boxes(next(dataset.items()))
    finally:
        shutil.rmtree(root)
    assert len(boxes) >= 1
    assert len(boxes) + len(problems) <= 2 * (1 + len(annotations))
    assert np.isfinite(boxes.cxcywh).all()
