"""New splits: alike pictures stay together, the old dataset stays as it is, folds appear together or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lensmith.core.errors import DataError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.read import open_dataset
from lensmith.datasets.record import DatasetOrigin
from lensmith.datasets.split import SplitConfig, parse_ratios, split_dataset
from tests.helpers import cv_path, make_folder_dataset, make_yolo_dataset, run_cv


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: when it was changed, and its bytes."""
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("text", "ratios"),
    [("80/20", (80, 20)), ("70/20/10", (70, 20, 10)), ("0.7/0.2/0.1", (0.7, 0.2, 0.1)), (" 50 / 50", (50, 50))],
)
def test_ratios(text: str, ratios: tuple[float, ...]) -> None:
    assert parse_ratios(text) == ratios


@pytest.mark.parametrize(
    "text", ["", "100", "70/20", "70/20/20", "70/30/0", "-10/110", "a/b", "70,30", "25/25/25/25", "nan/1", "inf/1"]
)
def test_ratios_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_ratios(text)
    assert "70/20/10" in str(caught.value)


def test_a_detection_dataset_split_anew(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 20, "valid": 10, "test": 10})
    copies = ["train/images/train-003.png", "test/images/test-004.png", "valid/images/valid-001.png"]
    for copy in copies[1:]:
        shutil.copyfile(root / copies[0], root / copy)
    before = snapshot(root)
    parent = open_dataset("set", workspace)
    report = split_dataset("set", workspace, SplitConfig((50, 25, 25)))

    assert report.folders == (workspace.datasets / "set-split",)
    assert report.after[0].pictures == {"train": 20, "valid": 10, "test": 10}
    assert report.after[0].objects == {"train": (10, 10), "valid": (5, 5), "test": (5, 5)}
    assert (report.groups, report.grouped, report.leaks_after) == (1, 3, 0)
    assert report.leaks_before >= 2
    made = open_dataset("set-split", workspace)
    assert made.names == parent.names
    assert not check_dataset(made).leaked
    assert report.records[0].fingerprint == fingerprint(made)
    assert report.records[0].origin == DatasetOrigin(
        parent="set", parent_fingerprint=fingerprint(parent), made_by="split",
        options={"ratios": (50, 25, 25), "folds": 0, "seed": 0},
    )  # fmt: skip
    assert _labels(made) == _labels(parent)
    assert snapshot(root) == before


def _labels(dataset) -> Counter[tuple[str, str]]:
    return Counter(
        (hashlib.sha256(item.image.read_bytes()).hexdigest(), str(dataset.boxes(item)[0].cxcywh.tolist()))
        for item in dataset.items()
    )


def test_the_seed_decides_and_names_are_told_apart(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "set", {"train": 12, "test": 12})
    for path in sorted(root.rglob("*.png")):  # the same names in both splits
        path.rename(path.with_name(path.name.replace("test", "train")))
    reports = [
        split_dataset("set", workspace, SplitConfig((80, 20), seed=seed, name=name))
        for seed, name in ((0, "a"), (0, "b"), (1, "c"))
    ]
    prints = [report.records[0].fingerprint for report in reports]
    assert prints[0] == prints[1] != prints[2]
    assert all(open_dataset(name, workspace).count() == 48 for name in "abc")
    assert reports[0].after[0].pictures["test"] == 0


def test_our_own_datasets_are_linked_and_a_persons_folder_is_copied(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "theirs", {"train": 10})
    first = split_dataset(root, workspace, SplitConfig((80, 20))).folders[0]
    second = split_dataset(first.name, workspace, SplitConfig((50, 50))).folders[0]
    assert {path.stat().st_nlink for path in root.rglob("*.png")} == {1}
    assert {path.stat().st_nlink for path in second.rglob("*.png")} == {2}


def test_folds(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 14, "valid": 6, "test": 4})
    report = split_dataset("set", workspace, SplitConfig(folds=5))
    assert [folder.name for folder in report.folders] == [f"set-fold{number}" for number in range(1, 6)]
    valid: Counter[str] = Counter()
    for after, folder in zip(report.after, report.folders, strict=True):
        assert after.pictures == {"train": 16, "valid": 4, "test": 4}
        assert after.objects["valid"] == (2, 2)
        made = open_dataset(folder.name, workspace)
        valid.update(item.image.name for item in made.items("valid"))
        assert {item.image.name for item in made.items("test")} == {f"test-{number:03d}.png" for number in range(4)}
    assert set(valid.values()) == {1}
    assert len(valid) == 20


