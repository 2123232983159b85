"""Whether two pictures that look alike from afar are one photograph."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .describe import Window, turned

_SIDE = 128  # pixels: what both are compared at
_GLANCE = 2  # times smaller, for a first look
_STEPS, _PRECISION, _SMOOTH = 15, 3e-4, 5  # of the alignment
_FINEST, _COARSEST = 1.0, 5.0  # pixels (sigma): what is finer is noise and compression, what is coarser is light
_PLACE = 3.0  # pixels (sigma): how large a place is
_FAINT = 6.0  # grey levels: a place with less structure says nothing
_BORDER = 11  # pixels: places nearer to an edge are half outside
_LEAST = 0.02  # share of the picture that must have structure
_HOPELESS = 0.7  # correlation at a glance of what need not be looked at closely; edited photographs have 0.9
_MOVED = 0.0  # likeness at a glance below which something has moved for certain
_DARK, _BRIGHT = 4, 250  # grey levels; beyond them light was cut off
_COLOURLESS = 2.0  # grey levels between the channels, on average


@dataclass(frozen=True)
class _Laid:
    """Two pictures laid over each other, uint8 BGR `(s, s, 3)`, and where both are, bool `(s, s)`.

    `warp`, float32 `(2, 3)`, maps pixels of the second to pixels of the first before it was moved.
    """

    one: np.ndarray
    other: np.ndarray
    common: np.ndarray
    warp: np.ndarray


def prepare(picture: np.ndarray) -> np.ndarray:
    """What `confirm` compares: uint8 BGR `(128, 128, 3)`, of a picture in grey `(h, w)` or BGR `(h, w, 3)`."""
    square = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(square, cv2.COLOR_GRAY2BGR) if square.ndim == 2 else square


def confirm(first: np.ndarray, second: np.ndarray, turn: int, window: Window) -> float:
    """How alike two pictures are in the place where they differ most, 0..1.

    The turned cut-out of `first` is laid over `second` and moved and stretched until it fits best (Evangelidis and
    Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization", 2008). The darker
    one is brightened, with its highlights cut off, as the other's were. Then the structure of every small place is
    compared. Editing leaves it alike everywhere: 0.9 and more. Another photograph from the same tripod has one place
    at least where something has moved or is missing: below 0.8; so has another drawing, page or sign of the same make.

    Args:
        first: From `prepare`.
        second: From `prepare`.
        turn: Position of `first`, see `describe.turned`.
        window: Cut-out of the turned `first` that shows about what `second` shows.

    Returns:
        1 minus the share of a place's structure that is different. 0 too when they do not fit, or when there is so
        little structure that nobody could tell.
    """
    first = np.ascontiguousarray(turned(first, turn))
    left, top, width, height = window
    side = _SIDE // _GLANCE
    warp = np.array([[width, 0, left * side + (width - 1) / 2], [0, height, top * side + (height - 1) / 2]], np.float32)
    small = [cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) for picture in (first, second)]
    glance = _lay_over(small[0], small[1], warp)
    if glance is None:
        return 0.0
    structures = _structures(glance, _GLANCE)
    if _correlation(*structures, glance.common) < _HOPELESS or _likeness(*structures, glance.common, _GLANCE) < _MOVED:
        return 0.0
    warp = glance.warp.copy()
    # Pixel centres: the middle of the first pixel lies at 0 at every size.
    warp[:, 2] = warp[:, 2] * _GLANCE + (_GLANCE - 1) / 2 * (1 - warp[:, :2].sum(axis=1))
    laid = _lay_over(first, second, warp)
    return 0.0 if laid is None else max(_likeness(*_structures(laid, 1), laid.common, 1), 0.0)


def _lay_over(moving: np.ndarray, fixed: np.ndarray, warp: np.ndarray) -> _Laid | None:
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _PRECISION)
    side = len(fixed)
    whole = np.full((side, side), 255, np.uint8)
    greys = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (fixed, moving)]
    smooth = _SMOOTH if side == _SIDE else 3
    try:
        _, warp = cv2.findTransformECC(greys[0], greys[1], warp, cv2.MOTION_AFFINE, stop, whole, smooth)
    except cv2.error:  # OpenCV's way to say that they do not fit
        return None
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    laid = cv2.warpAffine(moving, warp, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(whole, warp, (side, side), flags=flags)
    square = np.ones((_BORDER * side // _SIDE,) * 2, np.uint8)
    common = cv2.erode((inside == 255).astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return _Laid(fixed, laid, common > 0, warp)


def _structures(laid: _Laid, smaller: int) -> tuple[np.ndarray, np.ndarray]:
    """The fine detail of both, float32 `(s, s)`; `smaller` is how many times they are smaller than 128 pixels."""
    one, other = (
        _blurred(grey, _FINEST / smaller) - _blurred(grey, _COARSEST / smaller) for grey in _in_one_light(laid)
    )
    return one, other


def _correlation(one: np.ndarray, other: np.ndarray, common: np.ndarray) -> float:
    """Of all structure, -1..1."""
    one, other = one[common], other[common]
    return float((one * other).sum() / max(np.sqrt((one * one).sum() * (other * other).sum()), 1e-6))


def _likeness(one: np.ndarray, other: np.ndarray, common: np.ndarray, smaller: int) -> float:
    """In the place where they differ most, at most 1; less than 0 where one is the other's negative."""
    values = (one * one, other * other, (one - other) ** 2)
    before, after, between = (_blurred(value, _PLACE / smaller) for value in values)
    telling = common & (np.maximum(before, after) > _FAINT**2)
    if telling.mean() < _LEAST:
        return 0.0
    return float(1 - (between[telling] / (before + after + _FAINT**2)[telling]).max())


def _in_one_light(laid: _Laid) -> tuple[np.ndarray, np.ndarray]:
    """Both in grey, float32 `(s, s)`, in the light of the brighter one."""
    low, high = _darkest(cv2.min(laid.one, laid.other)), _brightest(cv2.max(laid.one, laid.other))
    whole = laid.common & (low > _DARK) & (high < _BRIGHT)
    dark, bright = laid.one.astype(np.float32), laid.other.astype(np.float32)
    if _is_grey(laid.one) != _is_grey(laid.other):
        dark, bright = _greyed(dark), _greyed(bright)
    mask = whole.astype(np.uint8)
    (dark_mean, dark_spread), (bright_mean, bright_spread) = _light(dark, mask), _light(bright, mask)
    swapped = dark_mean > bright_mean
    if swapped:
        dark, bright = bright, dark
        dark_mean, dark_spread, bright_mean, bright_spread = bright_mean, bright_spread, dark_mean, dark_spread
    if mask.mean() > 0.02 and dark_spread > 1:
        gain = bright_spread / dark_spread
        dark = np.clip(dark * np.float32(gain) + np.float32(bright_mean - dark_mean * gain), 0, 255)
    dark, bright = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (dark, bright))
    return (bright, dark) if swapped else (dark, bright)


def _light(bgr: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of all values of all channels where `mask`, uint8, is 1; 0 where it never is."""
    means, spreads = cv2.meanStdDev(bgr, mask=mask)
    mean = float(means.mean())
    return mean, float(np.sqrt(max((spreads**2 + means**2).mean() - mean**2, 0.0)))


def _is_grey(bgr: np.ndarray) -> bool:
    return cv2.mean(cv2.subtract(_brightest(bgr), _darkest(bgr)))[0] < _COLOURLESS


def _darkest(bgr: np.ndarray) -> np.ndarray:
    """The least of the three channels; `min(axis=2)` takes ten times as long."""
    blue, green, red = cv2.split(bgr)
    return cv2.min(cv2.min(blue, green), red)


def _brightest(bgr: np.ndarray) -> np.ndarray:
    blue, green, red = cv2.split(bgr)
    return cv2.max(cv2.max(blue, green), red)


def _greyed(bgr: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), sigma)
