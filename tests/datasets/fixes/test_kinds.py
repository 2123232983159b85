"""Every kind of fault at once: what is wrong is gone, what was right is there, and the old dataset is as it was."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from lensmith.core.images import inspect_image, read_image
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.kinds import KINDS
from lensmith.datasets.fix import FixReport, fix_dataset
from lensmith.datasets.fixes.kinds import REPAIRED
from lensmith.datasets.read import open_dataset
from tests.datasets.fixes.planted import PLANTED, kinds_found, picture
from tests.datasets.test_split import snapshot
from tests.helpers import make_yolo_dataset


def test_what_the_check_promises_is_what_is_repaired() -> None:
    assert {kind for kind, known in KINDS.items() if known.fix} == REPAIRED


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[int, bytes]], FixReport]:
    """A dataset with every fault of `PLANTED`, what it was before the repair, and the report; kinds are found once."""
    workspace = Workspace(tmp_path_factory.mktemp("planted"))
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 40, "valid": 10, "test": 10})
    for plant in PLANTED.values():
        plant(root)
    before = snapshot(root)
    assert set(PLANTED) <= set(kinds_found(workspace, "set")), "every planted fault must be found first"
    return workspace.root, before, fix_dataset("set", workspace)


def test_every_planted_kind_is_repaired_and_logged(planted: tuple[Path, dict, FixReport]) -> None:
    root, before, report = planted
    assert set(PLANTED) <= set(report.repaired)
    assert not set(kinds_found(Workspace(root), "set-fixed")) & REPAIRED
    assert snapshot(root / "datasets" / "set") == before
    lines = [json.loads(line) for line in (root / "datasets/set-fixed/changes.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == [change.kind for change in report.changes]
    assert all(set(line) == {"file", "kind", "what", "before", "after"} for line in lines)
    nan = next(line for line in lines if line["kind"] == "label-nan")
    assert nan["file"] == "train/labels/train-012.txt"
    assert nan["before"] == "0 nan 0.5 0.1 0.1"
    assert report.leaked_before == {"valid": 2, "test": 1}
    assert report.leaked_after == {"valid": 0, "test": 0}


def test_what_was_right_is_still_there(planted: tuple[Path, dict, FixReport]) -> None:
    root, _, report = planted
    old, new = open_dataset("set", Workspace(root)), open_dataset("set-fixed", Workspace(root))
    touched = {change.file for change in report.changes}
    boxes = {item.image.name: new.boxes(item)[0].cxcywh.tolist() for item in new.items()}
    untouched = 0
    for item in old.items():
        paths = {path.relative_to(old.root).as_posix() for path in (item.image, item.label) if path is not None}
        if not paths & touched:
            untouched += 1
            assert boxes[item.image.name] == old.boxes(item)[0].cxcywh.tolist()
            written = old.root.with_name("set-fixed") / item.image.relative_to(old.root)
            assert written.read_bytes() == item.image.read_bytes()
    assert untouched > 20
    assert (
        boxes["train-021.png"][:1]
        == old.boxes(next(i for i in old.items() if i.image == picture(old.root, 20)))[0].cxcywh.tolist()
    ), "of two copies the one with more boxes is kept"
    assert len(boxes["train-021.png"]) == 2
    assert "train-020.png" not in boxes


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("train-004.png", "train-004.jpg", "JPEG"),
        ("train-005.jpg", "train-005.jpg", "JPEG"),
        ("train-006.png", "train-006.png", "PNG"),
        ("train-007.png", "train-007.png", "PNG"),
        ("train-008.webp", "train-008.png", "PNG"),
        ("train-009.jpg", "train-009.jpg", "JPEG"),
    ],
)
def test_odd_pictures_are_written_as_training_sees_them(
    planted: tuple[Path, dict, FixReport], old: str, new: str, kind: str
) -> None:
    root = planted[0] / "datasets"
    source = root / "set" / "train" / "images" / old
    written = next((root / "set-fixed").rglob(new))
    info = inspect_image(written)
    assert (info.format, info.mode, info.orientation) == (kind, "RGB", 1)
    assert inspect_image(written).plain
    difference = cv2.absdiff(read_image(source), read_image(written))
    assert difference.mean() < 2
    if old == "train-004.png":
        assert written.read_bytes() == source.read_bytes(), "a wrong name costs no quality"
