"""Which datasets there are, what is in one, and what changed between two."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from lensmith.cli.datasets import as_typed
from lensmith.core.errors import DataError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.datasets.catalog import ClassCount, list_datasets, show_dataset
from lensmith.datasets.check.run import CheckConfig, check_dataset
from lensmith.datasets.compare import Moved, Relabelled, compare_datasets
from lensmith.datasets.contents import read_contents
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.formats.picture import Picture
from lensmith.datasets.read import open_dataset
from lensmith.datasets.record import RECORD_NAME, DatasetOrigin, read_record
from lensmith.datasets.write import NewDataset, write_dataset
from tests.helpers import make_folder_dataset, make_yolo_dataset, run_cv


def copy_recorded(workspace: Workspace, name: str, new: str) -> Path:
    """A recorded copy of a dataset, as the writer makes it."""
    dataset = open_dataset(name, workspace)
    made = NewDataset(new, dataset.task, dataset.names, DatasetOrigin(
        parent=name, parent_fingerprint=fingerprint(dataset), made_by="split", options={"seed": 3},
    ), licence="CC0")  # fmt: skip
    pictures = (
        Picture(item.image, item.image.name, item.split,
                dataset.boxes(item)[0] if dataset.task == "detect" else None, item.class_id)
        for item in dataset.items()
    )  # fmt: skip
    return write_dataset(workspace, made, pictures)[0]


@pytest.fixture
def shapes(workspace: Workspace) -> Path:
    return make_yolo_dataset(workspace.datasets / "shapes")


def test_the_list_has_folders_with_and_without_a_record_and_broken_ones(workspace: Workspace, shapes: Path) -> None:
    assert [entry.name for entry in list_datasets(workspace)[0]] == ["shapes"]
    copy_recorded(workspace, "shapes", "copy")
    make_folder_dataset(workspace.datasets / "pets")
    (workspace.datasets / "moved").mkdir()
    (workspace.datasets / "moved/data.yaml").write_text("names: [a]")
    (workspace.datasets / "code/inner").mkdir(parents=True)
    (workspace.datasets / "code/inner/read.py").write_text("import this")
    damaged = copy_recorded(workspace, "shapes", "damaged")
    (damaged / RECORD_NAME).write_text("{")
    (workspace.datasets / ".hidden").mkdir()
    entries, others = list_datasets(workspace)
    assert [folder.name for folder in others] == ["code"]
    found = {entry.name: entry for entry in entries}
    assert list(found) == ["copy", "damaged", "moved", "pets", "shapes"]
    assert (found["copy"].task, found["copy"].licence, found["copy"].recorded) == ("detect", "CC0", True)
    assert found["copy"].counts == found["shapes"].counts == {"train": 4, "valid": 2, "test": 2}
    assert found["copy"].source == "shapes, by split"
    assert found["copy"].created is not None
    assert (found["pets"].task, found["pets"].names, found["pets"].recorded) == ("classify", ("cat", "dog"), False)
    assert found["shapes"].bytes == sum(path.stat().st_size for path in shapes.rglob("*") if path.is_file())
    assert "no pictures" in found["moved"].problem
    assert "dataset.json is damaged" in found["damaged"].problem


@pytest.mark.parametrize("name", ["", ".", "/", "../a", "a\\b", "c:/a", "a\0b"])
def test_a_record_with_a_bad_path_hides_no_other_dataset(workspace: Workspace, shapes: Path, name: str) -> None:
    damaged = copy_recorded(workspace, "shapes", "damaged")
    content = json.loads((damaged / RECORD_NAME).read_text())
    (damaged / RECORD_NAME).write_text(json.dumps(content | {"files": {name: "0"}}))
    with pytest.raises(DataError, match=r"dataset\.json is damaged"):
        read_record(damaged)
    assert [(entry.name, bool(entry.problem)) for entry in list_datasets(workspace)[0]] == [
        ("damaged", True),
        ("shapes", False),
    ]


def test_show_counts_what_is_there(workspace: Workspace, shapes: Path) -> None:
    (shapes / "train" / "labels" / "train-000.txt").write_text("")
    (shapes / "train" / "labels" / "train-001.txt").write_text("1 0.5 0.5 0.5 0.5\n1 0.5 0.5 1 1\n7 0.5 0.5 1 1\n")
    (shapes / "valid" / "images" / "valid-000.png").write_bytes(b"no picture")
    dataset = open_dataset("shapes", workspace)
    details = show_dataset(dataset, workspace)
    assert details.counts == {"train": 4, "valid": 2, "test": 2}
    assert details.classes["train"] == (ClassCount(1, 1), ClassCount(2, 3))
    assert details.empty == {"train": 1, "valid": 0, "test": 0}
    assert details.sizes == (((64, 48), 7),)
    assert details.label_problems == 1
    assert [path.name for path, _ in details.unreadable] == ["valid-000.png"]
    assert details.boxes is not None
    assert details.boxes.most == 2
    assert details.boxes.small + details.boxes.medium + details.boxes.large == 7  # the unreadable picture has no pixels
    assert details.fingerprint == fingerprint(dataset)
    assert details.changed is None


def test_show_notices_what_was_changed_since_the_record(workspace: Workspace, shapes: Path) -> None:
    copy = copy_recorded(workspace, "shapes", "copy")
    details = show_dataset(open_dataset("copy", workspace), workspace)
    assert (details.changed, details.unrecorded) == ((), ())
    assert details.record is not None
    assert details.fingerprint == details.record.fingerprint
    picture = next((copy / "train" / "images").iterdir())
    label = next((copy / "test" / "labels").iterdir())
    picture.write_bytes(picture.read_bytes() + b"\0")
    label.unlink()
    shutil.copy(picture, picture.with_name("new.png"))
    details = show_dataset(open_dataset("copy", workspace), workspace)
    assert details.changed == tuple(sorted(path.relative_to(copy).as_posix() for path in (picture, label)))
    assert [path.name for path in details.unrecorded] == ["new.png"]


def test_what_a_check_has_seen_is_not_read_again_unless_it_changed(
    workspace: Workspace, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset("shapes", workspace)
    before = list(read_contents(dataset))
    check_dataset(dataset, CheckConfig(workers=1))
    read: list[str] = []
    real = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    assert list(read_contents(dataset)) == before
    assert read == []
    changed = shapes / "train" / "images" / "train-001.png"
    changed.write_bytes((shapes / "train" / "images" / "train-002.png").read_bytes())
    after = {item.image.name: content.sha256 for item, content in read_contents(dataset)}
    assert after["train-001.png"] == after["train-002.png"]


def test_diff_of_a_copy_is_nothing_whatever_the_layout(workspace: Workspace, shapes: Path) -> None:
    copy_recorded(workspace, "shapes", "copy")
    found = compare_datasets(open_dataset("shapes", workspace), open_dataset("copy", workspace))
    assert found.nothing
    assert found.same == 8


def test_diff_finds_each_kind_of_change(workspace: Workspace, shapes: Path) -> None:
    other = workspace.datasets / "other"
    shutil.copytree(shapes, other)
    images, labels = other / "train" / "images", other / "train" / "labels"
    (images / "train-000.png").unlink()
    for folder, suffix in (("images", ".png"), ("labels", ".txt")):  # moved, and called something else
        (other / "train" / folder / f"train-001{suffix}").rename(other / "valid" / folder / f"elsewhere{suffix}")
    label = labels / "train-002.txt"
    class_id, *box = label.read_text().split()
    label.write_text(f"{1 - int(class_id)} {' '.join(box)}\n0 0.5 0.5 0.25 0.25\n")
    make_yolo_dataset(workspace.datasets / "more", {"train": 6}, width=40)
    shutil.copy(workspace.datasets / "more" / "train" / "images" / "train-005.png", images)
    shutil.copy(workspace.datasets / "more" / "train" / "images" / "train-003.png", images)  # another one of that name
    found = compare_datasets(open_dataset("shapes", workspace), open_dataset("other", workspace))
    assert found.removed == (shapes / "train" / "images" / "train-000.png",)
    assert found.added == (images / "train-005.png",)
    assert found.rewritten == (images / "train-003.png",)
    assert found.moved == (Moved(other / "valid" / "images" / "elsewhere.png", "train", "valid"),)
    assert found.relabelled == (Relabelled(images / "train-002.png", added=1, removed=0, renamed=1),)
    assert found.same == 4
    assert not found.nothing


def test_another_order_of_classes_is_one_change(workspace: Workspace, shapes: Path) -> None:
    other = workspace.datasets / "other"
    shutil.copytree(shapes, other)
    yaml = other / "data.yaml"
    yaml.write_text(yaml.read_text().replace("- cat\n- dog", "- dog\n- cat\n- emu").replace("nc: 2", "nc: 3"))
    for label in other.rglob("*.txt"):
        label.write_text("".join(f"{1 - int(line[0])}{line[1:]}" for line in label.read_text().splitlines(True)))
    found = compare_datasets(open_dataset("shapes", workspace), open_dataset("other", workspace))
    assert (found.classes_reordered, found.classes_added, found.relabelled) == (True, ("emu",), ())


def test_diff_of_copies_inside_one_dataset(workspace: Workspace) -> None:
    """The same picture twice in train, and once in each of train and test: one moved, none added."""
    root = make_folder_dataset(workspace.datasets / "pets", {"train": 2, "test": 1})
    first = root / "train" / "cat" / "train-0-000.png"
    shutil.copy(first, first.with_name("again.png"))
    other = workspace.datasets / "other"
    shutil.copytree(root, other)
    (other / "train" / "cat" / "again.png").rename(other / "test" / "cat" / "again.png")
    (other / "train" / "dog" / "train-1-000.png").rename(other / "train" / "cat" / "was-dog.png")
    found = compare_datasets(open_dataset("pets", workspace), open_dataset("other", workspace))
    assert [(moved.before, moved.after) for moved in found.moved] == [("train", "test")]
    assert [(change.path.name, change.renamed) for change in found.relabelled] == [("was-dog.png", 1)]
    assert (found.added, found.removed) == ((), ())


def test_rounding_is_no_change_and_half_a_pixel_is(workspace: Workspace, shapes: Path) -> None:
    def with_box(name: str, cx: float) -> Path:
        other = workspace.datasets / name
        shutil.copytree(shapes, other)
        (other / "train" / "labels" / "train-000.txt").write_text(f"0 {cx:.7f} 0.5 0.3 0.3\n")
        return other

    with_box("first", 0.4000049)  # the two round to different fifth decimals
    with_box("rounded", 0.4000051)
    with_box("nudged", 0.405)  # of 64 pixels: a third of one
    with_box("moved", 0.408)
    first = open_dataset("first", workspace)
    assert compare_datasets(first, open_dataset("rounded", workspace)).nothing
    (change,) = compare_datasets(first, open_dataset("moved", workspace)).relabelled
    assert (change.added, change.removed) == (1, 1)
    slightly = compare_datasets(first, open_dataset("nudged", workspace))
    assert ([path.name for path in slightly.nudged], slightly.relabelled) == (["train-000.png"], ())
    assert not slightly.nothing
    told = run_cv("datasets", "diff", "first", "nudged", cwd=workspace.root).stdout
    assert "1 picture with boxes moved slightly (less than half a pixel): train/images/train-000.png" in told
    assert "relabelled" not in told


def test_a_detection_and_a_classification_are_not_compared(workspace: Workspace, shapes: Path) -> None:
    make_folder_dataset(workspace.datasets / "pets")
    with pytest.raises(UsageError, match="no labels in common"):
        compare_datasets(open_dataset("shapes", workspace), open_dataset("pets", workspace))


def test_the_commands(workspace: Workspace, shapes: Path) -> None:
    copy_recorded(workspace, "shapes", "copy-red")
    listed = run_cv("datasets", "--json", cwd=workspace.root)
    assert [entry["name"] for entry in json.loads(listed.stdout)] == ["copy-red", "shapes"]
    shown = run_cv("datasets", "show", "copy-red", "--json", cwd=workspace.root)
    about = json.loads(shown.stdout)
    assert about["counts"] == {"train": 4, "valid": 2, "test": 2}
    assert about["classes"]["train"]["cat"] == {"pictures": 2, "boxes": 2}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", about["created"])
    assert about["changed"] == []
    assert about["origin"]["parent"] == "shapes"
    changed = run_cv("datasets", "diff", "shapes", "copy-red", "--json", cwd=workspace.root)
    assert (changed.returncode, json.loads(changed.stdout)["equal"]) == (0, True)
    for arguments in (["datasets"], ["datasets", "show", "shapes"], ["datasets", "diff", "shapes", "copy-red"]):
        done = run_cv(*arguments, cwd=workspace.root)
        assert done.returncode == 0, done.stderr
        assert done.stdout
    assert run_cv("datasets", "show", "nothing", cwd=workspace.root).returncode == 3


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"only": [], "seed": 0}, ""),
        ({"only": ["copy-within", "yaml-path"], "seed": 3}, " --only copy-within,yaml-path --seed 3"),
        ({"ratios": [70.0, 20.0, 10.0], "folds": 0, "seed": 0}, " --ratios 70/20/10"),
        ({"ratios": [70.0, 20.0, 10.0], "folds": 5, "seed": 0, "fold": 2}, " --folds 5, fold 2"),
        ({"margin": 0.1, "min_size": 16}, " --margin 0.1 --min-size 16"),
    ],
)
def test_what_a_dataset_was_made_with_is_told_as_it_is_typed(options: dict[str, object], shown: str) -> None:
    assert as_typed(options) == shown


def test_class_names_do_not_reach_the_terminal_as_commands(workspace: Workspace, shapes: Path) -> None:
    yaml = shapes / "data.yaml"
    yaml.write_text(yaml.read_text().replace("- cat", '- "c\\x1b[31mat [bold]"'))
    (shapes / "train" / "images" / "train-000.png").rename(shapes / "train" / "images" / "\x1b]0;x\x07.png")
    make_yolo_dataset(workspace.datasets / "other")
    for arguments in (["datasets"], ["datasets", "show", "shapes"], ["datasets", "diff", "shapes", "other"]):
        done = run_cv(*arguments, cwd=workspace.root)
        assert done.returncode == 0, done.stderr
        assert "[31mat [bold]" in done.stdout
        assert "\x1b" not in done.stdout + done.stderr


def test_real_data(test_data: Path, workspace: Workspace) -> None:
    dataset = open_dataset(test_data / "detect" / "waste-yolo", workspace)
    details = show_dataset(dataset, workspace)
    assert details.counts == {"train": 145, "valid": 0, "test": 62}
    boxes = {name: sum(split[i].boxes for split in details.classes.values()) for i, name in enumerate(dataset.names)}
    assert (boxes["b3"], sum(boxes.values())) == (11, 1199)
    assert np.isfinite(details.boxes.median_side)  # type: ignore[union-attr]
