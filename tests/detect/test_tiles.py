"""Whether tiles pay is asked of the validation pictures, and the answer goes into the bundle."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.detect.config import YoloConfig
from lensmith.detect.evaluate import Evaluation, evaluate_detector, evaluate_items
from lensmith.detect.tiles import choose_tiles, sizes_to_try
from lensmith.detect.train import train_yolo
from lensmith.predict.model import Model, open_model
from lensmith.weights.bundle import Bundle, Tiles, rewrite_bundle
from tests.helpers import make_yolo_dataset
from tests.predict.make_bundle import COLOURS, blocks, make_detector

_PICTURES = 8


def _make(workspace: Workspace, side: int, width: int = 512, height: int = 320) -> Dataset:
    """Coloured blocks of this many pixels, where the tiles' cells are, so that the model of blocks can find them."""
    root = workspace.datasets / f"blocks-{side}-{width}"
    rng = np.random.default_rng(0)
    for split in ("train", "valid"):
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True)
        for number in range(_PICTURES):
            places = 16 * rng.permutation((width // 16 - side // 16) * (height // 16 - side // 16))[:5]
            columns = width // 16 - side // 16
            found, rows = [], []
            for place in (places // 16).tolist():
                x, y, channel = 16 * (place % columns), 16 * (place // columns), int(rng.integers(0, 3))
                if any(abs(x - a) < side + 16 and abs(y - b) < side + 16 for a, b, *_ in found):
                    continue
                found.append((x, y, x + side, y + side, channel))
                box = (x + side / 2) / width, (y + side / 2) / height, side / width, side / height
                rows.append(f"{channel} {' '.join(f'{value:.6f}' for value in box)}\n")
            data = cv2.imencode(".png", blocks(width, height, *found))[1].tobytes()
            (root / split / "images" / f"{split}-{number}.png").write_bytes(data)
            (root / split / "labels" / f"{split}-{number}.txt").write_text("".join(rows))
    data = {"train": "../train/images", "val": "../valid/images", "names": list(COLOURS)}
    (root / "data.yaml").write_text(yaml.safe_dump(data))
    return open_dataset(root, workspace)


@pytest.fixture
def cells(workspace: Workspace) -> Bundle:
    """Finds blocks of 16 pixels of its 128 pixels of input."""
    return make_detector(workspace.weights / "cells")


def _plain(bundle: Bundle, dataset: Dataset) -> tuple[Evaluation, Model]:
    model = open_model(bundle)
    return evaluate_items(bundle, model, dataset, list(dataset.items("valid")), "valid"), model


def test_small_things_in_large_pictures_are_worth_a_trial(workspace: Workspace, cells: Bundle) -> None:
    small, _ = _plain(cells, _make(workspace, 16))
    assert sizes_to_try(small) == (Tiles(size=128), Tiles(size=256))
    no_larger, _ = _plain(cells, _make(workspace, 16, 160, 128))
    assert sizes_to_try(no_larger) == ()
    large, _ = _plain(cells, _make(workspace, 128))  # 32 pixels at the input
    assert sizes_to_try(large) == ()


def test_tiles_that_pay_are_chosen_and_said(
    workspace: Workspace, cells: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = _make(workspace, 16)
    plain, model = _plain(cells, dataset)
    items = list(dataset.items("valid"))
    choice = choose_tiles(plain, model, dataset, items, "auto", None)
    assert choice.tiles == Tiles(size=128)
    assert choice.trial is not None
    assert choice.trial["used"] is True
    assert choice.trial["in_tiles"]["value"] > choice.trial["whole_pictures"]["value"] + 0.3
    assert choice.trial["difference"]["low"] > 0
    assert "tiles pay: mAP50-95 on 8 validation pictures" in capsys.readouterr().err
    # What was measured is what the bundle gives once it says so.
    detector = cells.record.detector
    assert detector is not None
    record = cells.record.model_copy(update={"detector": detector.model_copy(update={"tiles": choice.tiles})})
    measured = evaluate_detector(rewrite_bundle(cells, record), dataset, "valid")
    assert measured.scores.as_metrics() == choice.valid.scores.as_metrics()


def test_tiles_that_do_not_pay_are_left(
    workspace: Workspace, cells: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = _make(workspace, 64)  # just what the model finds in a whole picture
    plain, model = _plain(cells, dataset)
    items = list(dataset.items("valid"))
    assert choose_tiles(plain, model, dataset, items, "off", None).trial is None
    choice = choose_tiles(plain, model, dataset, items, "auto", None)
    assert choice.tiles is None
    assert choice.valid is plain
    assert choice.trial is not None
    assert choice.trial["used"] is False
    assert "tiles do not pay" in capsys.readouterr().err
    # A person who insists gets them, with the same figures.
    monkeypatch.setattr("lensmith.detect.tiles._GLANCE", 3)  # what is worse on these is not tried on the others
    insisted = choose_tiles(plain, model, dataset, items, "on", Tiles(size=128))
    assert insisted.tiles == Tiles(size=128)
    assert len(insisted.valid) == len(plain)
    assert "on 3 validation pictures" in capsys.readouterr().err


def test_nothing_is_tried_where_no_picture_is_larger_than_a_tile(workspace: Workspace, cells: Bundle) -> None:
    dataset = _make(workspace, 16, 128, 128)
    plain, model = _plain(cells, dataset)
    choice = choose_tiles(plain, model, dataset, list(dataset.items("valid")), "on", Tiles(size=128))
    assert (choice.tiles, choice.trial) == (None, None)


def test_tiles_that_were_trained_on_are_taken_untried_where_no_box_can_tell(
    workspace: Workspace, cells: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = _make(workspace, 16)
    for label in (dataset.root / "valid" / "labels").iterdir():
        label.write_text("")
    plain, model = _plain(cells, dataset)
    items = list(dataset.items("valid"))
    assert choose_tiles(plain, model, dataset, items, "auto", None).valid is plain
    choice = choose_tiles(plain, model, dataset, items, "on", Tiles(size=128))
    assert (choice.tiles, choice.trial) == (Tiles(size=128), None)
    assert sum(len(one.found) for one in choice.valid.pictures) > sum(len(one.found) for one in plain.pictures)
    assert "whether that pays nobody can tell" in capsys.readouterr().err


@pytest.mark.torch
def test_a_training_on_tiles_ends_in_a_bundle_that_uses_them(workspace: Workspace) -> None:
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "large", width=160, height=120), workspace)
    config = YoloConfig(model="yolo26n", from_scratch=True, epochs=1, imgsz=64, batch=8, device="cpu", tiles="on")
    done = train_yolo(dataset, workspace, config)
    record = done.bundle.record
    assert record.detector is not None
    assert record.detector.tiles == Tiles(size=64)
    told = json.loads((done.run / "run.json").read_text())["result"]
    assert told["tiles"]["used"] is True
    assert told["tiles"]["size"] == 64
    assert told["pictures"]["train"] > 4
    assert not Path(done.run / "data").exists()
    assert "in tiles of 64 pixels and as a whole" in (done.bundle.folder / "README.md").read_text(encoding="utf-8")
