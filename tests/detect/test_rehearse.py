"""A rehearsal: what it chooses, what it says of a stage that fails, and the whole of it."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from lensmith.core.errors import DataError, LensmithError
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.detect.config import YoloConfig
from lensmith.detect.rehearse import STAGES
from lensmith.detect.rehearse_parts import Measured, choose_pictures, estimate_of, write_pictures
from lensmith.detect.rehearse_process import Child
from tests.detect.odd import hashes
from tests.helpers import make_yolo_dataset, run_cv


def test_eight_pictures_are_chosen_with_all_classes_and_none_that_cannot_be_read(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "many", {"train": 30, "valid": 6}, names=("a", "b", "c", "d", "e"))
    for number in range(0, 30, 2):
        (root / "train" / "images" / f"train-{number:03d}.png").write_bytes(b"no picture")
    (root / "train" / "labels" / "train-001.txt").write_text("")
    dataset = open_dataset("many", workspace)
    chosen = choose_pictures(dataset)
    assert {split: len(items) for split, items in chosen.items()} == {"train": 6, "valid": 2}
    names = [item.image.name for item in chosen["train"]]
    assert len(set(names)) == 6
    assert all(int(name[6:9]) % 2 for name in names)
    assert "train-001.png" not in names
    assert {int(dataset.boxes(item)[0].class_id[0]) for item in chosen["train"]} == {0, 1, 2, 3, 4}

    place = Workspace(workspace.root / "elsewhere")
    write_pictures(dataset, chosen, place, "rehearsal")
    copied = open_dataset("rehearsal", place)
    assert copied.names == dataset.names
    assert copied.count("train") == 6
    assert sum(len(copied.boxes(item)[0]) for item in copied.items()) == 8


def test_without_a_valid_split_pictures_to_validate_on_come_from_train(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "few", {"train": 3})
    chosen = choose_pictures(open_dataset("few", workspace))
    assert len(chosen["train"]) == 3
    assert len(chosen["valid"]) == 2


def test_a_dataset_without_training_boxes_cannot_be_rehearsed(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "bare")
    for label in (root / "train" / "labels").iterdir():
        label.write_text("")
    with pytest.raises(DataError, match="No train picture"):
        choose_pictures(open_dataset("bare", workspace))


def test_the_long_run_is_estimated_from_the_steps_of_the_short_one(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "small", {"train": 30, "valid": 6})
    dataset = open_dataset("small", workspace)
    measured = Measured(step_seconds=0.3, batch=3, imgsz=320, checkpoint_bytes=10, bundle_bytes=4)
    long = estimate_of(dataset, YoloConfig(epochs=10), measured, imgsz=640)
    assert long.epoch_seconds == pytest.approx(0.1 * 4 * (30 + 6 / 3))
    assert long.seconds == pytest.approx(10 * long.epoch_seconds)
    assert (long.run_bytes, long.bundle_bytes) == (20, 4)
    assert estimate_of(dataset, YoloConfig(epochs=10, time=60), measured, imgsz=640).seconds == 60


def _child(code: str, tmp_path: Path) -> Child:
    return Child([sys.executable, "-c", code], tmp_path / "said.txt")


def test_a_process_that_fails_is_quoted(tmp_path: Path) -> None:
    child = _child(
        "import sys; print('chatter'); print('The weights are gone.', file=sys.stderr); sys.exit(3)", tmp_path
    )
    with pytest.raises(LensmithError, match="The weights are gone") as raised:
        child.wait_for(lambda: False)
    assert "chatter" not in str(raised.value)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_a_process_that_the_system_ends_is_told_as_such(tmp_path: Path) -> None:
    child = _child("import os; os.kill(os.getpid(), 9)", tmp_path)
    with pytest.raises(LensmithError, match=r"The system ended it \(SIGKILL\); mostly because memory is short"):
        child.end()


def test_a_mark_ends_the_waiting_and_a_kill_the_process(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    child = _child(f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(600)", tmp_path)
    child.wait_for(mark.exists)
    child.kill()
    child.kill()
    with pytest.raises(LensmithError):
        child.end()


def test_a_stage_that_fails_ends_the_rehearsal_with_its_reason(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    done = run_cv("train-yolo", "small", "--weights", "none.pt", "--rehearse", "--json", cwd=workspace.root)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert not told["ok"]
    (stage,) = told["stages"]
    assert stage["name"] == "check"
    assert "no such weights file" in stage["problem"]
    assert not workspace.runs.exists()


@pytest.mark.slow
@pytest.mark.torch
def test_every_stage_of_a_training_is_rehearsed_and_nothing_stays(workspace: Workspace, tmp_path: Path) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    before = hashes(workspace.root)
    done = run_cv(
        "train-yolo", "small", "--model", "yolov8n", "--from-scratch", "--imgsz", "64", "--device", "cpu", "--rehearse",
        "--json", cwd=workspace.root, env={"CV_CACHE": str(tmp_path / "cache")}, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    assert [stage["name"] for stage in told["stages"]] == list(STAGES)
    assert told["ok"]
    assert told["estimate"]["epoch_seconds"] > 0
    assert told["estimate"]["bundle_bytes"] > 1 << 20
    assert hashes(workspace.root) == before
    assert list((tmp_path / "cache" / "rehearsal").iterdir()) == []
