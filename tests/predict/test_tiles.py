"""Pictures in tiles: what is found must be what is there, as if the picture had been looked at as a whole."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.errors import UsageError
from lensmith.core.workspace import Workspace
from lensmith.predict.engines.onnx import OnnxEngine
from lensmith.predict.loop import predict_frames
from lensmith.predict.merge import merge_tiles
from lensmith.predict.model import Model
from lensmith.predict.results import Detections, Frame
from lensmith.predict.tiles import Tiled, as_used, tile_places
from lensmith.weights.bundle import Bundle, DetectorRecord, Tiles, rewrite_bundle
from tests.helpers import run_cv

from .make_bundle import SIZE, blocks, make_classifier, make_detector

_EVERY = np.zeros(3)


@pytest.fixture
def cells(tmp_path: Path) -> Bundle:
    return make_detector(tmp_path / "cells")


def _found(*rows: tuple[float, float, float, float, int, float]) -> Detections:
    """Detections of one tile from rows of x1, y1, x2, y2, class, confidence."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4].astype(np.int64), table[:, 5])


def _answer(predictor: Model | Tiled, bgr: np.ndarray, confidence: float | None = None) -> Detections:
    (done,) = predict_frames([Frame(bgr, "made")], predictor, confidence=confidence)
    assert isinstance(done.result, Detections)
    return done.result


@pytest.mark.parametrize(("width", "height"), [(1000, 720), (640, 2000), (4000, 3000), (705, 640)])
def test_tiles_cover_all_and_overlap_enough(width: int, height: int) -> None:
    tiles = Tiles(size=640, overlap=0.2)
    whole, *rest = tile_places(width, height, tiles).tolist()
    assert whole == [0, 0, width, height]
    seen = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in rest:
        assert (x2 - x1, y2 - y1) == (min(640, width), min(640, height))
        seen[y1:y2, x1:x2] = True
    assert seen.all()
    for side in (0, 1):
        starts = sorted({place[side] for place in rest})
        assert all(step <= 0.8 * 640 + 1 for step in np.diff(starts))


@pytest.mark.parametrize(("width", "height"), [(640, 480), (640, 640), (700, 704), (20, 30)])
def test_a_picture_hardly_larger_than_a_tile_is_one_tile(width: int, height: int) -> None:
    np.testing.assert_array_equal(tile_places(width, height, Tiles(size=640)), [[0, 0, width, height]])


def test_one_tile_gives_what_the_model_gives(cells: Bundle) -> None:
    model = Model(cells, OnnxEngine(cells))
    rng = np.random.default_rng(0)
    for width, height in ((128, 128), (100, 60), (139, 90)):
        picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        plain, tiled = _answer(model, picture, 0.01), _answer(Tiled(model, Tiles(size=SIZE)), picture, 0.01)
        assert len(plain)
        for name in ("xyxy", "class_id", "confidence"):
            np.testing.assert_array_equal(getattr(tiled, name), getattr(plain, name))


