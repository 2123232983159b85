"""Pascal VOC files as tools and people leave them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.formats.voc_xml import BadXmlError, read_voc
from lensmith.datasets.model import SPLITS, Dataset
from lensmith.datasets.read import open_dataset
from tests.helpers import make_picture


def _object(name: str = "cat", edges: tuple = (8, 12, 24, 36), more: str = "") -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True)
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


def _xml(*objects: str, size: tuple[int, int] | None = (64, 48), database: str = "x") -> str:
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    return f"<annotation><source><database>{database}</database></source>{stated}{''.join(objects)}</annotation>"


def _put(folder: Path, stem: str, xml: str, beside: str | None = None) -> None:
    make_picture(folder / f"{stem}.jpg", seed=sum(stem.encode()))
    path = (folder if beside is None else folder.parent / beside) / f"{stem}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(xml, encoding="utf-8")


def _open(root: Path, workspace: Workspace) -> Dataset:
    dataset = open_dataset(root, workspace)
    assert dataset.format == "voc"
    return dataset


def _counts(dataset: Dataset) -> list[int]:
    return [dataset.count(split) for split in SPLITS]


def test_as_roboflow_exports_it(workspace: Workspace, tmp_path: Path) -> None:
    _put(tmp_path / "set/train", "a", _xml(_object("dog"), _object("cat", (0, 0, 64, 48))))
    _put(tmp_path / "set/valid", "b", _xml())
    make_picture(tmp_path / "set/valid/nobody.jpg")
    (tmp_path / "set/train/stray.xml").write_text(_xml(_object("fish")))
    dataset = _open(tmp_path / "set", workspace)
    assert (dataset.task, dataset.names, _counts(dataset)) == ("detect", ("cat", "dog"), [1, 2, 0])
    boxes, problems = dataset.boxes(next(dataset.items("train")))
    np.testing.assert_array_equal(boxes.cxcywh, np.float32([[0.25, 0.5, 0.25, 0.5], [0.5, 0.5, 1, 1]]))
    assert (boxes.class_id.tolist(), problems) == ([1, 0], [])
    assert [len(dataset.boxes(item)[0]) for item in dataset.items("valid")] == [0, 0]
    assert [item.label.is_file() for item in dataset.items("valid") if item.label] == [True, False]
    assert list(dataset.stray_labels()) == [tmp_path / "set/train/stray.xml"]
    assert dataset.stated_size(next(dataset.items())) == (64, 48)


@pytest.mark.parametrize(
    ("pictures", "labels", "what"),
    [
        ("{}/images", "annotations", "a folder for each"),
        ("images/{}", "../annotations/{}", "split below"),
        ("{}", "{}", "beside"),
        ("{}/JPEGImages", "Annotations", "VOC's own names in each split"),
    ],
)
def test_where_pictures_and_files_may_lie(
    workspace: Workspace, tmp_path: Path, pictures: str, labels: str, what: str
) -> None:
    for split in ("train", "val"):
        _put(tmp_path / "set" / pictures.format(split), "a", _xml(_object()), labels.format(split))
    dataset = _open(tmp_path / "set", workspace)
    assert _counts(dataset) == [1, 1, 0], what
    assert all(len(dataset.boxes(item)[0]) == 1 for item in dataset.items())


def test_as_voc_itself_lies(workspace: Workspace, tmp_path: Path) -> None:
    """VOCdevkit/VOC2012, with lists of the splits; masks are no pictures of the dataset."""
    home = tmp_path / "VOCdevkit/VOC2012"
    for stem in ("2008_1", "2008_2", "2008_3", "2008_4"):
        _put(
            home / "JPEGImages",
            stem,
            _xml(_object(edges=(1, 1, 64, 48)), database="The VOC2008 Database"),
            "Annotations",
        )
        make_picture(home / f"SegmentationClass/{stem}.png")
    (home / "ImageSets/Main").mkdir(parents=True)
    (home / "ImageSets/Main/train.txt").write_text("2008_1\n2008_2\n")
    (home / "ImageSets/Main/val.txt").write_text("2008_3  1\n\n")
    (home / "ImageSets/Main/cat_train.txt").write_text("2008_4 1\n")
    dataset = _open(tmp_path / "VOCdevkit", workspace)
    assert _counts(dataset) == [2, 1, 0]
    assert {"nested-folders", "loose-pictures"} <= {remark.kind for remark in dataset.remarks}
    boxes, problems = dataset.boxes(next(dataset.items()))
    np.testing.assert_array_equal(boxes.cxcywh, [[0.5, 0.5, 1, 1]])
    assert [problem.fault for problem in problems] == ["one-based"]


@pytest.mark.parametrize(
    ("boxes", "one_based", "what"),
    [
        ([(1, 1, 64, 48), (5, 5, 20, 20)], True, "from the first to the last pixel"),
        ([(0, 0, 64, 48), (1, 5, 20, 20)], False, "a zero"),
        ([(0, 0, 63, 47), (1, 1, 20, 20)], False, "the last is one less than the size"),
        ([(5, 5, 20, 20), (9, 7, 64, 48)], False, "nothing at the upper left edge"),
        ([(1, 1, 20, 20), (9, 7, 30, 40)], False, "nothing at the lower right edge"),
        ([(1, 1, 64, 48), (5.5, 5, 20, 20)], False, "fractions"),
    ],
)
def test_where_pixels_start_is_read_off_the_numbers(
    workspace: Workspace, tmp_path: Path, boxes: list, one_based: bool, what: str
) -> None:
    for number, edges in enumerate(boxes):
        _put(tmp_path / "set/train", f"p{number}", _xml(_object(edges=edges)))
    dataset = _open(tmp_path / "set", workspace)
    for item, (x1, y1, x2, y2) in zip(dataset.items(), boxes, strict=True):
        found, problems = dataset.boxes(item)
        start = 1 if one_based else 0
        np.testing.assert_allclose(found.xyxy(64, 48), [[x1 - start, y1 - start, x2, y2]], atol=1e-4, err_msg=what)
        assert ("one-based" in [problem.fault for problem in problems]) is one_based


@pytest.mark.parametrize(
    ("bad", "fault", "start"),
    [
        (_object(edges=("x", 1, 2, 3)), "not-a-number", "left out"),
        (_object(edges=("", 1, 2, 3)), "not-a-number", "left out"),
        (_object(edges=("nan", 1, 2, 3)), "nan", "left out"),
        (_object(edges=("1e400", 1, 2, 3)), "nan", "left out"),
        (_object(edges=("1e300", 1, "2e300", 3)), "out-of-range", "left out"),
        (_object(edges=(4, 4, 4, 9)), "no-area", "left out"),
        (_object(edges=(70, 4, 80, 9)), "out-of-range", "left out"),
        (_object(edges=(-9, 4, 20, 9)), "clipped", "clipped"),
        (_object(), "duplicate", "left out"),
        ("<object><name>cat</name></object>", "row-length", "left out"),
        ("<object><bndbox><xmin>1</xmin></bndbox></object>", "unknown-class", "left out"),
        (_object(name="  "), "unknown-class", "left out"),
        (_object(edges=(24, 40, 8, 20)), "no-area", "mended"),
    ],
)
def test_a_bad_object_is_named_and_the_others_stay(
    workspace: Workspace, tmp_path: Path, bad: str, fault: str, start: str
) -> None:
    _put(tmp_path / "set/train", "a", _xml(_object(), bad, _object("dog", (0, 0, 32, 24))))
    dataset = _open(tmp_path / "set", workspace)
    boxes, problems = dataset.boxes(next(dataset.items()))
    assert len(boxes) == (2 if start == "left out" else 3)
    assert [(problem.row, problem.fault) for problem in problems] == [(2, fault)]
    assert problems[0].reason.startswith(start)


def test_parts_floats_difficult_and_polygons(workspace: Workspace, tmp_path: Path) -> None:
    """The parts of an object (a head, a hand) have names and boxes of their own, which are not the object's."""
    part = "<part><name>head</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
    polygon = (
        "<polygon>"
        + "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate([(8, 12), (24, 12), (9, 36)]))
        + "</polygon>"
    )
    _put(
        tmp_path / "set/train", "a",
        _xml(
            _object(edges=("8.0", " 12 ", "24,0", "36"), more=part + "<difficult>1</difficult>"),
            f"<object><name>dog</name>{polygon}</object>",
        ),
    )  # fmt: skip
    dataset = _open(tmp_path / "set", workspace)
    assert dataset.names == ("cat", "dog")
    boxes, problems = dataset.boxes(next(dataset.items()))
    np.testing.assert_allclose(boxes.cxcywh, [[0.25, 0.5, 0.25, 0.5]] * 2)
    assert (boxes.polygons, problems) == (1, [])


