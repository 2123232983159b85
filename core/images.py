"""The one picture decoder, for training and for use, and its verdict on a file.

Every picture that trains a model or is predicted on comes through `read_image`, so that a rotated phone photo, a grey
scan or a CMYK print file means the same thing everywhere.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import ExifTags, Image

from .errors import DataError
from .files import write_atomic
from .image_parts import png_chunks, reaches_jpeg_end

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
MAX_MEGAPIXELS = 50.0
_MOST_BYTES = 512 << 20  # 50 megapixels of four 16-bit channels, not packed, are 400 MB

_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP", "MPO")
SUFFIXES_OF = {
    "BMP": (".bmp",), "JPEG": (".jpg", ".jpeg"), "MPO": (".jpg", ".jpeg"), "PNG": (".png",), "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}  # fmt: skip
"""What the files of each format may be called, the usual first."""
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"RIFF")

ImageFault = Literal[
    "missing",  # no file, a folder, no permission
    "empty",  # zero bytes
    "unreadable",  # not a picture
    "truncated",  # a picture, but some of it is not there or damaged
    "too-large",  # more pixels, or a larger file, than allowed
]


class ImageError(DataError):
    """A file that cannot be used as a picture.

    Attributes:
        reason: Why, in a few words, without the path.
        fault: The same for a program.
    """

    def __init__(self, reason: str, path: Path | None, fault: ImageFault = "unreadable") -> None:
        super().__init__(f"This picture cannot be used: {reason}.", where=path)
        self.reason = reason
        self.fault: ImageFault = fault


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the header of a picture says.

    Attributes:
        width, height: pixels as the picture is shown, EXIF orientation applied.
        format: "JPEG", "PNG", ...
        mode: Pillow's name of the pixel layout: "RGB", "L", "CMYK", "I;16", "RGBA", "P", ...
        orientation: the EXIF orientation, 1 (upright) to 8.
        bits: per channel: 8, sometimes 1, 16 or 32.
        transparent: whether it has an alpha channel or a transparent colour.
        frames: 1, or how many pictures an animation or a TIFF of several pages has.
        misnamed: the suffix says another format than the content has.
        plain: the file holds 8-bit RGB, upright, under its right suffix, ended properly: any library
            decodes it to the same pixels, so it needs no conversion.
    """

    width: int
    height: int
    format: str
    mode: str
    orientation: int
    bits: int
    transparent: bool
    frames: int
    misnamed: bool
    plain: bool


def is_image(path: Path) -> bool:
    """Whether the name looks like a picture that we read; hidden files do not."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def suffix_fits(path: Path | str, kind: str) -> bool:
    """Whether a file of this format ("JPEG", "PNG", ...) may have this name."""
    return os.path.splitext(path)[1].lower() in SUFFIXES_OF.get(kind, ())  # noqa: PTH122 - also for a hundred thousand names


def inspect_image(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> ImageInfo:
    """Read a picture's header, and check that the file is complete.

    Raises:
        ImageError: the file is missing, empty, not a picture, cut short, or has more pixels than `max_megapixels`.
    """
    return inspect_bytes(read_bytes(path), path, max_megapixels=max_megapixels)


def read_image(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Decode a picture to BGR uint8 `(height, width, 3)`, EXIF orientation applied.

    Grey becomes three equal channels, 16 bits are scaled to 8, transparency is dropped, CMYK is converted, and of an
    animation the first frame is taken. The size is looked at before anything is decoded, because a file of 100 KB
    can ask for gigabytes.

    Raises:
        ImageError: see `inspect_image`.
    """
    return decode_image(read_bytes(path), path, max_megapixels=max_megapixels)


def decode_image(
    data: bytes,
    path: Path | None,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
    room: Callable[[int], None] | None = None,
) -> np.ndarray:
    """`read_image` for the content of a file; `path` is for its suffix and for the error.

    Before anything is decoded, `room` is told how many bytes the result takes, and may wait.
    """
    info = inspect_bytes(data, path, max_megapixels=max_megapixels)
    if room is not None:
        room(3 * info.width * info.height)
    return _decode(data, path, info)


def write_image(path: Path, bgr: np.ndarray) -> None:
    """Write BGR uint8 `(height, width, 3)` in the format of the suffix, whole or not at all.

    Raises:
        OSError: the disk said no; `cv2.imwrite` alone would return False without a word.
    """
    done, encoded = cv2.imencode(path.suffix, bgr)
    if not done:
        raise OSError(f"cannot encode a {path.suffix} file: {path}")
    write_atomic(path, encoded.tobytes(), durable=False)


