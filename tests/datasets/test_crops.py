"""Crops: the right pixels, in the right class folder, in the split of their picture."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from lensmith.core.errors import DataError, UsageError
from lensmith.core.images import inspect_image, read_image
from lensmith.core.workspace import Workspace
from lensmith.datasets.crops import CropsConfig, cut_crops
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.read import open_dataset
from lensmith.datasets.record import DatasetOrigin
from tests.datasets.test_split import snapshot
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset, run_cv


def one_picture(root: Path, rows: str, names: list[str], suffix: str = ".png") -> Path:
    """A dataset of one training picture, 100 x 200, whose pixels say where they are."""
    path = make_picture(root / "train" / "images" / f"a{suffix}", 100, 200)
    y, x = np.mgrid[0:200, 0:100]
    cv2.imwrite(str(path), np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8))
    (root / "train" / "labels").mkdir(parents=True)
    (root / "train" / "labels" / "a.txt").write_text(rows)
    (root / "data.yaml").write_text(yaml.safe_dump({"train": "train/images", "names": names}))
    return path


@pytest.mark.parametrize(
    ("rows", "margin", "corners"),
    [
        ("0 0.5 0.5 0.2 0.2", 0.0, (40, 80, 60, 120)),
        ("0 0.5 0.5 0.2 0.2", 0.1, (36, 76, 64, 124)),  # a tenth of the longer side, on all sides
        ("0 0.1 0.05 0.2 0.1", 0.5, (0, 0, 30, 30)),  # as far as the picture goes
        ("0 0.5 0.5 1 1", 0.2, (0, 0, 100, 200)),
    ],
)
def test_the_right_pixels(workspace: Workspace, rows: str, margin: float, corners: tuple[int, ...]) -> None:
    one_picture(workspace.datasets / "set", rows, ["cat"])
    folder = cut_crops("set", workspace, CropsConfig(margin=margin, min_size=10)).folder
    crop = read_image(folder / "train" / "cat" / "a-1.png")
    x1, y1, x2, y2 = corners
    assert crop.shape == (y2 - y1, x2 - x1, 3)
    assert tuple(crop[0, 0, :2]) == (x1, y1)
    assert tuple(crop[-1, -1, :2]) == (x2 - 1, y2 - 1)


@pytest.mark.parametrize("x", [0.08, 0.12, 0.125, 0.24, 0.92])
def test_a_box_of_one_pixel_gives_one_pixel_at_least(workspace: Workspace, x: float) -> None:
    one_picture(workspace.datasets / "set", f"0 {x} 0.5 0.01 0.2\n0 0.5 0.5 0.2 0.2", ["cat"])
    report = cut_crops("set", workspace, CropsConfig(margin=0, min_size=1))
    crops = [read_image(path).shape[:2] for path in sorted((report.folder / "train" / "cat").iterdir())]
    assert len(crops) + report.too_small == 2
    assert all(height == 40 and width >= 1 for height, width in crops)


def test_a_picture_turned_by_its_exif_note_is_cut_upright(workspace: Workspace) -> None:
    path = one_picture(workspace.datasets / "set", "0 0.25 0.5 0.2 0.2", ["cat"], ".jpg")
    upright = Image.open(path).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter, so it is stored turned left
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    crop = read_image(cut_crops("set", workspace).folder / "train" / "cat" / "a-1.jpg")
    assert crop.shape == (48, 28, 3)
    assert np.abs(crop[0, 0, :2].astype(int) - (11, 76)).max() < 12
    assert inspect_image(next((workspace.datasets / "set-crops").rglob("*.jpg"))).plain


def test_splits_classes_and_names(workspace: Workspace) -> None:
    names = ["cat", "a/b", "a b", "never"]
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 6, "valid": 3, "test": 3}, names[:3], 200, 150)
    text = (root / "data.yaml").read_text().replace("nc: 3", "nc: 4")
    (root / "data.yaml").write_text(text + "- never\n")
    first = root / "train" / "labels" / "train-000.txt"
    first.write_text(first.read_text() + "1 0.5 0.5 0.5 0.5\n2 0.5 0.5 0.01 0.01\n")
    before = snapshot(root)
    parent = open_dataset("set", workspace)
    report = cut_crops("set", workspace)
    made = open_dataset("set-crops", workspace)
    assert snapshot(root) == before
    assert report.too_small == 1
    assert report.crops["a/b"] == {"train": 3, "valid": 1, "test": 1}
    assert report.crops["never"] == {"train": 0, "valid": 0, "test": 0}
    assert made.task == "classify"
    assert len(made.names) == 3
    assert made.count() == 13
    assert {item.split for item in made.items() if item.image.name.startswith("valid-")} == {"valid"}
    assert {path.name for path in (report.folder / "train").rglob("train-000-*")} == {
        "train-000-1.png", "train-000-2.png",
    }  # fmt: skip
    assert report.record.fingerprint == fingerprint(made)
    assert report.record.origin == DatasetOrigin(
        parent="set", parent_fingerprint=fingerprint(parent), made_by="crops", options={"margin": 0.1, "min_size": 16}
    )


def test_nothing_to_cut(workspace: Workspace) -> None:
    one_picture(workspace.datasets / "small", "0 0.5 0.5 0.05 0.05", ["cat"])
    with pytest.raises(DataError, match="smaller than 16 pixels") as caught:
        cut_crops("small", workspace)
    assert "--min-size" in str(caught.value)
    assert not (workspace.datasets / "small-crops").exists()
    make_folder_dataset(workspace.datasets / "folders")
    with pytest.raises(UsageError, match="no boxes"):
        cut_crops("folders", workspace)
    with pytest.raises(UsageError, match="margin"):
        cut_crops("small", workspace, CropsConfig(margin=-1))
    with pytest.raises(UsageError, match="pixel"):
        cut_crops("small", workspace, CropsConfig(min_size=0))


def test_pictures_that_cannot_be_read_are_named(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 5}, width=200, height=150)
    (root / "train" / "images" / "train-002.png").write_bytes(b"no picture")
    report = cut_crops("set", workspace)
    assert list(report.unreadable) == ["train/images/train-002.png"]
    assert open_dataset("set-crops", workspace).count() == 4


def test_a_name_that_is_taken_is_refused_before_anything_is_cut(workspace: Workspace) -> None:
    one_picture(workspace.datasets / "set", "0 0.5 0.5 0.5 0.5", ["cat"])
    cut_crops("set", workspace)
    with pytest.raises(UsageError, match="already"):
        cut_crops("set", workspace)
    assert cut_crops("set", workspace, CropsConfig(name="other")).folder.name == "other"


DYING = """
import os, sys
from pathlib import Path
from lensmith.core.workspace import Workspace
from lensmith.datasets import crops
real, seen = crops.encode, []
def encode(*given):
    seen.append(given)
    if len(seen) == 5:
        os.kill(os.getpid(), int(sys.argv[2]))
    return real(*given)
