"""A decoder for looking at many pictures: grey, no larger than needed, and strict about damage."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from .images import ImageError, ImageInfo, decode_with_pillow

# What libjpeg remarks about pictures that are all there: odd headers, and a few bytes that some cameras add at the end.
_HARMLESS = re.compile("Adobe color transform|JFIF revision|SOS parameters|ICC")
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_MOST_EXTRANEOUS = 16


def decode_small(data: bytes, path: Path | None, info: ImageInfo, side: int) -> np.ndarray:
    """Decode a picture to grey uint8 `(h, w)`, upright, as small as it is cheap to get, but not smaller than asked for.

    A JPEG is reduced while it is decoded, which takes a half to a quarter of the time, and damage in it is
    noticed, where `read_image` shows what the decoder made up for the missing part. Other formats come in full size.

    Args:
        data: The content of the file.
        path: For the error.
        info: What `inspect_bytes` said about it.
        side: pixels, the least that the long side may have, unless the picture itself is smaller.

    Raises:
        ImageError: "truncated": the data is damaged.
    """
    grey = _decode_jpeg_small(data, path, info, side) if info.format in {"JPEG", "MPO"} else None
    if grey is not None:
        return grey
    if info.format != "TIFF":  # of damaged ones OpenCV shows what it has
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if grey is None or (grey.shape[1], grey.shape[0]) != (info.width, info.height):
        grey = cv2.cvtColor(decode_with_pillow(data, path), cv2.COLOR_BGR2GRAY)
    return grey


def _decode_jpeg_small(data: bytes, path: Path | None, info: ImageInfo, side: int) -> np.ndarray | None:
    """None when the decoder does not know the kind of JPEG."""
    import simplejpeg

    if info.mode not in {"RGB", "L"}:
        return None
    lying = info.orientation >= 5
    width, height = (info.height, info.width) if lying else (info.width, info.height)
    min_width, min_height = (min(side, width), 0) if width >= height else (0, min(side, height))
    decode = partial(simplejpeg.decode_jpeg, data, "GRAY", fastdct=True, min_width=min_width, min_height=min_height)
    try:
        grey = decode()
    except ValueError as error:
        said = str(error)
        if "JPEG process" in said:
            return None
        few_too_many = _EXTRANEOUS.search(said)
        if not (few_too_many and int(few_too_many[1]) <= _MOST_EXTRANEOUS) and not _HARMLESS.search(said):
            raise ImageError("a part of it is damaged or missing", path, "truncated") from None
        try:
            grey = decode(strict=False)
        except ValueError:  # some warnings it takes for errors however it is asked
            return None
    return _upright(grey[:, :, 0], info.orientation)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a picture `(h, w, ...)` the way its EXIF orientation asks for."""
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