def test_small_things_in_a_large_picture(cells: Bundle) -> None:
    model = Model(cells, OnnxEngine(cells))
    # Tiles of 128 at 0, 96, 192, ...; the model sees cells of 16 pixels.
    places = [(32, 16, 0), (208, 112, 1), (400, 224, 2), (96, 96, 2)]
    picture = blocks(512, 320, *((x, y, x + 16, y + 16, c) for x, y, c in places))
    assert not len(_answer(model, picture, 0.9))
    found = _answer(Tiled(model, Tiles(size=128, overlap=0.25)), picture, 0.9)
    assert sorted((int(b[0]), int(b[1]), int(c)) for b, c in zip(found.xyxy, found.class_id, strict=True)) == sorted(
        places
    )
    np.testing.assert_allclose(found.xyxy[:, 2:] - found.xyxy[:, :2], 16)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_what_every_tile_sees_rightly_comes_out_rightly(seed: int, whole: bool) -> None:
    """Things in a crowd, of two classes; each tile reports what it sees of each of which at least a third is in it."""
    rng = np.random.default_rng(seed)
    places = tile_places(700, 500, Tiles(size=200, overlap=0.3, whole=whole))
    centre, side = rng.uniform([30, 30], [670, 470], (60, 2)), rng.uniform(12, 58, (60, 2))
    things = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    alone = [i for i in range(60) if not any(_iou(things[i], things[j]) > 0.45 for j in range(i))]
    things = things[alone]
    class_id = rng.integers(0, 2, len(things))
    found = []
    for x1, y1, x2, y2 in places.tolist():
        inside = np.clip(things, [x1, y1, x1, y1], [x2, y2, x2, y2])
        share = np.clip(inside[:, 2:] - inside[:, :2], 0, None).prod(axis=1) / side[alone].prod(axis=1)
        rows = [(*(inside[i] - [x1, y1, x1, y1]), int(class_id[i]), rng.uniform(0.4, 0.9))
                for i in np.flatnonzero(share > 1 / 3)]  # fmt: skip
        found.append(_found(*rows))
    merged = merge_tiles(found, places, _EVERY, 300)
    assert len(merged) == len(things)
    order = [int(np.abs(merged.xyxy - thing).sum(axis=1).argmin()) for thing in things]
    np.testing.assert_allclose(merged.xyxy[order], things, atol=1e-3)
    np.testing.assert_array_equal(merged.class_id[order], class_id)
    assert (np.diff(merged.confidence) <= 0).all()


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared))


# Two tiles, 0..100 and 80..180, and in front of them the whole where a test wants it.
_WHOLE, _PAIR = [0, 0, 180, 100], [[0, 0, 100, 100], [80, 0, 180, 100]]


def test_a_half_at_an_edge_gives_way_to_the_whole_even_if_surer() -> None:
    pair = [_found((85, 10, 100, 50, 0, 0.9)), _found((5, 10, 45, 50, 0, 0.6))]
    merged = merge_tiles(pair, np.array(_PAIR), _EVERY, 300)
    np.testing.assert_allclose(merged.xyxy, [[85, 10, 125, 50]])
    np.testing.assert_allclose(merged.confidence, [0.9])


def test_a_half_that_was_taken_for_something_else_gives_way_too() -> None:
    pair = [_found((85, 10, 100, 50, 1, 0.9)), _found((5, 10, 45, 50, 0, 0.6))]
    merged = merge_tiles(pair, np.array(_PAIR), _EVERY, 300)
    np.testing.assert_array_equal(merged.class_id, [0])
    np.testing.assert_allclose(merged.xyxy, [[85, 10, 125, 50]])


def test_a_faint_ghost_does_not_redraw_a_sure_half() -> None:
    pair = [_found((85, 10, 100, 50, 0, 0.9)), _found((5, 10, 45, 50, 0, 0.1))]
    merged = merge_tiles(pair, np.array(_PAIR), _EVERY, 300)
    np.testing.assert_allclose(merged.xyxy, [[85, 10, 100, 50]])


def test_parts_that_no_tile_sees_whole_become_one() -> None:
    places = np.array([[0, 0, 100, 100], [80, 0, 180, 100], [160, 0, 260, 100]])
    parts = [_found((30, 10, 100, 50, 0, 0.6)), _found((0, 11, 100, 50, 0, 0.9)), _found((0, 10, 40, 52, 0, 0.7))]
    merged = merge_tiles(parts, places, _EVERY, 300)
    np.testing.assert_allclose(merged.xyxy, [[30, 10, 200, 52]])


def test_a_large_thing_seen_whole_takes_its_parts_and_leaves_what_is_on_it() -> None:
    places = np.array([_WHOLE, *_PAIR])
    found = [
        _found((20, 5, 170, 95, 0, 0.8)),
        _found((21, 4, 100, 95, 0, 0.85), (40, 30, 60, 50, 0, 0.7), (10, 40, 20, 50, 1, 0.5)),
        _found((0, 6, 89, 95, 0, 0.6)),
    ]
    merged = merge_tiles(found, places, _EVERY, 300)
    np.testing.assert_allclose(merged.xyxy, [[20, 5, 170, 95], [40, 30, 60, 50], [10, 40, 20, 50]])


