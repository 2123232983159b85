"""Datasets as people and Roboflow leave them on disk."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import DataError, NotFoundError
from lensmith.core.workspace import Workspace
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.model import SPLITS
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset


def _counts(dataset) -> list[int]:
    return [dataset.count(split) for split in SPLITS]


def _yaml(root: Path, text: str) -> None:
    (root / "data.yaml").write_text(text, encoding="utf-8")


def test_yolo_by_name_by_path_and_by_its_yaml(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "été 1")
    for given in ("été 1", root, root / "data.yaml"):
        dataset = open_dataset(given, workspace)
        assert (dataset.name, dataset.task, dataset.format) == ("été 1", "detect", "yolo")
        assert dataset.names == ("cat", "dog")
        assert _counts(dataset) == [4, 2, 2]
    item = next(dataset.items("valid"))
    assert item.image == root / "valid/images/valid-000.png"
    boxes, problems = dataset.boxes(item)
    assert len(boxes) == 1
    assert problems == []


def test_folder_per_class(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", names=("Zoë", "cat x"))
    (root / "valid").rename(root / "validation")
    dataset = open_dataset("pets", workspace)
    assert (dataset.task, dataset.format, dataset.names) == ("classify", "folder", ("Zoë", "cat x"))
    assert _counts(dataset) == [8, 4, 4]
    assert {item.class_id for item in dataset.items("train") if item.image.parent.name == "cat x"} == {1}


def test_folders_without_splits_are_all_training(workspace: Workspace, tmp_path: Path) -> None:
    make_picture(tmp_path / "pets/cat/a.png")
    make_picture(tmp_path / "pets/dog/b.png")
    dataset = open_dataset(tmp_path / "pets", workspace)
    assert _counts(dataset) == [2, 0, 0]
    assert "no splits" in dataset.remarks[0].what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("train: ../train/images\nval: ../valid/images\ntest: ../test/images\n", "Roboflow's"),
        ("train: D:/x/y/train/images\nval: D:\\x\\valid\\images\ntest: /nowhere/test/images\n", "absolute ones"),
        ("train: train/images\nval: valid/images\ntest: test/images\n", "relative ones"),
        ("path: /elsewhere\ntrain: train/images\nval: [valid/images]\ntest: test/images\n", "with path: and a list"),
        ("nc: 2\n", "none at all"),
    ],
)
def test_split_paths_in_all_the_ways_they_are_written(workspace: Workspace, text: str, what: str) -> None:
    root = make_yolo_dataset(workspace.datasets / "set")
    _yaml(root, text + "names: {0: cat, 1: dog}\n")
    assert _counts(open_dataset("set", workspace)) == [4, 2, 2], what


def test_images_above_the_splits(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set")
    for kind in ("images", "labels"):
        for split in ("train", "valid", "test"):
            (root / kind).mkdir(exist_ok=True)
            (root / split / kind).rename(root / kind / ("val" if split == "valid" else split))
    _yaml(root, "names: [cat, dog]\n")
    dataset = open_dataset("set", workspace)
    assert _counts(dataset) == [4, 2, 2]
    assert all(len(dataset.boxes(item)[0]) == 1 for item in dataset.items())


def test_names_stay_as_they_are_written(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set")
    _yaml(root, "names: [no, 01]\n")
    assert open_dataset("set", workspace).names == ("no", "01")


def test_a_folder_named_twice_counts_once(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 3, "test": 2})
    _yaml(root, "train: train/images\nval: test/images\ntest: test/images\nnames: [cat, dog]\n")
    dataset = open_dataset("set", workspace)
    assert _counts(dataset) == [3, 0, 2]
    assert "cannot also judge" in " ".join(map(str, dataset.remarks))


def test_paths_that_leave_are_looked_for_inside_or_refused(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = make_yolo_dataset(tmp_path / "elsewhere")
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 1})
    _yaml(root, f"train: {elsewhere / 'train/images'}\nval: {elsewhere / 'valid/images'}\nnames: [cat, dog]\n")
    with pytest.raises(DataError, match="leads out of the dataset's folder"):
        open_dataset("set", workspace)
    _yaml(root, f"train: {elsewhere / 'train/images'}\nnames: [cat, dog]\n")
    dataset = open_dataset("set", workspace)
    assert [item.image.parent for item in dataset.items()] == [root / "train/images"]
    assert "is used instead" in dataset.remarks[0].what


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_that_leave_are_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(workspace.datasets / "set")
    secret = make_picture(tmp_path / "secret.png")
    (root / "train/images/link.png").symlink_to(secret)
    label = root / "train/labels/train-000.txt"
    label.unlink()
    (tmp_path / "other.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    label.symlink_to(tmp_path / "other.txt")
    dataset = open_dataset("set", workspace)
    assert dataset.count("train") == 4
    assert len(dataset.boxes(next(dataset.items("train")))[0]) == 0
    assert "1 links lead out" in " ".join(map(str, dataset.remarks))


def _break(root: Path, how: str) -> None:
    match how:
        case "no pictures":
            for path in root.rglob("*.png"):
                path.unlink()
        case "no labels":
            for path in root.rglob("labels"):
                shutil.rmtree(path)
        case "only empty labels":
            for path in root.rglob("*.txt"):
                path.write_text("")
        case "empty train":
            for path in root.glob("train/images/*"):
                path.unlink()
        case "no names":
            _yaml(root, "train: train/images\nnc: 2\n")
        case "no yaml":
            (root / "data.yaml").unlink()
        case "same name":
            _yaml(root, "names: [cat, cat]\n")
        case "gap in ids":
            _yaml(root, "names: {0: cat, 2: dog}\n")
        case "broken yaml":
            _yaml(root, "names: [cat\ntrain: x")
        case "python tag":
            _yaml(root, "names: !!python/object/apply:os.system ['exit 1']\n")
        case "deep yaml":
            _yaml(root, "names: " + "[" * 100_000)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no pictures", "no pictures"),
        ("no labels", "no labels"),
        ("only empty labels", "no labels"),
        ("empty train", "no training pictures"),
        ("no names", "class names are missing"),
        ("no yaml", "class names are missing"),
        ("same name", "stands twice"),
        ("gap in ids", "without gaps"),
        ("broken yaml", "cannot be read"),
        ("deep yaml", "cannot be read|nested too deeply"),
    ],
)
def test_what_cannot_be_trained_on_is_one_clear_error(workspace: Workspace, how: str, message: str) -> None:
    _break(make_yolo_dataset(workspace.datasets / "set"), how)
    with pytest.raises(DataError, match=message):
        open_dataset("set", workspace)


def test_an_empty_or_missing_valid_split_is_no_error(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set")
    for path in root.glob("valid/*/*"):
        path.unlink()
    assert _counts(open_dataset("set", workspace)) == [4, 0, 2]
    shutil.rmtree(root / "valid")
    assert _counts(open_dataset("set", workspace)) == [4, 0, 2]


def test_what_is_measured_needs_no_training_pictures(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"test": 3})
    _yaml(root, "names: [cat, dog]\ntrain: ../train/images\ntest: ../test/images\n")
    assert _counts(open_dataset("set", workspace, to_measure=True)) == [0, 0, 3]
    with pytest.raises(DataError, match=r"no training pictures.*'train' split \(../train/images is missing\)"):
        open_dataset("set", workspace)


def test_pictures_in_no_class_and_other_layouts(workspace: Workspace, tmp_path: Path) -> None:
    make_picture(tmp_path / "loose/a.png")
    with pytest.raises(DataError, match="no class folder"):
        open_dataset(tmp_path / "loose", workspace)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        open_dataset(tmp_path / "nothing", workspace)
    make_picture(tmp_path / "coco/train/a.png")
    (tmp_path / "coco/train/_annotations.coco.json").write_text("{}")
    with pytest.raises(DataError, match="COCO"):
        open_dataset(tmp_path / "coco", workspace)
    with pytest.raises(NotFoundError):
        open_dataset("not-there", workspace)


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_nothing_in_a_dataset_runs(workspace: Workspace, tmp_path: Path) -> None:
    """A pickled cache, a `download:` line, a YAML tag: an audit hook sees every file opened and every process."""
    ran = tmp_path / "ran"
    elsewhere = make_yolo_dataset(tmp_path / "elsewhere")
    root = make_yolo_dataset(workspace.datasets / "set")
    for name in ("train/labels.cache", "train/images.cache", "labels.cache"):
        (root / name).write_bytes(pickle.dumps(_Bomb(ran)))
    _yaml(
        root,
        f"train: {elsewhere / 'train/images'}\nval: ../missing\nnames: [cat, dog]\n"
        f"download: touch '{ran}'\nextra: !!python/object/apply:os.system [\"touch '{ran}'\"]\n",
    )
    code = """
