"""The resize, and the way back."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lensmith.predict.prepare import fit
from lensmith.weights.bundle import Preprocessing

_SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(
    width=st.integers(1, 900), height=st.integers(1, 900), to_width=st.integers(8, 320), to_height=st.integers(8, 320),
    resize=st.sampled_from(["letterbox", "stretch"]), stride=st.sampled_from([None, 8, 32]), corner=_SHARES,
    side=_SHARES,
)  # fmt: skip
def test_boxes_come_back_to_where_they_were(
    width: int,
    height: int,
    to_width: int,
    to_height: int,
    resize: Literal["letterbox", "stretch"],
    stride: int | None,
    corner: tuple[float, float],
    side: tuple[float, float],
) -> None:
    picture, way = fit(
        np.zeros((height, width, 3), np.uint8),
        Preprocessing(width=to_width, height=to_height, resize=resize, stride=stride),
    )
    if stride is None:
        assert picture.shape == (to_height, to_width, 3)
    else:
        assert all(
            side == most or (side < most and side % stride == 0)
            for side, most in zip(picture.shape[:2], (to_height, to_width), strict=True)
        )
    x1, y1 = corner[0] * width, corner[1] * height
    box = np.array([[x1, y1, x1 + side[0] * (width - x1), y1 + side[1] * (height - y1)]])
    scale = np.array([way.scale_x, way.scale_y] * 2)
    in_input = box * scale + np.array([way.left, way.top] * 2)
    assert in_input.min() >= 0
    assert (in_input[:, ::2].max(), in_input[:, 1::2].max()) <= (to_width + 1e-3, to_height + 1e-3)
    np.testing.assert_allclose(way.to_original(in_input), box, atol=1e-3)


def test_boxes_are_clipped_to_the_picture() -> None:
    _, way = fit(np.zeros((50, 100, 3), np.uint8), Preprocessing(width=64, height=64, resize="letterbox"))
    np.testing.assert_array_equal(way.to_original(np.array([[-5.0, 0, 99, 64]])), [[0, 0, 100, 50]])


def test_letterbox_pads_and_stretch_does_not() -> None:
    white = np.full((10, 40, 3), 255, np.uint8)
    boxed, _ = fit(white, Preprocessing(width=40, height=40, resize="letterbox", pad_value=7))
    assert (boxed[15:25] == 255).all()
    assert (boxed[:15] == 7).all()
    assert (boxed[25:] == 7).all()
    assert (fit(white, Preprocessing(width=40, height=40, resize="stretch"))[0] == 255).all()


@pytest.mark.parametrize(
    ("side", "interpolation"), [(16, cv2.INTER_AREA), (128, cv2.INTER_LINEAR)], ids=["shrinking", "growing"]
)
def test_area_is_for_shrinking_only(side: int, interpolation: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    got, _ = fit(noise, Preprocessing(width=side, height=side, resize="stretch", interpolation="area"))
    np.testing.assert_array_equal(got, cv2.resize(noise, (side, side), interpolation=interpolation))


@pytest.mark.torch
def test_letterbox_equals_ultralytics_pixel_for_pixel() -> None:
    from lensmith.core.isolation import isolate_ultralytics

    isolate_ultralytics()
    from ultralytics.data.augment import LetterBox

    rng = np.random.default_rng(1)
    for _ in range(60):
        height, width = (int(value) for value in rng.integers(1, 400, 2))
        to_height, to_width = (int(value) for value in rng.integers(32, 200, 2))
        noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        got, way = fit(noise, Preprocessing(width=to_width, height=to_height, resize="letterbox"))
        theirs = LetterBox((to_height, to_width), auto=False)(image=noise)
        np.testing.assert_array_equal(got, theirs, err_msg=f"{width} x {height} to {to_width} x {to_height}: {way}")
