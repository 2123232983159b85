"""Matching, average precision, what the draws say of it, curves and confusion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lensmith.detect.evaluate import Evaluation, Picture
from lensmith.detect.matching import assign, pairwise_iou
from lensmith.predict.results import Detections

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
