"""Labels that were made for something else than upright boxes: outlines, leaning boxes, keypoints, masks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.finding import Finding
from lensmith.datasets.check.gate import refuse_problems
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.fix import FixConfig, fix_dataset
from lensmith.datasets.formats.labels import read_labels
from lensmith.datasets.read import open_dataset
from tests.helpers import make_picture, make_yolo_dataset

_WIDTH, _HEIGHT = 64, 48
_KINDS = {"label-polygons", "label-polygons-mixed", "label-oriented", "labels-keypoints"}


def leaning(degrees: float, x: float = 32, y: float = 24) -> str:
    """A label row of a rectangle of 20 x 8 pixels that leans, as YOLO-OBB writes it."""
    turn = np.deg2rad(degrees)
    corners = np.array([[-10, -4], [10, -4], [10, 4], [-10, 4]])
    corners = corners @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]] + [x, y]
    return f"0 {' '.join(f'{value:.6f}' for value in (corners / [_WIDTH, _HEIGHT]).ravel())}\n"


OUTLINE = "0 0.2 0.2 0.6 0.3 0.7 0.5 0.4 0.8 0.1 0.6\n"
QUADRANGLE = "0 0.2 0.2 0.6 0.3 0.7 0.7 0.1 0.6\n"
UPRIGHT = "0 0.2 0.2 0.6 0.2 0.6 0.5 0.2 0.5\n"
BOX = "0 0.5 0.5 0.3 0.3\n"


def labelled(workspace: Workspace, *rows: str) -> Path:
    """A dataset whose label files all hold these rows."""
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 6, "valid": 2})
    for label in root.glob("*/labels/*.txt"):
        label.write_text("".join(rows))
    return root


def found(root: Path, workspace: Workspace) -> dict[str, Finding]:
    report = check_dataset(open_dataset(root, workspace))
    return {finding.kind: finding for finding in report.findings if finding.kind in _KINDS}


@pytest.mark.parametrize("degrees", [5, 30, 45, 89 - 45, 100, -20])
def test_a_leaning_rectangle_is_known_also_in_a_picture_that_is_not_square(degrees: float, tmp_path: Path) -> None:
    path = tmp_path / "label.txt"
    path.write_text(leaning(degrees))
    boxes, problems = read_labels(path, 1)
    assert (boxes.polygons, boxes.leaning, problems) == (1, 1, [])


@pytest.mark.parametrize("row", [leaning(0), leaning(90), UPRIGHT, OUTLINE, QUADRANGLE, BOX])
def test_an_outline_is_no_leaning_rectangle(row: str, tmp_path: Path) -> None:
    path = tmp_path / "label.txt"
    path.write_text(row)
    assert read_labels(path, 1)[0].leaning == 0


@pytest.mark.parametrize(
    ("rows", "kind", "severity", "says"),
    [
        ((OUTLINE, UPRIGHT), "label-polygons", "note", "All 16 objects are outlined by polygons"),
        ((QUADRANGLE,), "label-polygons", "note", "All 8 objects"),
        ((OUTLINE, BOX), "label-polygons-mixed", "warning", "8 of 16 objects are outlined by polygons"),
        (
            (leaning(30), leaning(0)),
            "label-oriented",
            "problem",
            "8 of 16 objects are outlined by rectangles that lean",
        ),
        ((leaning(30), BOX), "label-oriented", "problem", "8 of 16"),
    ],
)
def test_what_the_check_says(workspace: Workspace, rows: tuple[str, ...], kind: str, severity: str, says: str) -> None:
    (finding,) = found(labelled(workspace, *rows), workspace).values()
    assert (finding.kind, finding.severity) == (kind, severity)
    assert finding.what.startswith(says)


def test_boxes_alone_need_no_word(workspace: Workspace) -> None:
    assert found(labelled(workspace, BOX), workspace) == {}


def with_points(workspace: Workspace) -> Path:
    root = labelled(workspace, "0 0.5 0.5 0.4 0.4 0.4 0.4 2 0.6 0.6 1\n")
    data = yaml.safe_load((root / "data.yaml").read_text())
    (root / "data.yaml").write_text(yaml.safe_dump({**data, "kpt_shape": [2, 3]}))
    return root


def with_points_in_coco(workspace: Workspace) -> Path:
    root = workspace.datasets / "set"
    for split in ("train", "valid"):
        images, annotations = [], []
        for number in range(4):
            make_picture(root / split / f"{split}-{number}.jpg", seed=number + 10 * (split == "valid"))
            images.append({"id": number, "file_name": f"{split}-{number}.jpg", "width": 64, "height": 48})
            annotations.append({
                "id": number, "image_id": number, "category_id": 1, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0,
                "keypoints": [6, 6, 2, 8, 8, 2], "num_keypoints": 2,
            })  # fmt: skip
        categories = [{"id": 1, "name": "person", "keypoints": ["head", "hand"], "skeleton": [[1, 2]]}]
        text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
        (root / split / "_annotations.coco.json").write_text(text)
    return root


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda workspace: labelled(workspace, leaning(30)), "label-oriented"),
        (with_points, "labels-keypoints"),
        (with_points_in_coco, "labels-keypoints"),
    ],
)
def test_no_training_until_a_person_insists_or_has_plain_boxes_written(
    workspace: Workspace, make: Callable[[Workspace], Path], kind: str
) -> None:
    root = make(workspace)
    with pytest.raises(DataError, match=f"\\[{kind}\\]") as refused:
        refuse_problems(open_dataset(root, workspace), force=False)
    assert "cv fix-dataset set" in str(refused.value.next_step)
    assert "--force" in str(refused.value.next_step)
    refuse_problems(open_dataset(root, workspace), force=True)
    fixed = fix_dataset("set", workspace, FixConfig(only=(kind,)))
    plain = open_dataset(fixed.folder, workspace)
    assert kind not in {finding.kind for finding in refuse_problems(plain, force=False).findings}
    before = {item.image.name: root_boxes for item in open_dataset(root, workspace).items()
              if (root_boxes := open_dataset(root, workspace).boxes(item)[0])}  # fmt: skip
    for item in plain.items():
        boxes, _ = plain.boxes(item)
        np.testing.assert_allclose(boxes.cxcywh, before[item.image.name].cxcywh, atol=1e-5)


def test_masks_are_refused_with_what_to_do(workspace: Workspace) -> None:
    root = workspace.datasets / "set"
    for number in range(3):
        make_picture(root / "train" / f"{number}.jpg", seed=number)
        assert cv2.imwrite(str(root / "train" / f"{number}_mask.png"), np.ones((48, 64), np.uint8))
    (root / "train" / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, cat\n")
    with pytest.raises(DataError, match="an export of masks"):
        open_dataset(root, workspace)