@pytest.mark.parametrize("size", [None, (0, 0)])
def test_without_a_size_the_picture_tells(workspace: Workspace, tmp_path: Path, size: tuple | None) -> None:
    _put(tmp_path / "set/train", "a", _xml(_object(), size=size))
    dataset = _open(tmp_path / "set", workspace)
    item = next(dataset.items())
    np.testing.assert_allclose(dataset.boxes(item)[0].cxcywh, [[0.25, 0.5, 0.25, 0.5]])
    assert dataset.stated_size(item) is None
    item.image.write_bytes(b"")
    assert [problem.fault for problem in dataset.boxes(item)[1]] == ["unreadable"]


@pytest.mark.parametrize(
    ("data", "odd"),
    [
        (_xml(_object("Kätzchen")).encode("utf-8-sig"), False),
        (('<?xml version="1.0" encoding="UTF-16"?>' + _xml(_object("Kätzchen"))).encode("utf-8"), False),
        (('<?xml version="1.0" encoding="utf-16"?>' + _xml(_object("Kätzchen"))).encode("utf-16"), False),
        (('<?xml version="1.0" encoding="latin-1"?>' + _xml(_object("Kätzchen"))).encode("latin-1"), False),
        (('<?xml version="1.0" encoding="utf-8"?>' + _xml(_object("Kätzchen"))).encode("latin-1"), True),
        (('<?xml version="1.0" encoding="klingon"?>' + _xml(_object("Kätzchen"))).encode("latin-1"), True),
        (('<?xml version="1.0" encoding="hex"?>' + _xml(_object("Kätzchen"))).encode("latin-1"), True),
    ],
)
def test_encodings_are_looked_at_and_not_believed(workspace: Workspace, tmp_path: Path, data: bytes, odd: bool) -> None:
    _put(tmp_path / "set/train", "a", "")
    (tmp_path / "set/train/a.xml").write_bytes(data)
    dataset = _open(tmp_path / "set", workspace)
    assert dataset.names == ("Kätzchen",)
    assert [problem.fault for problem in dataset.boxes(next(dataset.items()))[1]] == (["encoding"] if odd else [])


