"""Matching and average precision."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith.detect.metrics import Tally, match, pairwise_iou
from lensmith.predict.results import Detections

BOX = [10.0, 10.0, 30.0, 30.0]
FAR = [60.0, 60.0, 80.0, 80.0]


def _found(*rows: tuple[list[float], int, float]) -> Detections:
    return Detections(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float32),
    )


def _true(*rows: tuple[list[float], int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([r[0] for r in rows], np.float32).reshape(-1, 4), np.array([r[1] for r in rows], np.int64)


@pytest.mark.parametrize(
    ("found", "true", "at_50"),
    [
        pytest.param([(BOX, 0, 0.9)], [(BOX, 0)], [True], id="exact"),
        pytest.param([(BOX, 1, 0.9)], [(BOX, 0)], [False], id="another class"),
        pytest.param([(FAR, 0, 0.9)], [(BOX, 0)], [False], id="elsewhere"),
        pytest.param([(BOX, 0, 0.9), (BOX, 0, 0.8)], [(BOX, 0)], [True, False], id="found twice"),
        pytest.param([(BOX, 0, 0.8), (BOX, 0, 0.9)], [(BOX, 0)], [False, True], id="the surer one counts"),
        pytest.param([(BOX, 0, 0.9), (FAR, 0, 0.8)], [(FAR, 0), (BOX, 0)], [True, True], id="each to its own"),
        pytest.param([(BOX, 0, 0.9)], [], [False], id="nothing there"),
        pytest.param([], [(BOX, 0)], [], id="nothing found"),
    ],
)
def test_matching(found: list, true: list, at_50: list[bool]) -> None:
    assert match(_found(*found), *_true(*true))[:, 0].tolist() == at_50


def test_a_shifted_box_counts_up_to_its_overlap() -> None:
    shifted = [12.0, 10.0, 32.0, 30.0]  # 18 x 20 shared of 440: 0.818
    assert pairwise_iou(np.array([BOX]), np.array([shifted]))[0, 0] == pytest.approx(360 / 440)
    assert match(_found((shifted, 0, 0.9)), *_true((BOX, 0)))[0].tolist() == [True] * 7 + [False] * 3


def _worth(found: list, true: list) -> dict[str, float]:
    tally = Tally(("a", "b"))
    tally.add(_found(*found), *_true(*true))
    return tally.scores("test").as_metrics()


@pytest.mark.torch
def test_figures() -> None:
    perfect = _worth([(BOX, 0, 0.9), (FAR, 1, 0.8)], [(BOX, 0), (FAR, 1)])
    assert perfect["mAP50"] == pytest.approx(0.995, abs=0.001)  # Ultralytics' interpolation tops out there
    assert perfect["mAP50-95"] == pytest.approx(0.995, abs=0.001)
    half = _worth([(BOX, 0, 0.9)], [(BOX, 0), (FAR, 1)])
    assert half["mAP50"] == pytest.approx(perfect["mAP50"] / 2)
    assert _worth([(BOX, 1, 0.9)], [(BOX, 0)])["mAP50"] == 0


def test_without_boxes_there_is_no_figure() -> None:
    assert _worth([(BOX, 0, 0.9)], []) == {}
