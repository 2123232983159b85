"""Whether two pictures that look alike from afar are alike from near by."""

from __future__ import annotations

import cv2
import numpy as np

from .describe import Window, turned

_SIDE = 192  # pixels: what both are compared at
_TILES = 6
_ALIKE = 0.5  # correlation of fine detail within a tile
_BLUR = 3.0  # pixels: what is smoother than this is not fine detail
_FAINT = 1.5  # grey levels of fine detail; fainter is noise and compression
_FEWEST = 4  # tiles with detail


def confirm(first: np.ndarray, second: np.ndarray, turn: int, window: Window) -> float:
    """How much of what two pictures show in common is the same in its fine detail, 0..1.

    The turned cut-out of `first` is laid over `second`, moved and stretched until it fits best (enhanced correlation,
    Evangelidis and Psarakis 2008), and then compared tile by tile in what a blur takes away: there two photographs
    of like things differ, and brightness does not matter.

    Args:
        first: uint8 BGR or grey.
        second: The same.
        turn: Position of `first`, see `describe.turned`.
        window: Cut-out of the turned `first` that shows about what `second` shows.
    """
    moving = _grey(turned(first, turn))
    fixed = cv2.resize(_grey(second), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    height, width = moving.shape
    left, top, across, down = window
    start = np.array([[across * width / _SIDE, 0, left * width], [0, down * height / _SIDE, top * height]], np.float32)
    scale = np.array([[_SIDE / width, 0, 0], [0, _SIDE / height, 0], [0, 0, 1]], np.float32)
    moving = cv2.resize(moving, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    warp = (scale @ np.vstack([start, [0, 0, 1]]))[:2].astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    try:
        _, warp = cv2.findTransformECC(fixed, moving, warp, cv2.MOTION_AFFINE, criteria, np.full_like(fixed, 255), 5)
    except cv2.error:  # it did not converge: they do not fit
        return 0.0
    laid = cv2.warpAffine(moving, warp, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    common = cv2.warpAffine(np.ones_like(moving), warp, (_SIDE, _SIDE), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    return _agreement(_detail(fixed), _detail(laid), common)


def _grey(picture: np.ndarray) -> np.ndarray:
    picture = np.ascontiguousarray(picture)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture


def _detail(grey: np.ndarray) -> np.ndarray:
    values = grey.astype(np.float32)
    return values - cv2.GaussianBlur(values, (0, 0), _BLUR)


def _agreement(one: np.ndarray, other: np.ndarray, common: np.ndarray) -> float:
    """The share of tiles with detail, weighted by their detail, that agree."""
    step = _SIDE // _TILES
    strong, alike = 0, 0
    for top in range(0, _SIDE, step):
        for left in range(0, _SIDE, step):
            place = np.s_[top : top + step, left : left + step]
            if common[place].mean() < 0.8:
                continue
            a, b = one[place] - one[place].mean(), other[place] - other[place].mean()
            energy = float(np.sqrt((a * a).mean() * (b * b).mean()))
            if max((a * a).mean(), (b * b).mean()) < _FAINT**2:
                continue
            strong += 1
            alike += float((a * b).mean()) > _ALIKE * energy
    return alike / strong if strong >= _FEWEST else 0.0
