"""A spec in place of Ultralytics' own changes: on every picture with its boxes, also in a run that goes on."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.core.isolation import isolate_ultralytics
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.augment_spec import AugmentSpec, Transform, read_spec
from lensmith.datasets.read import open_dataset
from lensmith.detect.augmented import OWN_CHANGES, SPEC_NAME
from lensmith.detect.view import build_view
from tests.helpers import cv_path, make_yolo_dataset, run_cv

pytestmark = pytest.mark.torch

MIRROR = AugmentSpec("mirror", (Transform("HorizontalFlip", {"p": 1.0}),))
HALF = AugmentSpec("half", (Transform("Crop", {"x_min": 0, "y_min": 0, "x_max": 32, "y_max": 48, "p": 1.0}),))


def trainer_of(tmp_path: Path, spec: AugmentSpec | None, **settings: Any) -> Any:
    """A trainer just before it builds its dataset, and that dataset's folder of pictures."""
    isolate_ultralytics()
    from lensmith.detect.trainer import SafeTrainer

    make_yolo_dataset(tmp_path / "small", {"train": 6, "valid": 2})
    run = tmp_path / "run"
    run.mkdir()
    build_view(open_dataset(tmp_path / "small", Workspace(tmp_path)), run / "data", seed=0)
    if spec:
        (run / SPEC_NAME).write_text(spec.as_yaml(), encoding="utf-8")
    trainer = SafeTrainer(overrides={
        "task": "detect", "mode": "train", "model": "yolov8n.yaml", "pretrained": False, "project": str(run),
        "data": str(run / "data" / "data.yaml"), "name": "train", "exist_ok": True, "epochs": 1, "imgsz": 64,
        "batch": 4, "device": "cpu", "plots": False, "verbose": False, "workers": 0, **OWN_CHANGES, **settings,
    })  # fmt: skip
    trainer.setup_model()
    return trainer


def boxes_of(label: dict[str, Any]) -> np.ndarray:
    instances = label["instances"]
    instances.convert_bbox("xywh")
    instances.normalize(*label["img"].shape[1::-1])
    return instances.bboxes


def test_every_picture_is_changed_with_its_boxes(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, MIRROR, mosaic=0.0)
    images = str(tmp_path / "run" / "data" / "train" / "images")
    changed, plain = trainer.build_dataset(images, batch=4), trainer.build_dataset(images, mode="val", batch=4)
    for index in range(6):
        new, old = changed.get_image_and_label(index), plain.get_image_and_label(index)
        assert np.array_equal(new["img"], old["img"][:, ::-1])
        expected = boxes_of(old).copy()
        expected[:, 0] = 1 - expected[:, 0]
        assert boxes_of(new) == pytest.approx(expected, abs=1e-4)
        assert np.array_equal(new["cls"], old["cls"])
    # The whole way through the library's own pipeline, with the mosaic it ends without: nothing else is changed.
    changed.close_mosaic(trainer.args)
    sample = changed[0]
    picture = sample["img"].permute(1, 2, 0).numpy()
    assert picture.shape == (64, 64, 3)
    assert np.abs(picture[8:56, :, ::-1].astype(int) - changed.get_image_and_label(0)["img"]).mean() < 2


def test_crops_come_nearer_and_fit_into_a_batch_with_a_mosaic(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, HALF)
    dataset = trainer.build_dataset(str(tmp_path / "run" / "data" / "train" / "images"), batch=4)
    label = dataset.get_image_and_label(0)
    assert label["img"].shape[:2] == label["resized_shape"] == (64, 43)
    assert len(label["cls"]) == len(label["instances"].bboxes)
    batch = dataset.collate_fn([dataset[index] for index in range(4)])
    assert tuple(batch["img"].shape) == (4, 3, 64, 64)
    assert float(batch["bboxes"].min()) >= 0
    assert float(batch["bboxes"].max()) <= 1


def test_each_draw_differs_and_the_reader_can_be_sent_to_another_process(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, read_spec("heavy"))
    dataset = trainer.build_dataset(str(tmp_path / "run" / "data" / "train" / "images"), batch=4)
    assert len({dataset.get_image_and_label(0)["img"].tobytes() for _ in range(5)}) == 5
    sent = pickle.loads(pickle.dumps(dataset.get_image_and_label))
    assert sent(0)["img"].dtype == np.uint8


def test_without_a_spec_the_library_is_left_alone(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, None)
    dataset = trainer.build_dataset(str(tmp_path / "run" / "data" / "train" / "images"), batch=4)
    assert "get_image_and_label" not in vars(dataset)


def _said_until(line_start: str, arguments: list[str], cwd: Path) -> str:
    """Run `cv` until it has said this line, kill it, and return what it said."""
    with subprocess.Popen(
        [cv_path(), *arguments], cwd=cwd, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith(line_start):
                os.killpg(process.pid, signal.SIGKILL)
        return "".join(said)


def test_a_run_that_goes_on_takes_its_spec_from_its_record(workspace: Workspace, tmp_path: Path) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    mine = tmp_path / "mine.yaml"
    mine.write_text("transforms:\n  - HorizontalFlip: {p: 1}\n  - ToGray: {p: 0.5}\n")
    sha256 = read_spec(mine).sha256
    said = _said_until(
        "epoch 1/3",
        ["train-yolo", "small", "--model", "yolov8n", "--from-scratch", "--epochs", "3", "--imgsz", "64",
         "--batch", "4", "--device", "cpu", "--augment", str(mine), "--set", "hsv_h=0.1"], workspace.root,
    )  # fmt: skip
    told = f"augmentation: mine.yaml (HorizontalFlip, ToGray), sha256 {sha256[:8]}"
    assert told in said
    assert "off but for hsv_h" in said
    (run,) = workspace.runs.iterdir()
    assert RunManifest.load(run).options["augment"]["sha256"] == sha256
    mine.unlink()
    (run / SPEC_NAME).unlink()

    said = _said_until("epoch 2/3", ["resume", run.name], workspace.root)
    assert told in said
    assert "going on after epoch 1 of 3" in said
    assert read_spec(run / SPEC_NAME).sha256 == sha256
    arguments = (run / "train" / "args.yaml").read_text()
    assert "fliplr: 0.0" in arguments
    assert "hsv_h: 0.1" in arguments
    assert "mosaic: 1.0" in arguments


def test_a_bad_spec_ends_before_a_run_begins(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "small")
    (workspace.root / "bad.yaml").write_text("transforms:\n  - HorizontalFlip: {prob: 1}\n")
    done = run_cv("train-yolo", "small", "--from-scratch", "--augment", "bad.yaml", cwd=workspace.root)
    assert done.returncode == 2, done.stderr
    assert "bad.yaml, line 2" in done.stderr
    assert not workspace.runs.exists()
