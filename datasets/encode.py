"""Pictures that we make ourselves: crops, and repaired ones."""

from __future__ import annotations

import cv2
import numpy as np

JPEG_QUALITY = 95


def encode(bgr: np.ndarray, suffix: str) -> bytes:
    """The bytes of a picture file.

    Args:
        bgr: BGR uint8 `(height, width, 3)`.
        suffix: ".png", or ".jpg" for JPEG of quality 95 with all its colour (4:4:4): one more compression at that
            quality changes a photograph by less than its noise.

    Raises:
        ValueError: OpenCV cannot encode it.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
               cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]  # fmt: skip
    done, data = cv2.imencode(suffix, bgr, options if suffix == ".jpg" else [])
    if not done:
        raise ValueError(f"cannot encode a picture of shape {bgr.shape} as {suffix}")
    return data.tobytes()
