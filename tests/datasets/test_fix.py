"""Repairs: what is wrong is gone from the new dataset, what was right is in it, and the old one is as it was."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lensmith.core.errors import UsageError
from lensmith.core.images import inspect_image, read_image
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.kinds import KINDS
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.fix import FixConfig, FixReport, fix_dataset
from lensmith.datasets.fixes.kinds import REPAIRED
from lensmith.datasets.read import open_dataset
from tests.datasets.test_split import snapshot
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset, run_cv


def picture(root: Path, number: int, split: str = "train") -> Path:
    return root / split / "images" / f"{split}-{number:03d}.png"


def label(root: Path, number: int, split: str = "train") -> Path:
    return root / split / "labels" / f"{split}-{number:03d}.txt"


def kinds_found(workspace: Workspace, name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for finding in check_dataset(open_dataset(name, workspace)).findings:
        found[finding.kind] = found.get(finding.kind, 0) + finding.count
    return found


def test_what_the_check_promises_is_what_is_repaired() -> None:
    assert {kind for kind, known in KINDS.items() if known.fix} == REPAIRED


def write_with_pillow(path: Path, picture: Image.Image, **options: object) -> None:
    path.unlink(missing_ok=True)
    picture.save(path, **options)  # type: ignore[arg-type]


def rgb(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_CUBIC))


def plant_truncated(root: Path) -> None:
    path = picture(root, 1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def plant_misnamed(root: Path) -> None:
    write_with_pillow(picture(root, 4), rgb(104), format="JPEG")


def plant_cmyk(root: Path) -> None:
    picture(root, 5).unlink()
    write_with_pillow(picture(root, 5).with_suffix(".jpg"), rgb(105).convert("CMYK"), format="JPEG")


def plant_16_bit(root: Path) -> None:
    cv2.imwrite(str(picture(root, 6)), np.random.default_rng(6).integers(0, 65536, (48, 64, 3)).astype(np.uint16))


def plant_alpha(root: Path) -> None:
    seen = rgb(107)
    seen.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))))
    write_with_pillow(picture(root, 7), seen)


def plant_animated(root: Path) -> None:
    picture(root, 8).unlink()
    frames = [rgb(108), rgb(208)]
    write_with_pillow(
        picture(root, 8).with_suffix(".webp"), frames[0], format="WEBP", save_all=True, append_images=frames[1:]
    )


def plant_rotated(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(root, 9).unlink()
    write_with_pillow(picture(root, 9).with_suffix(".jpg"), rgb(109), format="JPEG", exif=exif, quality=95)


def plant_polygons(root: Path) -> None:
    label(root, 16).write_text("0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n")


def plant_copy_within(root: Path) -> None:
    shutil.copyfile(picture(root, 20), picture(root, 21))
    label(root, 21).write_text(label(root, 20).read_text() + "1 0.9 0.9 0.1 0.1\n")


def plant_copy_across(root: Path) -> None:
    shutil.copyfile(picture(root, 22), picture(root, 0, "test"))
    shutil.copyfile(label(root, 22), label(root, 0, "test"))


def plant_sibling_across(root: Path) -> None:
    for path, split, mark in ((picture(root, 23), "train", "a1"), (picture(root, 1, "valid"), "valid", "b2")):
        path.rename(path.with_name(f"street_jpg.rf.{mark}.png"))
        old = label(root, 23) if split == "train" else label(root, 1, "valid")
        old.rename(old.with_name(f"street_jpg.rf.{mark}.txt"))


def plant_near_across(root: Path) -> None:
    rng = np.random.default_rng(24)
    texture = cv2.resize(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(picture(root, 24)), texture)
    cv2.imwrite(str(picture(root, 2, "valid")), cv2.convertScaleAbs(texture[:, ::-1], alpha=0.8))


def add_line(number: int, line: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        label(root, number).write_text(label(root, number).read_text() + line)

    return plant


def write_yaml(extra: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        (root / "data.yaml").write_text((root / "data.yaml").read_text() + extra)

    return plant


PLANTED: dict[str, Callable[[Path], object]] = {
    "picture-unreadable": lambda root: picture(root, 0).write_bytes(b"<html>no picture</html>"),
    "picture-truncated": plant_truncated,
    "picture-empty": lambda root: picture(root, 2).write_bytes(b""),
    "picture-too-large": lambda root: write_with_pillow(picture(root, 3), Image.new("1", (8000, 8000))),
    "picture-misnamed": plant_misnamed,
    "picture-cmyk": plant_cmyk,
    "picture-16bit": plant_16_bit,
    "picture-alpha": plant_alpha,
    "picture-animated": plant_animated,
    "picture-rotated": plant_rotated,
    "picture-tiny": lambda root: write_with_pillow(picture(root, 10), Image.new("RGB", (5, 5))),
    "label-unknown-class": add_line(11, "9 0.5 0.5 0.1 0.1\n"),
    "label-nan": add_line(12, "0 nan 0.5 0.1 0.1\n"),
    "label-not-a-number": add_line(13, "cat 0.5 0.5 0.1 0.1\n"),
    "label-row-length": add_line(14, "0 0.5 0.5 0.1\n"),
    "label-out-of-range": add_line(15, "0 320 240 50 50\n"),
    "label-polygons-mixed": plant_polygons,
    "label-no-area": add_line(17, "0 0.5 0.5 0 0.1\n"),
    "label-duplicate": lambda root: label(root, 18).write_text(label(root, 18).read_text() * 2),
    "label-clipped": add_line(19, "0 0.95 0.5 0.2 0.1\n"),
    "label-decimal-comma": lambda root: label(root, 25).write_text("0 0,5 0,5 0,1 0,1\n"),
    "label-encoding": lambda root: label(root, 26).write_text("0 0.5 0.5 0.1 0.1\n", encoding="utf-16"),
    "label-without-picture": lambda root: (root / "train" / "labels" / "stray.txt").write_text("0 0.5 0.5 0.1 0.1\n"),
    "cache-file": lambda root: (root / "train" / "labels.cache").write_bytes(b"\x80\x04pickle"),
    "yaml-download": write_yaml("download: https://example.org/x.zip\n"),
    "yaml-path": write_yaml(""),
    "copy-within": plant_copy_within,
    "copy-across": plant_copy_across,
    "sibling-across": plant_sibling_across,
    "near-across": plant_near_across,
}


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
    assert boxes["train-021.png"][:1] == old.boxes(next(i for i in old.items() if i.image == picture(old.root, 20)))[
        0
    ].cxcywh.tolist(), "of two copies the one with more boxes is kept"
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


def test_only_the_kinds_asked_for(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 30, "valid": 10, "test": 10})
    for kind in ("picture-empty", "copy-within", "copy-across"):
        PLANTED[kind](root)
    report = fix_dataset("set", workspace, FixConfig(only=("copy-within",)))
    found = kinds_found(workspace, "set-fixed")
    assert "copy-within" not in found
    assert {"picture-empty", "copy-across"} <= set(found)
    assert report.repaired["copy-within"] == 1
    assert report.record
    assert report.record.origin.model_dump()["options"] == {"only": ["copy-within"], "seed": 0}


def test_nothing_to_repair_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 30, "valid": 10, "test": 10})
    PLANTED["copy-within"](root)
    first = fix_dataset("set", workspace)
    again = fix_dataset("set-fixed", workspace)
    assert first.folder
    assert (again.folder, again.changes) == (None, ())
    done = run_cv("fix-dataset", "set-fixed", cwd=tmp_path)
    assert done.returncode == 0
    assert "Nothing to repair" in done.stderr
    assert fix_dataset("set", workspace, FixConfig(only=("near-across",))).folder is None
    names = sorted(path.name for path in workspace.datasets.iterdir() if not path.name.startswith("."))
    assert names == ["set", "set-fixed"]


def test_a_dry_run_says_what_the_real_one_does(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 30, "valid": 10, "test": 10})
    PLANTED["copy-across"](root)
    before = snapshot(workspace.datasets)
    planned = fix_dataset("set", workspace, FixConfig(dry_run=True))
    assert planned.folder is None
    assert snapshot(workspace.datasets) == before
    done = fix_dataset("set", workspace)
    assert (done.changes, done.after) == (planned.changes, planned.after)


@pytest.mark.parametrize(
    ("only", "message"),
    [("copy-wihin", "copy-within"), ("class-few", "nothing that a program can repair"), ("zzz", "there are: ")],
)
def test_kinds_that_cannot_be_repaired(workspace: Workspace, only: str, message: str) -> None:
    make_yolo_dataset(workspace.datasets / "set")
    with pytest.raises(UsageError) as caught:
        fix_dataset("set", workspace, FixConfig(only=(only,)))
    assert message in str(caught.value)


def test_names_count_up(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "set")  # its ../train/images paths are a fault
    names = [fix_dataset("set", workspace).name for _ in range(3)]
    assert names == ["set-fixed", "set-fixed-2", "set-fixed-3"]
    with pytest.raises(UsageError, match="already"):
        fix_dataset("set", workspace, FixConfig(name="set-fixed"))


def test_a_missing_valid_split_is_filled_and_the_test_split_stays(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 40, "test": 10})
    (workspace.datasets / "set" / "data.yaml").write_text("train: train/images\ntest: test/images\nnames: [cat, dog]\n")
    report = fix_dataset("set", workspace)
    assert report.after.pictures == {"train": 32, "valid": 8, "test": 10}
    assert report.after.objects["valid"] == (4, 4)
    assert {item.image.name for item in open_dataset("set-fixed", workspace).items("test")} == {
        f"test-{number:03d}.png" for number in range(10)
    }


def test_a_dataset_without_splits_gets_three(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "set", {"train": 50})
    root = workspace.datasets / "set"
    for folder in (root / "train").iterdir():
        folder.rename(root / folder.name)
    (root / "train").rmdir()
    report = fix_dataset("set", workspace)
    assert report.after.objects == {"train": (35, 35), "valid": (10, 10), "test": (5, 5)}
    assert set(report.repaired) == {"split-none"}


def test_a_test_split_is_made_when_a_person_asks_for_it(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "set", {"train": 40, "valid": 10})
    assert fix_dataset("set", workspace).folder is None
    report = fix_dataset("set", workspace, FixConfig(only=("split-missing",)))
    assert report.after.pictures == {"train": 70, "valid": 20, "test": 10}


def test_leaks_are_closed_by_moving_few(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 60, "valid": 14, "test": 20})
    for number in range(2):  # two photographs with most of their copies in train
        for copy, (split, start) in enumerate((("train", 0), ("train", 10), ("test", 0))):
            at = start + number
            path, text = picture(root, at, split), label(root, at, split)
            path.rename(path.with_name(f"photo{number}_jpg.rf.{copy}.png"))
            text.rename(text.with_name(f"photo{number}_jpg.rf.{copy}.txt"))
    report = fix_dataset("set", workspace, FixConfig(only=("sibling-across",)))
    moved = [change for change in report.changes if change.kind == "sibling-across"]
    assert [(change.before, change.after) for change in moved] == [("test", "train")] * 2
    assert "most of it" in report.how[0]


def test_a_test_split_that_leaks_through_and_through_keeps_its_size(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 60, "valid": 14, "test": 20})
    for number in range(18):
        for split, at in (("train", number), ("train", 20 + number), ("test", number)):
            path, text = picture(root, at, split), label(root, at, split)
            path.rename(path.with_name(f"photo{number}_jpg.rf.{split}{at}.png"))
            text.rename(text.with_name(f"photo{number}_jpg.rf.{split}{at}.txt"))
    report = fix_dataset("set", workspace)
    assert report.leaked_before["test"] == 18
    assert report.leaked_after == {"valid": 0, "test": 0}
    assert 17 <= report.after.pictures["test"] <= 22
    assert report.after.pictures["valid"] == 14
    assert all(8 <= number <= 12 for number in report.after.objects["test"])


def test_the_same_picture_in_two_classes_is_left_to_a_person(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    shutil.copyfile(root / "train/cat/train-0-000.png", root / "train/dog/wrong.png")
    report = fix_dataset("set", workspace)
    assert report.folder is None
    assert len(report.questions) == 1
    assert "wrong.png" in report.questions[0]


def test_a_class_missing_from_a_split_comes_there(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    shutil.rmtree(root / "test" / "dog")
    report = fix_dataset("set", workspace)
    assert report.repaired == {"class-absent": report.after.objects["test"][1]}
    assert report.after.objects["test"] == (5, 2)
    assert not [finding for finding in report.left if finding.kind == "class-absent"]


def test_a_folder_that_is_not_ours_is_copied_and_may_be_read_only(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "theirs", {"train": 20, "valid": 5, "test": 5})
    before = snapshot(root)
    for path in (root, *root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        report = fix_dataset(root, workspace)
    finally:
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert report.folder == workspace.datasets / "theirs-fixed"
    assert snapshot(root) == before
    assert {path.stat().st_nlink for path in report.folder.rglob("*.png")} == {1}


DYING = """
import os, sys
from pathlib import Path
from lensmith.core.workspace import Workspace
from lensmith.datasets import fix
real, seen = fix.Picture, []
def picture(*given):
    seen.append(given)
    if len(seen) == 8:
        os.kill(os.getpid(), int(sys.argv[2]))
    return real(*given)
