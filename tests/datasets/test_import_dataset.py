"""A person's folder or zip becomes a dataset, whole or not at all, and stays as it was itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lensmith.core.errors import DataError, NotFoundError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.core.zips import Limits
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.import_dataset import ImportConfig, import_dataset
from lensmith.datasets.read import open_dataset
from lensmith.datasets.record import FolderOrigin, verify
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset, run_cv


def _state(root: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _zip(root: Path, path: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, inside + file.relative_to(root).as_posix())
    return path


def _nothing_half_made(workspace: Workspace) -> bool:
    return not [path for path in workspace.datasets.glob("*") if path.name != ".locks"]


@pytest.mark.parametrize("make", [make_yolo_dataset, make_folder_dataset])
@pytest.mark.parametrize("link", [True, False])
def test_a_folder_is_imported_and_not_touched(workspace: Workspace, tmp_path: Path, make, link: bool) -> None:
    root = make(tmp_path / "My chess")
    before = _state(root)
    done = import_dataset(root, workspace, ImportConfig(link=link))
    assert done.fresh
    assert done.folder == workspace.datasets / "My-chess"
    assert done.record.fingerprint == fingerprint(open_dataset(root, workspace))
    assert done.record.fingerprint == fingerprint(open_dataset("My-chess", workspace))
    origin = done.record.origin
    assert isinstance(origin, FolderOrigin)
    assert (origin.path, origin.linked) == (str(root), link)
    assert verify(done.folder, done.record) == []
    sources = {path.stat().st_ino for path in root.rglob("*.png")}
    assert all((path.stat().st_ino in sources) is link for path in done.folder.rglob("*.png"))
    assert _state(root) == before


@pytest.mark.parametrize("inside", ["", "chess v2/"])
def test_a_zip_is_imported(workspace: Workspace, tmp_path: Path, inside: str) -> None:
    root = make_yolo_dataset(tmp_path / "made")
    archive = _zip(root, tmp_path / "chess.zip", inside)
    (root / "labels.cache").write_bytes(b"x")
    done = import_dataset(archive, workspace)
    assert done.folder.name == "chess"
    assert done.record.fingerprint == fingerprint(open_dataset(root, workspace))
    assert [path.name for path in workspace.datasets.iterdir() if path.name != ".locks"] == ["chess"]
    assert not import_dataset(archive, workspace).fresh


def test_errors_in_a_zip_name_the_zip(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "made")
    (root / "data.yaml").write_text("names: [cat, cat]\n")
    with pytest.raises(DataError) as caught:
        import_dataset(_zip(root, tmp_path / "chess.zip"), workspace)
    assert caught.value.where == str(tmp_path / "chess.zip/data.yaml")
    assert _nothing_half_made(workspace)


@pytest.mark.parametrize("case", ["no zip", "hostile", "too large", "no such", "empty folder", "one file"])
def test_what_is_no_dataset_leaves_nothing(workspace: Workspace, tmp_path: Path, case: str) -> None:
    path, config = tmp_path / "a.zip", ImportConfig()
    match case:
        case "no zip":
            path.write_bytes(b"PK\3\4 not really")
        case "hostile":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("../../a.jpg", b"x")
        case "too large":
            _zip(make_yolo_dataset(tmp_path / "made"), path)
            config = ImportConfig(limits=Limits(files=3))
        case "empty folder":
            path.mkdir()
        case "one file":
            path = make_picture(tmp_path / "a.jpg")
    with pytest.raises(NotFoundError if case == "no such" else DataError):
        import_dataset(path, workspace, config)
    assert _nothing_half_made(workspace)
    assert not (tmp_path.parent / "a.jpg").exists()


def test_unsplit_pictures_are_shared_out_in_groups(workspace: Workspace, tmp_path: Path) -> None:
    """20 pictures and two copies of each: 70/20/10, no copy across splits, the same again for the same seed."""
    for class_name in ("cat", "dog"):
        for number in range(10):
            first = make_picture(tmp_path / f"set/{class_name}/{number}.png", seed=number + 100 * len(class_name))
            shutil.copy(first, first.with_name(f"{number} copy.png"))
    done = import_dataset(tmp_path / "set", workspace)
    assert done.record.counts == {"train": 28, "valid": 8, "test": 4}
    split_of = {}
    for name, digest in done.record.files.items():
        assert split_of.setdefault(digest, name.split("/")[0]) == name.split("/")[0]
    assert "It had no splits" in " ".join(done.record.remarks)
    again = import_dataset(tmp_path / "set", workspace, ImportConfig(name="again"))
    assert again.record.fingerprint == done.record.fingerprint
    assert not import_dataset(tmp_path / "set", workspace).fresh


def test_split_re_splits_all_and_none_keeps(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set", {"train": 10, "valid": 5, "test": 5})
    assert import_dataset(root, workspace).record.counts == {"train": 10, "valid": 5, "test": 5}
    done = import_dataset(root, workspace, ImportConfig(name="anew", split="80/20"))
    assert done.record.counts == {"train": 16, "valid": 4, "test": 0}
    with pytest.raises(UsageError, match="not a way to split") as caught:
        import_dataset(root, workspace, ImportConfig(name="third", split="lots"))
    assert caught.value.where == "--split"


def test_too_few_pictures_to_split_stay_together(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set", {"train": 2})
    done = import_dataset(root, workspace)
    assert done.record.counts == {"train": 2, "valid": 0, "test": 0}
    assert "too few" in " ".join(done.record.remarks)
    with pytest.raises(DataError, match="too few"):
        import_dataset(root, workspace, ImportConfig(name="other", split="70/20/10"))


def test_twice_the_same_another_and_force(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    done = import_dataset(root, workspace)
    assert not import_dataset(root, workspace).fresh
    (root / "train/labels/train-000.txt").write_text("1 0.5 0.5 0.25 0.25\n")
    with pytest.raises(UsageError, match="differs"):
        import_dataset(root, workspace)
    replaced = import_dataset(root, workspace, ImportConfig(force=True))
    assert replaced.fresh
    assert replaced.record.fingerprint != done.record.fingerprint
    other = make_yolo_dataset(tmp_path / "other/set", {"train": 3, "valid": 1})
    for force in (False, True):
        with pytest.raises(UsageError, match="made from"):
            import_dataset(other, workspace, ImportConfig(force=force))
    (workspace.datasets / "own").mkdir()
    with pytest.raises(UsageError, match="of your own"):
        import_dataset(root, workspace, ImportConfig(name="own", force=True))
    next(replaced.folder.rglob("*.png")).unlink()
    with pytest.raises(DataError, match="no longer as it was imported"):
        import_dataset(root, workspace)


def test_into_itself_is_refused(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "set")
    with pytest.raises(UsageError, match="made from"):
        import_dataset(root, workspace)
    with pytest.raises(UsageError, match="made from"):
        import_dataset(workspace.root, workspace, ImportConfig(name="new"))


def test_labels_that_were_mended_and_left_out_are_told(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    (root / "train/labels/train-000.txt").write_text("0 0,5 0,5 0,2 0,2\n9 0.5 0.5 0.2 0.2\n")
    (root / "train/labels/train-001.txt").unlink()
    (root / "train/labels/train-002.txt").write_text("")
    (root / "valid/labels/alone.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    done = import_dataset(root, workspace)
    told = " ".join(done.record.remarks)
    assert "1 label row mended: decimal commas" in told
    assert "1 label row left out: the class id 9 has no name" in told
    assert "1 label files have no picture" in told
    labels = sorted(path.name for path in (done.folder / "train/labels").iterdir())
    assert labels == ["train-000.txt", "train-002.txt", "train-003.txt"]  # an empty one is no missing one


@pytest.mark.parametrize(
    ("size", "what"), [((64, 48), None), ((128, 96), "of another size"), ((48, 64), "width and height swapped")]
)
def test_a_stated_size_is_held_against_the_picture(
    workspace: Workspace, tmp_path: Path, size: tuple[int, int], what: str | None
) -> None:
    for split in ("train", "valid"):
        make_picture(tmp_path / f"set/{split}/a.jpg", 64, 48, seed=len(split))
        image = {"id": 1, "file_name": "a.jpg", "width": size[0], "height": size[1]}
        annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 8, 8]}
        coco = {"images": [image], "annotations": [annotation], "categories": [{"id": 1, "name": "cat"}]}
        (tmp_path / f"set/{split}/_annotations.coco.json").write_text(json.dumps(coco))
    told = " ".join(import_dataset(tmp_path / "set", workspace).record.remarks)
    assert ("label file" in told) is (what is not None)
    assert what is None or what in told


@pytest.mark.parametrize(
    ("file", "text", "licence"),
    [
        ("data.yaml", "roboflow:\n  license: CC BY 4.0\n", "CC BY 4.0"),
        ("data.yaml", "license: MIT\n", "MIT"),
        ("README.dataset.txt", "# x\nLicense: Public Domain\n", "Public Domain"),
        ("README.md", "# x\n\n**License:** MIT\n", "MIT"),
        ("README.md", "This is a license.\n", None),
    ],
)
def test_the_licence_is_taken_from_where_it_stands(
    workspace: Workspace, tmp_path: Path, file: str, text: str, licence: str | None
) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    with (root / file).open("a", encoding="utf-8") as stream:
        stream.write(text)
    assert import_dataset(root, workspace).record.licence == licence


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a person without all rights")
def test_a_read_only_folder_is_imported(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert import_dataset(root, workspace).fresh


def test_same_names_in_folders_of_one_split_stay_apart(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    for number, folder in enumerate(("a", "b")):
        make_picture(root / f"train/images/{folder}/x.png", seed=50 + number)
        (root / f"train/labels/{folder}").mkdir()
        (root / f"train/labels/{folder}/x.txt").write_text(f"{number} 0.5 0.5 0.{number + 2} 0.5\n")
    done = import_dataset(root, workspace)
    assert done.record.counts["train"] == 6
    assert done.record.fingerprint == fingerprint(open_dataset(root, workspace))


_IMPORT = """
import sys
from pathlib import Path
from lensmith.core.workspace import Workspace
from lensmith.datasets.import_dataset import import_dataset
import_dataset(sys.argv[1], Workspace(Path(sys.argv[2])))
"""
_SLOW = """
import sys, time
from pathlib import Path
from lensmith.core.workspace import Workspace
from lensmith.datasets import import_dataset as room
take = room._pictures
def slow(*arguments):
    for number, picture in enumerate(take(*arguments)):
        if number == 4:
            print("half way", flush=True)
            time.sleep(60)
        yield picture
