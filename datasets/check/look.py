"""What one reading of a picture's file tells about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ...core.images import ImageError, ImageInfo, inspect_bytes, read_bytes
from ...core.small_images import decode_small
from .describe import describe

_DESCRIBED_SIDE = 56  # pixels: enough for 16 x 16 values, and the smaller, the quicker a JPEG is decoded


class Look(NamedTuple):
    """What was seen of one picture; a function of the file's bytes alone.

    Attributes:
        sha256: Of the bytes, 32 of them; all zero when the file could not be read.
        fault: An `ImageFault`, or empty when the picture is fine.
        reason: The fault in words for a person.
        width, height: pixels, upright; 0 when unknown.
        format, mode, orientation, bits, transparent, frames: As in `ImageInfo`.
        descriptor: From `describe`; empty when there is nothing to describe.
    """

    sha256: bytes
    fault: str = ""
    reason: str = ""
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    orientation: int = 1
    bits: int = 8
    transparent: bool = False
    frames: int = 1
    descriptor: bytes = b""


def look_at(path: str, known: Callable[[bytes], Look | None] = lambda _: None) -> Look:
    """Read a picture's file once and say what is in it. Never raises for what the file holds.

    Args:
        path: The file.
        known: What was seen before in a file with this SHA-256, if anything; it is then not decoded.
    """
    try:
        data = read_bytes(Path(path))
    except ImageError as error:
        return Look(bytes(32), error.fault, error.reason)
    digest = hashlib.sha256(data).digest()
    return known(digest) or _examine(data, digest)


def _examine(data: bytes, digest: bytes) -> Look:
    try:
        info = inspect_bytes(data, None)
    except ImageError as error:
        return Look(digest, error.fault, error.reason)
    try:
        descriptor = describe(decode_small(data, None, info, _DESCRIBED_SIDE))
    except ImageError as error:
        return _told(info, digest)._replace(fault=error.fault, reason=error.reason)
    return _told(info, digest)._replace(descriptor=descriptor)


def _told(info: ImageInfo, digest: bytes) -> Look:
    return Look(
        digest, "", "", info.width, info.height, info.format, info.mode, info.orientation, info.bits,
        info.transparent, info.frames,
    )  # fmt: skip