crops.encode = encode
crops.cut_crops("set", Workspace(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_leaves_nothing_half_made(workspace: Workspace, how: signal.Signals) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 10}, width=200, height=150)
    command = [sys.executable, "-c", DYING, str(workspace.root), str(int(how))]
    assert subprocess.run(command, capture_output=True, check=False, env=os.environ).returncode != 0
    assert [path.name for path in workspace.datasets.iterdir() if not path.name.startswith(".")] == ["set"]
    assert cut_crops("set", workspace).record.counts["train"] == 10
    assert {path.name for path in workspace.datasets.iterdir()} == {".locks", "set", "set-crops"}


def test_the_command(workspace: Workspace, tmp_path: Path) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 4, "valid": 2}, width=200, height=150)
    done = run_cv("crops", "set", "--margin", "0.2", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["crops"] == {"cat": {"train": 2, "valid": 1, "test": 0}, "dog": {"train": 2, "valid": 1, "test": 0}}
    spoken = run_cv("crops", "set", "--name", "again", cwd=tmp_path)
    assert "Next: cv check-dataset again" in spoken.stderr  # crops of pictures that differ may be alike
    assert told["next"] == "cv check-dataset set-crops"
    assert spoken.stdout == ""
    assert run_cv("crops", "set", cwd=tmp_path).returncode == 2
