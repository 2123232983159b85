"""Matching, average precision, what the draws say of it, curves and confusion."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import DataError, NotFoundError
from lensmith.detect.curves import CONFIDENCES
from lensmith.detect.evaluate import Evaluation, Picture, read_evaluation
from lensmith.detect.matching import assign, match_pictures, pairwise_iou
from lensmith.detect.metrics import FIGURES
from lensmith.detect.precision import class_precision, draw_precision
from lensmith.predict.results import Detections, Skipped
from lensmith.report.bootstrap import draw_counts

BOX = [10.0, 10.0, 30.0, 30.0]
FAR = [60.0, 60.0, 80.0, 80.0]


def found_of(*rows: tuple[list[float], int, float]) -> Detections:
    return Detections(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float32),
    )


def true_of(*rows: tuple[list[float], int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([r[0] for r in rows], np.float32).reshape(-1, 4), np.array([r[1] for r in rows], np.int64)


def evaluation_of(*pictures: tuple[list, list], names: tuple[str, ...] = ("a", "b")) -> Evaluation:
    """An evaluation of pictures of 100 x 100 pixels, each with what was found and what is there; threshold 0.25."""
    made = tuple(
        Picture(Path(f"/{number}.png"), 100, 100, found_of(*found), *true_of(*true))
        for number, (found, true) in enumerate(pictures)
    )
    return Evaluation("m", "test", names, made, (), np.full(len(names), 0.25, np.float32))


@pytest.mark.parametrize(
    ("found", "true", "at_50"),
    [
        pytest.param([(BOX, 0, 0.9)], [(BOX, 0)], [0], id="exact"),
        pytest.param([(BOX, 1, 0.9)], [(BOX, 0)], [-1], id="another class"),
        pytest.param([(FAR, 0, 0.9)], [(BOX, 0)], [-1], id="elsewhere"),
        pytest.param([(BOX, 0, 0.9), (BOX, 0, 0.8)], [(BOX, 0)], [0, -1], id="found twice"),
        pytest.param([(BOX, 0, 0.8), (BOX, 0, 0.9)], [(BOX, 0)], [-1, 0], id="the surer one counts"),
        pytest.param([(BOX, 0, 0.9), (FAR, 0, 0.8)], [(FAR, 0), (BOX, 0)], [1, 0], id="each to its own"),
        pytest.param([(BOX, 0, 0.9)], [], [-1], id="nothing there"),
        pytest.param([], [(BOX, 0)], [], id="nothing found"),
    ],
)
def test_matching(found: list, true: list, at_50: list[int]) -> None:
    assert assign(found_of(*found), *true_of(*true))[:, 0].tolist() == at_50


def test_a_shifted_box_counts_up_to_its_overlap() -> None:
    shifted = [12.0, 10.0, 32.0, 30.0]  # 18 x 20 shared of 440: 0.818
    assert pairwise_iou(np.array([BOX]), np.array([shifted]))[0, 0] == pytest.approx(360 / 440)
    assert assign(found_of((shifted, 0, 0.9)), *true_of((BOX, 0)))[0].tolist() == [0] * 7 + [-1] * 3


def _worth(found: list, true: list) -> dict[str, float]:
    return evaluation_of((found, true)).scores.as_metrics()


def test_figures() -> None:
    perfect = _worth([(BOX, 0, 0.9), (FAR, 1, 0.8)], [(BOX, 0), (FAR, 1)])
    assert perfect["mAP50"] == pytest.approx(0.995, abs=0.001)  # Ultralytics' interpolation tops out there
    assert perfect["mAP50-95"] == pytest.approx(0.995, abs=0.001)
    half = _worth([(BOX, 0, 0.9)], [(BOX, 0), (FAR, 1)])
    assert half["mAP50"] == pytest.approx(perfect["mAP50"] / 2)
    assert _worth([(BOX, 1, 0.9)], [(BOX, 0)])["mAP50"] == 0


def test_without_boxes_there_is_no_figure() -> None:
    assert _worth([(BOX, 0, 0.9)], []) == {}


def _many(seed: int, pictures: int = 40, classes: int = 3) -> Evaluation:
    """Pictures with some boxes, of which most are found, some twice, some as another class, and some ghosts."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(pictures):
        true, found = [], []
        for _ in range(rng.integers(0, 4)):
            x, y, side = rng.uniform(0, 60), rng.uniform(0, 60), rng.uniform(6, 40)
            box, kind = [x, y, x + side, y + side], int(rng.integers(classes))
            true.append((box, kind))
            for _ in range(rng.integers(0, 3)):
                near = (np.array(box) + rng.normal(0, side / 15, 4)).tolist()
                said = kind if rng.random() < 0.8 else int(rng.integers(classes))
                found.append((near, said, float(rng.uniform(0.1, 1))))
        found += [([1.0, 1.0, 9.0, 9.0], int(rng.integers(classes)), float(rng.uniform(0, 0.6)))] * int(rng.integers(2))
        made.append((found, true))
    return evaluation_of(*made, names=tuple("abcdefg"[:classes]))


@pytest.mark.torch
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_average_precision_and_curves_are_ultralytics_own(seed: int) -> None:
    from lensmith.core.isolation import isolate_ultralytics

    isolate_ultralytics()
    from ultralytics.utils.metrics import ap_per_class, smooth

    evaluation = _many(seed)
    matches, curves = evaluation.matches, evaluation.curves
    _, _, _, _, _, ap, classes, precision, recall, f1, levels, _ = ap_per_class(
        matches.correct, matches.confidence, matches.class_id, matches.true_class
    )
    np.testing.assert_allclose(class_precision(matches, 3)[classes], ap, atol=1e-9)
    np.testing.assert_allclose(curves.precision[classes], precision, atol=1e-9)
    np.testing.assert_allclose(curves.recall[classes], recall, atol=1e-9)
    assert CONFIDENCES[curves.best] == levels[smooth(f1.mean(0), 0.1).argmax()]