room._pictures = slow
room.import_dataset(sys.argv[1], Workspace(Path(sys.argv[2])))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_kill_half_way_leaves_nothing_that_passes_for_a_dataset(
    workspace: Workspace, tmp_path: Path, how: signal.Signals
) -> None:
    archive = _zip(make_yolo_dataset(tmp_path / "made"), tmp_path / "chess.zip")
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(archive), str(workspace.root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half way\n"
    process.send_signal(how)
    process.wait(30)
    assert not (workspace.datasets / "chess").exists()
    assert _nothing_half_made(workspace) is (how == signal.SIGINT)
    assert import_dataset(archive, workspace).record.counts == {"train": 4, "valid": 2, "test": 2}
    assert [path.name for path in workspace.datasets.iterdir() if path.name != ".locks"] == ["chess"]


def test_two_at_once_give_one_dataset(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set", {"train": 40, "valid": 10})
    command = [sys.executable, "-c", _IMPORT, str(root), str(workspace.root)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert min(process.returncode for process in both) == 0, errors
    done = import_dataset(root, workspace)
    assert not done.fresh
    assert verify(done.folder, done.record) == []


def test_the_command(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "chess")
    done = run_cv("import-dataset", root, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    for line in ("train 4, valid 2, test 2", "cat, dog", "YOLO layout", "Next: cv check-dataset chess"):
        assert line in done.stderr
    again = run_cv("import-dataset", root, "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["fresh"] is False
