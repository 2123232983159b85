"""Training pictures in tiles."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import LensmithError
from lensmith.core.images import read_image
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Boxes
from lensmith.datasets.read import open_dataset
from lensmith.detect.sliced import cut
from lensmith.detect.view import build_view, read_view, view_stands
from lensmith.weights.bundle import Tiles
from tests.detect.odd import hashes
from tests.helpers import make_yolo_dataset

_TILES = Tiles(size=64, overlap=0.25)


def _boxes(*rows: tuple[int, float, float, float, float], width: int, height: int) -> Boxes:
    """Boxes from class, x1, y1, x2, y2 in pixels."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    x1, y1, x2, y2 = (table[:, 1:] / [width, height, width, height]).T
    cxcywh = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1).astype(np.float32)
    return Boxes(cxcywh, table[:, 0].astype(np.int64))


def test_boxes_are_clipped_and_a_sliver_of_one_is_left_out() -> None:
    # The tiles lie at 0..64, 48..112 and 96..160; the second box has 10 of its 30 columns in the first.
    boxes = _boxes((0, 10, 10, 30, 20), (1, 54, 20, 84, 40), (0, 90, 0, 130, 64), width=160, height=64)
    parts = {part.place[0]: part.boxes for part in cut(160, 64, boxes, _TILES, 0)}
    assert sorted(parts) == [0, 48, 96]
    assert parts[0].class_id.tolist() == [0]
    np.testing.assert_allclose(parts[0].xyxy(64, 64), [[10, 10, 30, 20]], atol=1e-4)
    assert parts[48].class_id.tolist() == [1, 0]
    np.testing.assert_allclose(parts[48].xyxy(64, 64), [[6, 20, 36, 40], [42, 0, 64, 64]], atol=1e-4)
    np.testing.assert_allclose(parts[96].xyxy(64, 64), [[0, 0, 34, 64]], atol=1e-4)


def test_no_tiles_of_a_small_picture_or_one_without_boxes() -> None:
    assert cut(70, 64, _boxes((0, 1, 1, 9, 9), width=70, height=64), _TILES, 0) == []
    assert cut(640, 640, Boxes.empty(), _TILES, 0) == []


def test_few_of_the_empty_tiles_are_kept() -> None:
    boxes = _boxes((0, 10, 10, 40, 40), (0, 600, 600, 630, 630), width=640, height=640)
    parts = cut(640, 640, boxes, _TILES, 0)
    assert [len(part.boxes) for part in parts] == [1, 1, 0]
    other = [cut(640, 640, boxes, _TILES, seed)[2].place for seed in range(5)]
    assert len(set(other)) > 1
    assert cut(640, 640, boxes, _TILES, 0)[2].place == parts[2].place


def test_a_view_in_tiles(workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_yolo_dataset(workspace.datasets / "large", width=160, height=120)
    dataset = open_dataset(root, workspace)
    before = hashes(root)
    report = build_view(dataset, tmp_path / "data", seed=0, tiles=_TILES)
    assert hashes(root) == before
    assert read_view(tmp_path / "data") == report
    assert report.parts > 0
    assert sum(report.counts.values()) == len(report.sources) == 6 + report.parts
    assert report.most_boxes == 1
    assert view_stands(tmp_path / "data", dataset)
    seen = 0
    for name, source in report.sources.items():
        picture = tmp_path / "data" / name
        label = (tmp_path / "data" / name.replace("/images/", "/labels/")).with_suffix(".txt")
        if "-" not in picture.stem:
            assert picture.samefile(source)
            continue
        bgr = read_image(picture)
        assert bgr.shape == (64, 64, 3)
        for row in label.read_text().splitlines():
            class_id, cx, cy, w, h = map(float, row.split())
            assert min(cx - w / 2, cy - h / 2) > -1e-6
            assert max(cx + w / 2, cy + h / 2) < 1 + 1e-6
            # A cat's box is red and a dog's blue, see make_yolo_dataset: the box lies where its colour is.
            inside = bgr[int(64 * (cy - h / 2)) + 2 : int(64 * (cy + h / 2)) - 2]
            inside = inside[:, int(64 * (cx - w / 2)) + 2 : int(64 * (cx + w / 2)) - 2].reshape(-1, 3)
            wanted = [(40, 40, 220), (220, 40, 40)][int(class_id)]
            assert np.abs(inside.mean(axis=0) - wanted).max() < 25
            seen += 1
    assert seen > 6
    assert "tiles of 64 pixels: about" in capsys.readouterr().err


def test_without_room_on_the_disk_nothing_is_begun(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "large", width=160, height=120), workspace)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(0, 0, 1000))
    with pytest.raises(LensmithError, match="The tiles need about"):
        build_view(dataset, tmp_path / "data", seed=0, tiles=_TILES)
    assert not (tmp_path / "data").exists()


def test_small_pictures_stay_whole_and_it_is_said(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "small"), workspace)
    report = build_view(dataset, tmp_path / "data", seed=0, tiles=_TILES)
    assert report.parts == 0
    assert "tiles change nothing" in capsys.readouterr().err


def test_polygons_are_told_once(workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_yolo_dataset(workspace.datasets / "outlined")
    for label in (root / "train" / "labels").iterdir():
        label.write_text("0 0.2 0.2 0.6 0.3 0.5 0.7\n1 0.5 0.5 0.2 0.2\n")
    report = build_view(open_dataset(root, workspace), tmp_path / "data", seed=0)
    assert report.polygons == 4
    assert capsys.readouterr().err.count("4 objects are outlined by polygons") == 1