def read_bytes(path: Path) -> bytes:
    """The content of a picture file.

    Raises:
        ImageError: "missing": it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait for ever
            raise ImageError("it is a folder" if path.is_dir() else "it is no ordinary file", path, "missing")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                raise ImageError(f"the file is larger than {_MOST_BYTES >> 20} MB", path, "too-large")
            return file.read()
    except FileNotFoundError:
        raise ImageError("there is no such file", path, "missing") from None
    except OSError as error:
        raise ImageError(f"it cannot be read ({error.strerror or error})", path, "missing") from error


def inspect_bytes(data: bytes, path: Path | None, *, max_megapixels: float = MAX_MEGAPIXELS) -> ImageInfo:
    """`inspect_image` for the content of a file; `path` is for its suffix and for the error."""
    if not data:
        raise ImageError("the file is empty", path, "empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as header:
                width, height = header.size
                mode, kind = header.mode, str(header.format)
                orientation = _orientation(header, data)
                transparent = mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in header.info
                frames = 1 if kind in {"JPEG", "MPO"} else int(getattr(header, "n_frames", 1))
                bits = _bits(header, data)
    except Image.DecompressionBombError:
        raise ImageError(f"it has more than {max_megapixels:g} megapixels", path, "too-large") from None
    except Exception:  # noqa: BLE001 - Pillow's parsers raise a dozen kinds on hostile bytes; all mean the same to the person
        if data.startswith(_SIGNATURES):
            raise ImageError("the file is cut short or damaged", path, "truncated") from None
        raise ImageError("the file is not a picture that can be read", path) from None
    if width * height > max_megapixels * 1e6:
        raise ImageError(f"it is {width} x {height}, more than {max_megapixels:g} megapixels", path, "too-large")
    if width < 1 or height < 1:
        raise ImageError("it has no pixels", path)
    if _is_cut_short(data, kind):
        raise ImageError("the file is cut short", path, "truncated")
    orientation = orientation if 1 <= orientation <= 8 else 1
    if orientation >= 5:
        width, height = height, width
    misnamed = path is not None and not suffix_fits(path, kind)
    ended_right = kind != "JPEG" or data.endswith(b"\xff\xd9")
    plain = (
        mode == "RGB" and bits == 8 and frames == 1 and orientation == 1 and kind in {"JPEG", "PNG", "BMP"}
        and not misnamed and ended_right
    )  # fmt: skip
    return ImageInfo(width, height, kind, mode, orientation, bits, transparent, frames, misnamed, plain)


def _bits(header: Image.Image, data: bytes) -> int:
    if header.format == "PNG":  # Pillow takes 16-bit colour for 8-bit
        return data[24]
    if header.format == "TIFF":
        tags = getattr(header, "tag_v2", {})
        return max(tags.get(258, (8,)))
    return {"1": 1, "I;16": 16, "I": 32, "F": 32}.get(header.mode, 8)


def _orientation(header: Image.Image, data: bytes) -> int:
    if header.format == "PNG":  # Pillow would decode the whole picture to look for it
        exif = Image.Exif()
        exif.load(png_chunks(data).get(b"eXIf", b""))
    else:
        exif = header.getexif()
    return int(exif.get(ExifTags.Base.Orientation, 1) or 1)


def _is_cut_short(data: bytes, kind: str) -> bool:
    """Decoders fill the missing part of a truncated file with grey and say nothing."""
    if kind in {"JPEG", "MPO"}:
        return not reaches_jpeg_end(data)
    return kind == "PNG" and b"IEND" not in png_chunks(data)


def _decode(data: bytes, path: Path | None, info: ImageInfo) -> np.ndarray:
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # applies the EXIF orientation
    if bgr is None or (bgr.shape[1], bgr.shape[0]) != (info.width, info.height):
        bgr = decode_with_pillow(data, path)
    if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3:
        raise ImageError("its pixels have an unknown layout", path)
    return bgr


def decode_with_pillow(data: bytes, path: Path | None) -> np.ndarray:
    """Decode to BGR uint8 `(h, w, 3)`, upright: the few files that OpenCV does not read, or does not turn.

    Raises:
        ImageError: "truncated": the data is damaged.
    """
    from PIL import ImageOps

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            upright = ImageOps.exif_transpose(picture)
            rgb = np.asarray(upright.convert("RGB"))
    except Exception:  # noqa: BLE001 - as above
        raise ImageError("the file is damaged", path, "truncated") from None
    return np.ascontiguousarray(rgb[:, :, ::-1])