fix.Picture = picture
fix.fix_dataset("set", Workspace(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_leaves_nothing_half_made(workspace: Workspace, how: signal.Signals) -> None:
    make_yolo_dataset(workspace.datasets / "set", {"train": 20})
    command = [sys.executable, "-c", DYING, str(workspace.root), str(int(how))]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    assert [path.name for path in workspace.datasets.iterdir() if not path.name.startswith(".")] == ["set"]
    assert fix_dataset("set", workspace).name == "set-fixed"
    assert {path.name for path in workspace.datasets.iterdir()} == {".locks", "set", "set-fixed"}


def test_the_command(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 30, "valid": 10, "test": 10})
    PLANTED["copy-across"](root)
    planned = run_cv("fix-dataset", "set", "--dry-run", "--json", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["repaired"]["copy-across"] == 1
    done = run_cv("fix-dataset", "set", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "1 of 10 pictures in 'test' (10%)" in done.stderr
    assert "Next: cv train-yolo set-fixed" in done.stderr
    wrong = run_cv("fix-dataset", "set", "--only", "copy-acros", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "copy-across" in wrong.stderr


@pytest.mark.parametrize(
    "name",
    ["detect/rubik-yolo", "detect/waste-yolo", "detect/robot-coco", "detect/books-voc"],
)
def test_real_data_comes_out_clean(workspace: Workspace, test_data: Path, name: str) -> None:
    report = fix_dataset(test_data / name, workspace)
    assert report.folder
    found = set(kinds_found(workspace, report.folder.name)) & set(report.repaired)
    assert not found - {"class-absent"}
    assert not check_dataset(open_dataset(report.folder, workspace)).leaked


def test_a_picture_that_only_decoding_shows_to_be_broken_is_left_out(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    plant_rotated(root)
    monkeypatch.setattr("lensmith.datasets.fix.read_image", _gone)
    report = fix_dataset("set", workspace)
    assert report.repaired["picture-unreadable"] == 1
    assert report.after.pictures["train"] == open_dataset("set-fixed", workspace).count("train") == 19


def _gone(path: Path) -> np.ndarray:
    return read_image(path.with_name("gone.png"))


def test_a_pictures_own_name_is_kept_and_two_that_meet_are_told_apart(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set", {"train": 20, "valid": 5, "test": 5})
    make_picture(root / "train/images/train-004.jpg", seed=77)
    plant_misnamed(root)  # train-004.png is to become train-004.jpg
    fix_dataset("set", workspace)
    names = {path.name for path in (workspace.datasets / "set-fixed/train/images").iterdir()}
    assert len(names) == 21
    assert {path.stem for path in (workspace.datasets / "set-fixed/train/labels").iterdir()} == {
        Path(name).stem for name in names
    }