import sys
opened = []
from pathlib import Path
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.read import open_dataset
def hook(event, arguments):
    if event.startswith(("open", "subprocess", "os.system", "os.exec", "os.posix_spawn", "pickle", "socket")):
        opened.append(f"{event} {arguments[0]}")
sys.addaudithook(hook)
dataset = open_dataset(sys.argv[1], Workspace(Path.cwd()))
check_dataset(dataset); fingerprint(dataset)
print(dataset.count("train"))
print("\\n".join(opened))
"""
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    count, *events = done.stdout.splitlines()
    assert count == "4"
    assert not ran.exists()
    assert not [line for line in events if not line.startswith("open ")]
    assert not [line for line in events if str(elsewhere) in line or line.endswith(".cache")]
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_the_fingerprint_is_of_the_content_alone(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(workspace.datasets / "set")
    first = fingerprint(open_dataset("set", workspace))
    moved = shutil.copytree(root, tmp_path / "moved elsewhere")
    (moved / "train/images/train-000.png").rename(moved / "train/images/other.png")
    (moved / "train/labels/train-000.txt").rename(moved / "train/labels/other.txt")
    assert fingerprint(open_dataset(moved, workspace)) == first
    changes = {
        "label": lambda copy: (copy / "train/labels/train-001.txt").write_text("0 0.5 0.5 0.5 0.5\n"),
        "names": lambda copy: _yaml(copy, "names: [dog, cat]\n"),
        "split": lambda copy: (copy / "train/images/train-001.png").rename(copy / "test/images/train-001.png"),
        "picture": lambda copy: make_picture(copy / "train/images/train-001.png", seed=99),
    }
    for what, change in changes.items():
        copy = shutil.copytree(root, tmp_path / what)
        change(copy)
        assert fingerprint(open_dataset(copy, workspace)) != first, what


@pytest.mark.parametrize(
    ("name", "counts", "classes", "boxes"),
    [
        ("detect/rubik-yolo", [208, 20, 10], 1, 238),
        ("detect/waste-yolo", [145, 0, 62], 3, 1199),
        ("detect/chess-yolo", [202, 58, 29], 13, 2869),
        ("classify/catsdogs", [1000, 399, 0], 2, 0),
        ("classify/flowers", [1275, 364, 182], 2, 0),
    ],
)
def test_real_datasets(
    test_data: Path, workspace: Workspace, name: str, counts: list, classes: int, boxes: int
) -> None:
    dataset = open_dataset(test_data / name, workspace)
    assert _counts(dataset) == counts
    assert len(dataset.names) == classes
    assert sum(len(dataset.boxes(item)[0]) for item in dataset.items()) == boxes
    ids = np.array([item.class_id for item in dataset.items() if item.class_id is not None])
    assert ((ids >= 0) & (ids < classes)).all()