def test_neighbours_in_one_tile_are_left_to_the_model() -> None:
    near = _found((10, 10, 50, 50, 0, 0.9), (20, 10, 60, 50, 0, 0.8))  # they overlap by 0.6
    merged = merge_tiles([near, _found()], np.array(_PAIR), _EVERY, 300)
    assert len(merged) == 2


def test_thresholds_hold_and_a_lower_one_changes_nothing_above_it(cells: Bundle) -> None:
    """What is measured down to 0.001 is what comes out at 0.25, only longer."""
    tiled = Tiled(Model(cells, OnnxEngine(cells)), Tiles(size=100, overlap=0.3))
    rng = np.random.default_rng(5)
    for _ in range(5):
        picture = cv2.resize(rng.integers(60, 200, (9, 12, 3), dtype=np.uint8), (200, 150))
        low, usual = _answer(tiled, picture, 0.001), _answer(tiled, picture)
        above = low.confidence > 0.25
        assert 0 < above.sum() < len(low)
        np.testing.assert_array_equal(usual.xyxy, low.xyxy[above])
        np.testing.assert_array_equal(usual.confidence, low.confidence[above])


def test_at_most_max_det(cells: Bundle) -> None:
    record = cells.record.model_copy(update={"detector": DetectorRecord(family="cells", output="raw", max_det=3)})
    tiled = Tiled(Model(Bundle(cells.folder, record), OnnxEngine(cells)), Tiles(size=128))
    picture = blocks(512, 320, *((x, 16, x + 16, 32, 0) for x in range(0, 400, 48)))
    assert len(_answer(tiled, picture, 0.3)) == 3


def test_a_large_picture_takes_no_memory_to_speak_of(cells: Bundle) -> None:
    """Of 12 megapixels in 1,000 tiles only one batch is there at a time."""
    tiled = Tiled(Model(cells, OnnxEngine(cells)), Tiles(size=128))
    picture = np.full((3000, 4000, 3), 90, np.uint8)
    tracemalloc.start()
    try:
        ready = tiled.prepare(picture)
        assert len(ready.places) > 1000
        tiled.decode(tiled.infer([ready])[0], ready, 0.25)
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


def test_the_record_says_what_is_usual(cells: Bundle, tmp_path: Path) -> None:
    engine, tiles = OnnxEngine(cells), Tiles(size=200, overlap=0.3, whole=False)
    detector = cells.record.detector
    assert detector is not None
    noted = cells.record.model_copy(update={"detector": detector.model_copy(update={"tiles": tiles})})
    plain, told = Model(cells, engine), Model(Bundle(cells.folder, noted), engine)
    assert as_used(plain) is plain
    assert as_used(told, False) is told
    for model, wanted, expected in ((told, None, tiles), (told, True, tiles), (plain, True, Tiles(size=SIZE))):
        used = as_used(model, wanted)
        assert isinstance(used, Tiled)
        assert used.tiles == expected
    tint = make_classifier(tmp_path / "tint")
    classifier = Model(tint, OnnxEngine(tint))
    assert as_used(classifier) is classifier
    with pytest.raises(UsageError, match="Only a detector"):
        as_used(classifier, True)


def test_the_command(workspace: Workspace) -> None:
    bundle = make_detector(workspace.weights / "cells")
    picture = workspace.root / "shot.png"
    picture.write_bytes(cv2.imencode(".png", blocks(512, 320, (96, 96, 112, 112, 2)))[1].tobytes())

    def found(*options: str) -> list[list[float]]:
        done = run_cv("predict", "shot.png", "--weights", "cells", "--json", *options, cwd=workspace.root)
        assert done.returncode == 0, done.stderr
        return [one["xyxy"] for one in json.loads(done.stdout)["detections"]]

    assert found() == []
    assert found("--tiles") == [[96, 96, 112, 112]]
    detector = bundle.record.detector
    assert detector is not None
    record = bundle.record.model_copy(update={"detector": detector.model_copy(update={"tiles": Tiles(size=128)})})
    rewrite_bundle(bundle, record)
    assert found("--save") == [[96, 96, 112, 112]]
    (run,) = workspace.runs.iterdir()
    assert json.loads((run / "run.json").read_text())["options"]["tiles"]["size"] == 128
    assert found("--no-tiles") == []