def test_folds_appear_together_or_not_at_all(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 10})
    (workspace.datasets / "set-fold3").mkdir()
    before = snapshot(workspace.datasets)
    with pytest.raises(UsageError, match="set-fold3"):
        split_dataset("set", workspace, SplitConfig(folds=3))
    assert snapshot(workspace.datasets) == before
    with pytest.raises(DataError, match="too few"):
        split_dataset("set", workspace, SplitConfig(folds=11, name="x"))
    with pytest.raises(UsageError, match="two or more"):
        split_dataset("set", workspace, SplitConfig(folds=1))
    assert sorted(path.name for path in workspace.datasets.iterdir() if path.name != ".locks") == ["set", "set-fold3"]
    assert root.is_dir()


DYING = """
import os, sys
from pathlib import Path
from lensmith.core.workspace import Workspace
from lensmith.datasets import split
from lensmith.datasets.split import SplitConfig, split_dataset
real, seen = split.Picture, []
def picture(*given):
    seen.append(given)
    if len(seen) == int(sys.argv[2]):
        os.kill(os.getpid(), int(sys.argv[3]))
    return real(*given)
split.Picture = picture
split_dataset("set", Workspace(Path(sys.argv[1])), SplitConfig(folds=3))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("at", [1, 15, 30])
def test_a_kill_leaves_no_fold(workspace: Workspace, at: int, how: signal.Signals) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 10})
    command = [sys.executable, "-c", DYING, str(workspace.root), str(at), str(int(how))]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    visible = [path.name for path in workspace.datasets.iterdir() if not path.name.startswith(".")]
    assert visible == ["set"]
    split_dataset("set", workspace, SplitConfig(folds=3))
    left = {path.name for path in workspace.datasets.iterdir()}
    assert left == {".locks", "set", "set-fold1", "set-fold2", "set-fold3"}


def test_a_picture_that_nobody_labelled_stays_unlike_an_empty_one(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 10})
    labels = sorted((root / "train" / "labels").iterdir())
    labels[0].unlink()
    labels[1].write_text("")
    folder = split_dataset("set", workspace, SplitConfig((80, 20))).folders[0]
    written = {path.stem: path.stat().st_size for path in folder.rglob("*.txt")}
    assert len(written) == 9
    assert labels[0].stem not in written
    assert written[labels[1].stem] == 0


def test_the_command(workspace: Workspace, tmp_path: Path) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 10, "valid": 5})
    done = run_cv("split-dataset", "set", "--ratios", "60/20/20", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["datasets"][0]["name"] == "set-split"
    assert told["datasets"][0]["pictures"] == {"train": 9, "valid": 3, "test": 3}
    again = run_cv("split-dataset", "set", cwd=tmp_path)
    assert again.returncode == 2
    assert "--name" in again.stderr
    other = run_cv("split-dataset", "set", "--name", "other", cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    assert other.stdout == ""
    assert "Next: cv check-dataset other" in other.stderr
    assert run_cv("split-dataset", "set", "--ratios", "70/20", cwd=tmp_path).returncode == 2
    assert run_cv("split-dataset", "set", "--folds", "2", "--ratios", "70/30", cwd=tmp_path).returncode == 2
    assert run_cv("split-dataset", "nothing", cwd=tmp_path).returncode == 3


def test_two_commands_at_once(workspace: Workspace, tmp_path: Path) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 20})
    running = [
        subprocess.Popen([cv_path(), "split-dataset", "set"], cwd=tmp_path, stderr=subprocess.PIPE, env=os.environ)
        for _ in range(2)
    ]
    assert sorted(process.wait(timeout=120) for process in running) == [0, 2]
    for process in running:
        if process.stderr:
            process.stderr.close()
    assert open_dataset("set-split", workspace).count() == 20
