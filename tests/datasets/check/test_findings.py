"""Rules about classes, labels and the folder, each at its limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest

from lensmith.core.workspace import Workspace
from lensmith.datasets.check.classes import class_findings
from lensmith.datasets.check.finding import CheckReport, Twin
from lensmith.datasets.check.kinds import KINDS
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.check.splits import split_findings
from lensmith.datasets.fix import fix_dataset
from lensmith.datasets.model import Dataset, Item, LabelFault, RemarkKind
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset

COUNTS = {"train": 24, "valid": 4, "test": 4}


def _classes(names: tuple[str, ...], train: list[int], valid: list[int]) -> dict[str, str]:
    dataset = Dataset("x", Path("x"), "detect", names, "yolo", lambda _: iter(()))
    objects = np.array([train, valid, [0] * len(names)])
    found = class_findings(dataset, objects, {"train": 5, "valid": 5, "test": 0}, lambda _: 2)
    return {finding.kind: finding.severity for finding in found}


@pytest.mark.parametrize(
    ("train", "valid", "expected"),
    [
        ([10, 10], [1, 1], {}),
        ([10, 9], [1, 1], {"class-few": "warning"}),
        ([199, 9], [1, 1], {"class-few": "warning"}),
        ([199, 10], [1, 0], {"class-absent": "warning"}),
        ([200, 10], [1, 0], {"class-absent": "warning", "class-imbalance": "warning"}),
        ([10, 0], [1, 1], {"class-absent": "problem"}),
        ([10, 0], [1, 0], {"class-unused": "warning"}),
    ],
)
def test_few_absent_unbalanced(train: list[int], valid: list[int], expected: dict[str, str]) -> None:
    assert _classes(("cat", "dog"), train, valid) == expected


@pytest.mark.parametrize(("lions", "helps"), [(1, False), (2, False), (3, True)])
def test_a_repair_of_a_missing_class_is_promised_only_where_one_is_possible(
    workspace: Workspace, lions: int, helps: bool
) -> None:
    root = make_folder_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    make_folder_dataset(root, {"train": lions}, names=("lion",))
    for copy in range(3):  # they show nothing else
        (root / f"train/lion/again-{copy}.png").write_bytes((root / "train/lion/train-0-000.png").read_bytes())
    report = _check(root, workspace)
    absent = [finding for finding in report.findings if finding.kind == "class-absent"]
    assert len(absent) == 2
    assert all(bool(finding.fix) is helps and "lion" in finding.what for finding in absent)
    assert all(("more photographs" in finding.what) is not helps for finding in absent)
    done = fix_dataset(root, workspace)
    assert ("class-absent" in done.repaired) is helps


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (("Dog", "dog"), True),
        (("traffic light", "traffic_light"), True),
        (("traffic-light", "Trafficlight"), True),
        (("cat", "car"), False),
        (("C", "C++"), False),
        (("+1", "-1"), False),
        (("1", "10"), False),
    ],
)
def test_names_that_are_written_alike(names: tuple[str, ...], alike: bool) -> None:
    assert ("class-names-alike" in _classes(names, [20, 20], [2, 2])) is alike


def _write(root: Path, name: str, text: str) -> None:
    (root / f"train/labels/{name}.txt").write_text(text)


def _corners_everywhere(root: Path) -> None:
    for path in (root / "train/labels").iterdir():
        path.write_text("0 0.3 0.3 0.9 0.9\n")


def _unread(root: Path) -> None:
    (root / "train/images/IMG_1.HEIC").write_bytes(b"x")


def _two_of_one_name(root: Path) -> None:
    make_picture(root / "train/images/train-001.jpg", seed=77)


def _wrong_names(root: Path) -> None:
    labels = root / "train/labels"
    (labels / "train-004.txt").rename(labels / "train-004.png.txt")


@pytest.mark.parametrize(
    ("kind", "plant", "files"),
    [
        ("label-conflict", lambda root: _write(root, "train-001", "0 .5 .5 .2 .2\n1 .5 .5 .2 .2"), ["train-001.txt"]),
        ("label-covers-all", lambda root: _write(root, "train-001", "0 .5 .5 .99 .99\n"), ["train-001.txt"]),
        ("label-polygons-mixed", lambda root: _write(root, "train-001", "0 .1 .1 .4 .1 .4 .4\n"), ["train-001.txt"]),
        ("label-clipped", lambda root: _write(root, "train-001", "0 .9 .5 .4 .2\n"), ["train-001.txt"]),
        ("label-misread", _corners_everywhere, None),
        ("label-without-picture", _wrong_names, ["train-004.png.txt"]),
        ("label-shared", _two_of_one_name, ["train-001.jpg", "train-001.png"]),
        ("picture-not-read", _unread, ["IMG_1.HEIC"]),
        ("cache-file", lambda root: (root / "train/labels.cache").write_bytes(b"x"), ["labels.cache"]),
        ("yaml-download", lambda root: (root / "data.yaml").write_text("names: [a, b]\ndownload: x\n"), ["data.yaml"]),
        ("picture-tiny", lambda root: make_picture(root / "train/images/train-001.png", 64, 9), ["train-001.png"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_one_fault_gives_one_finding(
    workspace: Workspace, kind: str, plant: Callable[[Path], object], files: list[str] | None
) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", COUNTS, width=96, height=72)
    (root / "data.yaml").write_text("names: [a, b]\n")
    plant(root)
    report = _check(root, workspace)
    found = {finding.kind: [path.name for path in finding.files] for finding in report.findings}
    assert kind in found
    if files is not None:
        assert sorted(found[kind]) == sorted(files)
    allowed = {"picture-without-label"} if kind == "label-without-picture" else {"class-absent", "class-few"}
    assert set(found) - {kind} <= allowed


def _check(root: Path, workspace: Workspace) -> CheckReport:
    return check_dataset(open_dataset(root, workspace))


def test_close_ups_may_fill_the_picture(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", COUNTS, width=96, height=72)
    (root / "data.yaml").write_text("names: [a, b]\n")
    for number, path in enumerate(sorted((root / "train/labels").iterdir())):
        if number >= 12:
            path.write_text(f"{number % 2} 0.5 0.5 1 1\n")
    assert _check(root, workspace).findings == ()


def test_one_picture_in_two_classes_contradicts_itself(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", COUNTS)
    picture = root / "train/cat/train-0-005.png"
    (root / "train/dog/again.png").write_bytes(picture.read_bytes())
    (finding,) = _check(root, workspace).findings
    assert (finding.kind, finding.severity, finding.count) == ("label-conflict", "problem", 1)
    assert [path.name for path in finding.files] == ["train-0-005.png", "again.png"]


def test_a_picture_that_leaks_in_two_ways_is_told_of_once() -> None:
    items = {name: Item(Path(name), "test" if name == "t" else "train") for name in "abct"}
    twins = [
        Twin(items["a"], items["t"], "near", 0.9),
        Twin(items["b"], items["t"], "sibling", 1.0),
        Twin(items["a"], items["c"], "near", 0.9),
    ]
    dataset = Dataset("x", Path("x"), "detect", ("cat",), "yolo", lambda _: iter(()))
    found = split_findings(dataset, {"train": 3, "valid": 1, "test": 1}, twins)
    assert [(finding.kind, finding.severity, finding.count, finding.files) for finding in found] == [
        ("sibling-across", "problem", 1, (Path("b"), Path("t"))),
        ("near-within", "note", 1, (Path("a"), Path("c"))),
    ]


def test_pictures_of_zero_bytes_are_no_copies_of_each_other(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", COUNTS)
    for split in COUNTS:
        (root / split / "cat" / f"{split}-0-001.png").write_bytes(b"")
    (finding,) = _check(root, workspace).findings
    assert (finding.kind, finding.count) == ("picture-empty", 3)


def test_a_damaged_photograph_is_found_though_it_ends_well(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", COUNTS)
    picture = root / "train/cat/noise.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    data = bytearray(cv2.imencode(".jpg", noise)[1].tobytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    picture.write_bytes(data)
    (finding,) = _check(root, workspace).findings
    assert (finding.kind, finding.files) == ("picture-truncated", (picture,))


def test_whatever_a_reader_says_is_a_kind() -> None:
    assert set(get_args(RemarkKind)) <= set(KINDS)
    assert {f"label-{fault}" for fault in get_args(LabelFault)} <= set(KINDS)


def test_every_kind_says_why() -> None:
    assert all(kind.title and kind.why.endswith(".") and not kind.fix.endswith(".") for kind in KINDS.values())
