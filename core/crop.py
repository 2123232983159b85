"""The one way a box is cut out of a picture: for the crops that a classifier learns from, and for those it is shown."""

from __future__ import annotations

import numpy as np

CROP_MARGIN = 0.1


def crop_place(xyxy: np.ndarray, margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Where a box with its margin lies in a picture: left, top, right, bottom in whole pixels, never empty.

    Args:
        xyxy: `(4,)`, the box's corners in pixels; it may reach out of the picture.
        margin: How much more than the box on each side, as a share of the box's longer side: a long thin box gets as
            many pixels around it on every side, which is how a detector's own box errs.
        width: Of the picture in pixels.
        height: Likewise.
    """
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    more = margin * max(x2 - x1, y2 - y1)
    left, top = min(max(round(x1 - more), 0), width - 1), min(max(round(y1 - more), 0), height - 1)
    # A box of about one pixel may have both edges rounded to the same line.
    return left, top, max(min(round(x2 + more), width), left + 1), max(min(round(y2 + more), height), top + 1)


def cut_crop(bgr: np.ndarray, xyxy: np.ndarray, margin: float) -> np.ndarray:
    """A box with its margin, as far as the picture goes: a view into it, uint8 `(h, w, 3)`, see `crop_place`."""
    left, top, right, bottom = crop_place(xyxy, margin, bgr.shape[1], bgr.shape[0])
    return bgr[top:bottom, left:right]