_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"<!DOCTYPE a [{_LAUGHS}]><annotation><object><name>&l9;</name></object></annotation>", "document type"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>', "document type"),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><annotation/>', "document type"),
        ("<annotation>", "no XML"),
        ("not XML", "no XML"),
        ("", "no XML"),
        ("<annotation>" + "<a>" * 100_000, "no XML"),
        ("<html><body>404</body></html>", "not an <annotation>"),
        (" " * (17 << 20), "larger than 16 MB"),
    ],
)
def test_hostile_xml_is_refused_at_once(workspace: Workspace, tmp_path: Path, text: str, reason: str) -> None:
    _put(tmp_path / "set/train", "good", _xml(_object()))
    _put(tmp_path / "set/train", "bad", text)
    dataset = _open(tmp_path / "set", workspace)
    assert dataset.names == ("cat",)
    problems = {item.image.stem: dataset.boxes(item)[1] for item in dataset.items()}
    assert [problem.fault for problem in problems["bad"]] == ["unreadable"]
    assert reason in problems["bad"][0].reason
    assert problems["good"] == []


def test_deep_nesting_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<annotation>" + "<a>" * 50_000 + "</a>" * 50_000 + _object() + "</annotation>")
    assert len(read_voc(path).objects) == 1


def test_links_and_missing_labels(workspace: Workspace, tmp_path: Path) -> None:
    _put(tmp_path / "set/train", "a", _xml(_object()))
    _put(tmp_path / "set/train", "b", _xml(_object()))
    _put(tmp_path / "elsewhere", "c", _xml(_object("secret")))
    (tmp_path / "set/train/b.xml").unlink()
    (tmp_path / "set/train/b.xml").symlink_to(tmp_path / "elsewhere/c.xml")
    dataset = _open(tmp_path / "set", workspace)
    assert dataset.names == ("cat",)
    assert [len(dataset.boxes(item)[0]) for item in dataset.items()] == [1, 0]


def test_no_objects_and_no_training_pictures_are_clear_errors(workspace: Workspace, tmp_path: Path) -> None:
    _put(tmp_path / "set/train", "a", _xml())
    with pytest.raises(DataError, match="no labels"):
        open_dataset(tmp_path / "set", workspace)
    _put(tmp_path / "other/valid", "a", _xml(_object()))
    _put(tmp_path / "other/test", "b", _xml(_object()))
    with pytest.raises(DataError, match="no training pictures"):
        open_dataset(tmp_path / "other", workspace)


_piece = st.sampled_from(
    [
        _object(),
        "<object>",
        "</object>",
        "<name>",
        "</name>",
        "<bndbox><xmin>",
        "</xmin>",
        "&amp;",
        "&x;",
        "<!--",
        "<?",
        "9",
    ]
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(st.binary(max_size=100), st.lists(_piece, max_size=8).map(lambda parts: _xml(*parts).encode())))
def test_any_bytes_are_survived(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(data)
    try:
        found = read_voc(path)
    except BadXmlError:
        return
    assert all(isinstance(voc_object.name, str) for voc_object in found.objects)