def test_a_draw_is_the_figure_of_the_pictures_that_were_drawn() -> None:
    """The running sums of `draw_precision` against the pictures drawn for real, each as often as it was drawn."""
    evaluation = _many(3, pictures=12)
    matches = evaluation.matches
    sure = matches.confidence > 0.25
    drawn = draw_precision(matches, sure, 3, draws=20, seed=5)
    rows = np.concatenate(list(draw_counts(np.ones(12, np.int64), 5, 20)))
    for number, row in enumerate(rows):
        chosen = [evaluation.pictures[place] for place in np.repeat(np.arange(12), row)]
        again = match_pictures((one.found, one.xyxy, one.class_id) for one in chosen)
        exact = class_precision(again, 3)
        # The area stands in for the 101 recalls, and pictures that were drawn twice tie.
        np.testing.assert_allclose(drawn.ap50[number], exact[:, 0], atol=0.06)
        shown = again.confidence > 0.25
        right = np.bincount(again.class_id[shown & again.correct[:, 0]], minlength=3)
        boxes = np.bincount(again.true_class, minlength=3)
        np.testing.assert_allclose(drawn.recall[number][boxes > 0], (right / np.maximum(boxes, 1))[boxes > 0])
        assert np.isnan(drawn.recall[number][boxes == 0]).all()


def test_intervals_hold_the_figure_and_shrink_with_pictures() -> None:
    few, many = _many(4, pictures=15).scores, _many(4, pictures=300).scores
    for scores in (few, many):
        for figure in (scores.map50, scores.map50_95, scores.precision, scores.recall):
            assert figure
            assert 0 <= figure.low <= figure.value <= figure.high <= 1
    assert few.map50 and many.map50
    assert many.map50.high - many.map50.low < 0.5 * (few.map50.high - few.map50.low)
    assert few.draws == 1000


def test_a_perfect_detector_on_few_pictures_is_not_certain() -> None:
    scores = evaluation_of(*[([(BOX, 0, 0.9)], [(BOX, 0)])] * 5, names=("a",)).scores
    assert scores.map50
    assert scores.map50.value == pytest.approx(0.995)
    assert scores.map50.low < 0.7
    assert any("Only 5 test pictures" in remark for remark in scores.remarks())


def test_what_is_shown_is_what_counts_for_precision_and_recall() -> None:
    evaluation = evaluation_of(([(BOX, 0, 0.9), (FAR, 0, 0.2), (FAR, 1, 0.6)], [(BOX, 0), (FAR, 0)]))
    assert evaluation.scores.as_metrics()["recall"] == 0.5
    lower = evaluation.with_thresholds([0.1, 0.1]).scores
    assert lower.as_metrics()["recall"] == 1
    assert [one.found for one in lower.classes] == [2, 1]
    assert lower.classes[1].ap50 is None, "no box of it"
    nothing_shown = evaluation.with_thresholds([0.95, 0.95]).scores.as_metrics()
    assert nothing_shown["precision"] == 0
    assert tuple(nothing_shown) == tuple(evaluation.scores.as_metrics()) == FIGURES


def test_sizes() -> None:
    small, large = [0.0, 0.0, 20.0, 20.0], [0.0, 0.0, 100.0, 100.0]
    scores = evaluation_of(([(large, 0, 0.9), ([50, 50, 60, 60], 0, 0.8)], [(large, 0), (small, 0)])).scores
    sizes = {one.name: one for one in scores.sizes}
    assert [one.boxes for one in scores.sizes] == [1, 0, 1]
    assert sizes["large"].ap50 and sizes["large"].ap50.value == pytest.approx(0.995), "the small ghost is not its fault"
    assert sizes["small"].recall and sizes["small"].recall.value == 0
    assert sizes["medium"].ap50 is None


def test_the_confusion_matrix_counts_every_box_once() -> None:
    evaluation = evaluation_of(
        ([(BOX, 1, 0.9), (FAR, 0, 0.8)], [(BOX, 0)]),
        ([(BOX, 0, 0.9), (BOX, 1, 0.95)], [(BOX, 0)]),
        ([(BOX, 0, 0.1)], [(FAR, 1)]),
    )
    assert evaluation.confusion.tolist() == [[1, 1, 0], [0, 0, 1], [1, 1, 0]]


def test_without_pictures_and_with_thresholds() -> None:
    evaluation = _many(6)
    rest = evaluation.without(evaluation.images[:10])
    assert rest and len(rest) == 30
    assert evaluation.without(evaluation.images) is None


def test_what_is_saved_is_what_is_read(tmp_path: Path) -> None:
    evaluation = replace(_many(7), skipped=(Skipped("/x.png", "damaged"),), imgsz=320)
    evaluation.save(tmp_path)
    again = read_evaluation(tmp_path, "test")
    assert again.scores == evaluation.scores
    assert (again.names, again.images, again.skipped, again.imgsz) == (
        evaluation.names, evaluation.images, evaluation.skipped, 320,
    )  # fmt: skip
    assert (
        json.loads((tmp_path / "evaluation.json").read_text())["test"]["mAP50"]
        == evaluation.scores.as_metrics()["mAP50"]
    )
    with pytest.raises(NotFoundError):
        read_evaluation(tmp_path, "valid")
    (tmp_path / "evaluation-test.npz").write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match="cannot be read"):
        read_evaluation(tmp_path, "test")
