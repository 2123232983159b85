"""A new dataset: whole or absent, readable as it was meant, and with the hashes that its files have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import DataError, LensmithError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.datasets.crops import cut_crops
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.fix import fix_dataset
from lensmith.datasets.formats.picture import Names, Picture
from lensmith.datasets.model import Boxes
from lensmith.datasets.read import open_dataset
from lensmith.datasets.record import FolderOrigin, verify
from lensmith.datasets.split import split_dataset
from lensmith.datasets.write import NewDataset, write_dataset
from tests.helpers import make_picture, make_yolo_dataset

ORIGIN = FolderOrigin(path="/somewhere", format="yolo", linked=False)


def some_pictures(folder: Path, count: int = 6) -> list[Picture]:
    generator = np.random.default_rng(3)
    pictures = []
    for number in range(count):
        path = make_picture(folder / f"p {number}.JPG", seed=number)
        sides = generator.uniform(0.01, 0.3, (2, 2))
        boxes = Boxes(
            np.concatenate([generator.uniform(0.2, 0.8, (2, 2)), sides], axis=1).astype(np.float32),
            np.array([0, number % 2], np.int64),
        )
        pictures.append(Picture(path, path.name, ("train", "valid", "test")[number % 3], boxes, class_id=number % 2))
    return pictures


@pytest.mark.parametrize("link", [False, True])
def test_boxes_come_back_to_the_last_bit(workspace: Workspace, tmp_path: Path, link: bool) -> None:
    pictures = some_pictures(tmp_path / "source")
    before = {picture.source: picture.source.stat() for picture in pictures}  # type: ignore[union-attr]
    new = NewDataset("new", "detect", ("cat", "dög"), ORIGIN, extra={"log.jsonl": "{}\n"}, link=link)
    folder, record = write_dataset(workspace, new, iter(pictures))

    dataset = open_dataset("new", workspace)
    assert dataset.names == ("cat", "dög")
    assert record.counts == {"train": 2, "valid": 2, "test": 2}
    assert record.fingerprint == fingerprint(dataset)
    assert verify(folder, record) == []
    assert (folder / "log.jsonl").is_file() and "log.jsonl" in record.files
    wanted = {picture.boxes.cxcywh.tobytes() for picture in pictures if picture.boxes}
    assert {dataset.boxes(item)[0].cxcywh.tobytes() for item in dataset.items()} == wanted
    for source, known in before.items():
        now = source.stat()  # type: ignore[union-attr]
        assert (now.st_mtime_ns, now.st_size, now.st_nlink) == (known.st_mtime_ns, known.st_size, 1 + link)


def test_classes_get_folders_that_every_system_can_name(workspace: Workspace, tmp_path: Path) -> None:
    names = ("a/b", "a\\b", "zebra", "nobody")
    pictures = [
        Picture(
            make_picture(tmp_path / f"{number}.png", seed=number).read_bytes(), "same.png", "train", class_id=number
        )
        for number in range(3)
    ]
    folder, record = write_dataset(workspace, NewDataset("new", "classify", names, ORIGIN), pictures)
    dataset = open_dataset("new", workspace)
    assert dataset.names == record.names == ("a-b", "a-b-2", "zebra")
    assert record.fingerprint == fingerprint(dataset)
    assert verify(folder, record) == []
    assert "nobody" in " ".join(record.remarks)


def test_pictures_that_differ_only_in_their_suffix_keep_their_own_labels(workspace: Workspace, tmp_path: Path) -> None:
    box = Boxes(np.array([[0.5, 0.5, 0.25, 0.25]], np.float32), np.array([0]))
    pictures = [
        Picture(make_picture(tmp_path / "a.jpg"), "a.jpg", "train", box),
        Picture(make_picture(tmp_path / "a.png", seed=2), "A.png", "train", Boxes.empty()),
    ]
    write_dataset(workspace, NewDataset("new", "detect", ("cat",), ORIGIN), pictures)
    counts = [len(open_dataset("new", workspace).boxes(item)[0]) for item in open_dataset("new", workspace).items()]
    assert sorted(counts) == [0, 1]


def test_names_are_safe_and_unique_in_any_case() -> None:
    names = Names()
    assert [names.file(name) for name in ("../x.JPG", "X.png", "x.jpg", "x-2.jpg")] == [
        "x.jpg", "X-2.png", "x-3.jpg", "x-2-2.jpg",
    ]  # fmt: skip


def test_a_name_that_is_taken_or_no_name(workspace: Workspace, tmp_path: Path) -> None:
    pictures = some_pictures(tmp_path / "source")
    new = NewDataset("new", "detect", ("cat", "dog"), ORIGIN)
    write_dataset(workspace, new, pictures)
    with pytest.raises(UsageError, match="already"):
        write_dataset(workspace, new, pictures)
    with pytest.raises(UsageError, match="cannot be the name"):
        write_dataset(workspace, NewDataset("../new", "detect", ("cat", "dog"), ORIGIN), pictures)
    with pytest.raises(DataError, match="no picture"):
        write_dataset(workspace, NewDataset("none", "detect", ("cat", "dog"), ORIGIN), [])
    assert sorted(path.name for path in workspace.datasets.iterdir()) == [".locks", "new"]


def test_a_source_that_vanishes_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    pictures = some_pictures(tmp_path / "source")
    pictures[4].source.unlink()  # type: ignore[union-attr]
    with pytest.raises(FileNotFoundError):
        write_dataset(workspace, NewDataset("new", "detect", ("cat", "dog"), ORIGIN), pictures)
    assert not [path for path in workspace.datasets.iterdir() if path.name != ".locks"]


SLOW_WRITER = """
import sys, time
from pathlib import Path
from lensmith.core.workspace import Workspace
from lensmith.datasets.fix import fix_dataset
from lensmith.datasets.formats.picture import Picture
from lensmith.datasets.record import FolderOrigin
from lensmith.datasets.split import split_dataset
from lensmith.datasets.write import NewDataset, write_dataset
def pictures():
    data = Path(sys.argv[2]).read_bytes()
    for number in range(600):
        yield Picture(data, f"{number}.jpg", "train", class_id=0)
    print("half", flush=True)
    sys.stdin.readline()
