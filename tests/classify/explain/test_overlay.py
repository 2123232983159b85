"""The map finds its way back to the picture."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest

from lensmith.classify.explain.diagram import draw_network
from lensmith.classify.explain.layers import Part
from lensmith.classify.explain.overlay import heat_on_picture, paint, strongest_place
from lensmith.classify.explain.sheets import draw_sheet
from lensmith.predict.prepare import fit
from lensmith.weights.bundle import Preprocessing

from .red_network import scene


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize(("width", "height"), [(400, 100), (90, 300), (64, 64), (31, 20)])
def test_a_spot_in_the_input_lies_on_the_same_spot_of_the_picture(
    resize: Literal["letterbox", "stretch"], width: int, height: int
) -> None:
    spot = (round(width * 0.8), round(height * 0.3))
    prepared, geometry = fit(scene(width, height, (*spot, 1)), Preprocessing(width=64, height=48, resize=resize))
    coarse = cv2.resize(prepared[..., 1].astype(np.float32) / 255, (32, 24), interpolation=cv2.INTER_AREA)
    coarse[:, :] *= prepared[::2, ::2, 0] == 0  # a map has nothing to say about padding
    heat = heat_on_picture(coarse, (48, 64), geometry)
    assert heat.shape == (height, width)
    ys, xs = np.nonzero(heat > 0.5 * heat.max())
    assert abs(xs.mean() - spot[0]) < 0.05 * width + 1
    assert abs(ys.mean() - spot[1]) < 0.05 * height + 1


def test_what_does_not_matter_keeps_its_colours() -> None:
    bgr = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    heat = np.zeros((20, 30), np.float32)
    np.testing.assert_array_equal(paint(bgr, heat), bgr)
    assert strongest_place(heat) is None
    heat[4, 7] = 1
    painted = paint(bgr, heat)
    assert strongest_place(heat) == (7, 4)
    assert painted[4, 7, 2] > painted[4, 7, 0]
    assert (painted != bgr).any(axis=2).sum() == 1


@pytest.mark.parametrize("shape", [(5, 3, 130), (1, 1, 1), (7, 9, 5)])
def test_a_sheet_holds_up_to_64_channels(shape: tuple[int, int, int]) -> None:
    features = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if shape[2] <= 64:
        features[..., 0] = 3  # says nothing, so it is black
    sheet = draw_sheet(features, "block <1>")
    columns = int(np.ceil(np.sqrt(min(shape[2], 64))))
    size = (round(96 * shape[1] / max(shape[:2])), round(96 * shape[0] / max(shape[:2])))
    rows = -(-min(shape[2], 64) // columns)
    assert sheet.shape == (30 + rows * (size[1] + 4), columns * (size[0] + 4), 3)
    assert sheet[30 : 30 + size[1], : size[0]].any() == (shape[2] > 64)
    if shape[2] > 1:
        second = sheet[30 : 30 + size[1], size[0] + 4 : 2 * size[0] + 4]
        assert (second.min(), second.max()) == (0, 255)


def test_a_sheet_shows_the_channels_that_see_something() -> None:
    features = np.zeros((4, 4, 200), np.float32)
    features[2, 2, 60:] = np.arange(140)  # the last 64 the most
    sheet = draw_sheet(features, "block5")
    assert all(sheet[30 + y * 100 : 126 + y * 100, x * 100 : x * 100 + 96].any() for y in range(8) for x in range(8))


def test_the_tower_escapes_names() -> None:
    blocks = [Part("input", "input", (32, 32, 3), 0, "fixed", ()), Part("<b>", "block", (4, 4, 8), 1234, "frozen", ()),
              Part("head", "Dense", (2,), 10, "trained", ())]  # fmt: skip
    svg = draw_network(blocks)
    assert "&lt;b&gt;" in svg and "<b>" not in svg
    assert "4 x 4 x 8, 1.2 k parameters" in svg and "2 numbers" in svg
