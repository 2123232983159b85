"""Raw outputs to results."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from lensmith.core.errors import DataError
from lensmith.predict.decode import decode_detections, decode_scores, iou_with, suppress
from lensmith.predict.prepare import Geometry
from lensmith.weights.bundle import BundleRecord, DetectorRecord, Output, Preprocessing

_SAME = Geometry(100, 100, 1.0, 1.0, 0, 0)


def _record(output: Output = "raw", **detector: Any) -> BundleRecord:
    return BundleRecord(
        name="d",
        task="detect",
        names=("cat", "dog"),
        preprocessing=Preprocessing(width=100, height=100, resize="letterbox"),
        detector=DetectorRecord(family="test", output=output, **detector),
    )


def _raw(*columns: tuple[float, ...]) -> np.ndarray:
    return np.array(columns, np.float32).T.reshape(6, -1)


def test_surest_first_and_doubles_gone() -> None:
    raw = _raw(
        (50, 50, 20, 20, 0.5, 0.1), (53, 50, 20, 20, 0.9, 0.1), (20, 20, 10, 10, 0.1, 0.7), (5, 5, 4, 4, 0.2, 0.1)
    )
    found = decode_detections(raw, _record(), _SAME, 0.25)
    np.testing.assert_allclose(found.confidence, [0.9, 0.7])
    np.testing.assert_array_equal(found.class_id, [0, 1])
    np.testing.assert_allclose(found.xyxy, [[43, 40, 63, 60], [15, 15, 25, 25]])
    assert (found.xyxy.dtype, found.class_id.dtype, found.confidence.dtype) == (np.float32, np.int64, np.float32)


def test_other_classes_may_overlap() -> None:
    raw = _raw((50, 50, 20, 20, 0.9, 0), (50, 50, 20, 20, 0, 0.8))
    assert len(decode_detections(raw, _record(), _SAME, 0.25)) == 2


@pytest.mark.parametrize(
    "column",
    [
        pytest.param((np.nan, 50, 20, 20, 0.9, 0), id="NaN in the box"),
        pytest.param((50, 50, np.inf, 20, 0.9, 0), id="infinite width"),
        pytest.param((50, 50, 20, 20, np.nan, 0), id="NaN confidence"),
        pytest.param((50, 50, 20, 20, np.inf, 0), id="infinite confidence"),
        pytest.param((500, 500, 20, 20, 0.9, 0), id="outside the picture"),
        pytest.param((50, 50, -20, 20, 0.9, 0), id="negative width"),
        pytest.param((50, 50, 20, 20, 0.25, 0), id="not above the threshold"),
    ],
)
def test_rows_that_mean_nothing_are_left_out(column: tuple[float, ...]) -> None:
    good = (20, 20, 10, 10, 0.1, 0.7)
    np.testing.assert_allclose(decode_detections(_raw(column, good), _record(), _SAME, 0.25).confidence, [0.7])


def test_at_most_max_det() -> None:
    columns = [(10 * i + 5, 5, 8, 8, 0.5 + i / 100, 0) for i in range(8)]
    found = decode_detections(_raw(*columns), _record(max_det=3), _SAME, 0.25)
    np.testing.assert_allclose(found.confidence, [0.57, 0.56, 0.55], rtol=1e-6)


def test_queries_are_shares_of_the_input_around_a_centre() -> None:
    raw = np.array(
        [[0.5, 0.5, 0.2, 0.4, 0.9, 1], [0.1, 0.2, 0.1, 0.2, 0.3, 0], [0.5, 0.5, 0.2, 0.4, 0.1, 0]], np.float32
    )
    found = decode_detections(raw, _record("queries"), _SAME, 0.25)
    np.testing.assert_allclose(found.xyxy, [[40, 30, 60, 70], [5, 10, 15, 30]], rtol=1e-5)
    np.testing.assert_allclose(found.confidence, [0.9, 0.3])
    np.testing.assert_array_equal(found.class_id, [1, 0])


def test_final_output_is_only_filtered() -> None:
    raw = np.array([[10, 10, 30, 30, 0.6, 1], [11, 10, 30, 30, 0.8, 1], [0, 0, 9, 9, 0.1, 0]], np.float32)
    found = decode_detections(raw, _record("final"), _SAME, 0.25)
    np.testing.assert_allclose(found.confidence, [0.8, 0.6])


@pytest.mark.parametrize(
    ("output", "raw"),
    [
        pytest.param("raw", np.zeros((7, 5), np.float32), id="one class too many"),
        pytest.param("raw", np.zeros(6, np.float32), id="one axis too few"),
        pytest.param("final", np.zeros((5, 7), np.float32), id="seven columns"),
        pytest.param("final", np.array([[0, 0, 9, 9, 0.9, 2]], np.float32), id="class number too high"),
    ],
)
def test_output_that_does_not_fit_the_record(output: Literal["raw", "final"], raw: np.ndarray) -> None:
    with pytest.raises(DataError, match="does not fit"):
        decode_detections(raw, _record(output), _SAME, 0.25)


def test_scores_and_unknown() -> None:
    record = _record()
    assert decode_scores(np.array([0.3, 0.7], np.float32), record, 0.5).class_id == 1
    assert decode_scores(np.array([0.5, 0.5], np.float32), record, 0.6).class_id is None
    with pytest.raises(DataError):
        decode_scores(np.array([0.2, 0.3, 0.5], np.float32), record, 0.5)
    with pytest.raises(DataError):
        decode_scores(np.array([np.nan, 0.5], np.float32), record, 0.5)
    with pytest.raises(DataError):
        decode_scores(np.zeros(2, np.float32), record.model_copy(update={"temperature": 2.0}))


def test_scores_are_calibrated_and_each_class_has_its_threshold() -> None:
    raw = np.array([0.1, 0.9], np.float32)
    soft = _record().model_copy(update={"temperature": 2.0, "thresholds": (0.2, 0.8)})
    scores = decode_scores(raw, soft)
    # 0.1 and 0.9 to the power of one half, made to sum to 1.
    np.testing.assert_allclose(scores.probability, [0.25, 0.75], atol=1e-6)
    assert scores.class_id is None
    assert decode_scores(raw, soft, 0.6).class_id == 1, "a threshold that is given holds for all"
    assert decode_scores(raw[::-1].copy(), soft).class_id == 0


def test_a_bundle_from_before_calibration_says_what_its_model_says() -> None:
    raw = np.array([0.3, 0.7], np.float32)
    scores = decode_scores(raw, _record())
    assert scores.probability is raw
    np.testing.assert_array_equal(scores.thresholds, np.float32([0.25, 0.25]))


def test_a_record_with_too_few_thresholds_is_refused() -> None:
    with pytest.raises(ValueError, match="1 thresholds for 2 classes"):
        BundleRecord.model_validate({**_record().model_dump(), "thresholds": [0.5]})


def test_no_boxes_at_all() -> None:
    assert len(decode_detections(np.zeros((6, 0), np.float32), _record(), _SAME, 0.25)) == 0
    assert len(suppress(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0), 0.5, 10)) == 0


@pytest.mark.torch
@pytest.mark.parametrize("confidence", [0.001, 0.25])
def test_suppression_equals_ultralytics(confidence: float) -> None:
    from lensmith.core.isolation import isolate_ultralytics

    isolate_ultralytics()
    import torch
    from ultralytics.utils.nms import non_max_suppression

    rng = np.random.default_rng(3)
    for _ in range(20):
        anchors = int(rng.integers(1, 1500))
        boxes = np.concatenate([rng.uniform(20, 80, (2, anchors)), rng.uniform(5, 40, (2, anchors))])
        raw = np.concatenate([boxes, rng.uniform(0, 1, (2, anchors)) ** 3]).astype(np.float32)
        theirs = non_max_suppression(torch.from_numpy(raw.copy())[None], confidence, 0.7, max_det=300)[0].numpy()
        ours = decode_detections(raw, _record(), Geometry(200, 200, 1, 1, 0, 0), confidence)
        np.testing.assert_array_equal(ours.class_id, theirs[:, 5])
        np.testing.assert_allclose(ours.confidence, theirs[:, 4])
        np.testing.assert_allclose(ours.xyxy, np.clip(theirs[:, :4], 0, 200), atol=1e-4)


def test_each_class_has_its_threshold() -> None:
    record = _record().model_copy(update={"thresholds": (0.6, 0.2)})
    raw = _raw((20, 20, 10, 10, 0.5, 0), (50, 50, 10, 10, 0, 0.5), (80, 80, 10, 10, 0.7, 0))
    np.testing.assert_array_equal(decode_detections(raw, record, _SAME, None).class_id, [0, 1])
    assert len(decode_detections(raw, record, _SAME, 0.4)) == 3, "a threshold that is given holds for all"
    assert len(decode_detections(raw, _record(), _SAME, None)) == 3, "without thresholds the bundle's one holds"


def test_a_surer_box_below_its_threshold_suppresses_nothing() -> None:
    """What is not shown must not hide what is."""
    record = _record().model_copy(update={"thresholds": (0.6, 0.6)})
    raw = _raw((50, 50, 20, 20, 0.7, 0), (51, 50, 20, 20, 0.9, 0), (52, 50, 20, 20, 0.5, 0))
    np.testing.assert_allclose(decode_detections(raw, record, _SAME, None).confidence, [0.9])


def test_a_box_may_have_several_classes_when_asked() -> None:
    raw = _raw((50, 50, 20, 20, 0.9, 0.4), (20, 20, 10, 10, 0.1, 0.7))
    assert len(decode_detections(raw, _record(), _SAME, 0.25)) == 2
    found = decode_detections(raw, _record(), _SAME, 0.25, several=True)
    np.testing.assert_allclose(found.confidence, [0.9, 0.7, 0.4])
    np.testing.assert_array_equal(found.class_id, [0, 1, 1])


@pytest.mark.parametrize("count", [1, 127, 128, 129, 1000])
def test_suppression_a_block_at_a_time_is_suppression_one_by_one(count: int) -> None:
    rng = np.random.default_rng(count)
    centre, half = rng.uniform(0, 60, (count, 2)), rng.uniform(2, 12, (count, 2))
    xyxy = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    class_id, confidence = rng.integers(0, 3, count), rng.uniform(0, 1, count).round(2).astype(np.float32)
    kept: list[int] = []
    for one in np.argsort(-confidence, kind="stable").tolist():
        if all(class_id[one] != class_id[other] or _iou(xyxy[one], xyxy[other]) <= 0.5 for other in kept):
            kept.append(one)
    for most in (5, 10_000):
        assert suppress(xyxy, class_id, confidence, 0.5, most).tolist() == kept[:most]


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    return sides.prod() / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - sides.prod())


def test_how_much_a_box_overlaps_others() -> None:
    others = np.array([[0, 0, 4, 4], [2, 0, 6, 4], [4, 0, 8, 4], [1, 1, 3, 3], [9, 9, 9, 9]], np.float32)
    np.testing.assert_allclose(iou_with(others[0], others), [1, 1 / 3, 0, 1 / 4, 0])
    assert iou_with(others[4], others[4:]).tolist() == [0.0]