new = NewDataset("new", "classify", ("cat",), FolderOrigin(path="/x", format="folder", linked=False))
write_dataset(Workspace(Path(sys.argv[1])), new, pictures())
"""


def start_writer(workspace: Workspace, picture: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SLOW_WRITER, str(workspace.root), str(picture)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_killed_writer_leaves_nothing_that_is_taken_for_whole(workspace: Workspace, tmp_path: Path) -> None:
    picture = make_picture(tmp_path / "a.jpg")
    writer = start_writer(workspace, picture)
    assert writer.stdout and writer.stdout.readline() == "half\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert not (workspace.datasets / "new").exists()
    write_dataset(
        workspace, NewDataset("new", "classify", ("cat",), ORIGIN), [Picture(picture, "a.jpg", "train", class_id=0)]
    )
    assert sorted(path.name for path in workspace.datasets.iterdir()) == [".locks", "new"]


def test_two_writers_of_one_name_take_turns(workspace: Workspace, tmp_path: Path) -> None:
    picture = make_picture(tmp_path / "a.jpg")
    writer = start_writer(workspace, picture)
    assert writer.stdout and writer.stdin and writer.stdout.readline() == "half\n"
    result: list[BaseException] = []

    def second() -> None:
        try:
            write_dataset(
                workspace,
                NewDataset("new", "classify", ("cat",), ORIGIN),
                [Picture(picture, "b.jpg", "train", class_id=0)],
            )
        except UsageError as error:
            result.append(error)

    thread = threading.Thread(target=second)
    thread.start()
    writer.stdin.write("\n")
    writer.stdin.close()
    assert writer.wait() == 0
    thread.join()
    assert result, "the second writer must find the first one's dataset"
    assert open_dataset("new", workspace).count() == 600


def test_a_folder_that_cannot_be_written_to_is_said_before_the_work(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_yolo_dataset(workspace.datasets / "set", width=200, height=150)
    monkeypatch.setattr("lensmith.datasets.write.os.access", lambda *_: False)  # for root every folder is writable
    monkeypatch.setattr("lensmith.datasets.fix.check_dataset", None)
    monkeypatch.setattr("lensmith.datasets.split.check_dataset", None)
    for work in (fix_dataset, split_dataset, cut_crops):
        with pytest.raises(LensmithError) as caught:
            work("set", workspace)
        assert caught.value.where == str(workspace.datasets)
