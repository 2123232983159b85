"""The one picture decoder, for training and for use, and its verdict on a file.

Every picture that trains a model or is predicted on comes through `read_image`, so that a rotated phone photo, a grey
scan or a CMYK print file means the same thing everywhere.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image

from .errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
MAX_MEGAPIXELS = 50.0

_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP", "MPO")
_SUFFIX_OF = {"BMP": {".bmp"}, "JPEG": {".jpg", ".jpeg"}, "MPO": {".jpg", ".jpeg"}, "PNG": {".png"}, "WEBP": {".webp"}}


class ImageError(DataError):
    """A file that cannot be used as a picture; `reason` says why in a few words, without the path."""

    def __init__(self, reason: str, path: Path | None) -> None:
        super().__init__(f"This picture cannot be used: {reason}.", where=path)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the header of a picture says.

    Attributes:
        width, height: pixels as the picture is shown, EXIF orientation applied.
        format: "JPEG", "PNG", ...
        mode: Pillow's name of the pixel layout: "RGB", "L", "CMYK", "I;16", "RGBA", "P", ...
        orientation: the EXIF orientation, 1 (upright) to 8.
        plain: the file holds 8-bit RGB, upright, under its right suffix, ended properly: any library
            decodes it to the same pixels, so it needs no conversion.
    """

    width: int
    height: int
    format: str
    mode: str
    orientation: int
    plain: bool


def is_image(path: Path) -> bool:
    """Whether the name looks like a picture that we read; hidden files do not."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def inspect_image(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> ImageInfo:
    """Read a picture's header, and check that the file is complete.

    Raises:
        ImageError: the file is missing, empty, not a picture, cut short, or has more pixels than `max_megapixels`.
    """
    return _inspect(_read_bytes(path), path, max_megapixels)


def read_image(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Decode a picture to BGR uint8 `(height, width, 3)`, EXIF orientation applied.

    Grey becomes three equal channels, 16 bits are scaled to 8, transparency is dropped, CMYK is converted, and of an
    animation the first frame is taken. The size is looked at before anything is decoded, because a file of 100 KB
    can ask for gigabytes.

    Raises:
        ImageError: see `inspect_image`.
    """
    data = _read_bytes(path)
    return _decode(data, path, _inspect(data, path, max_megapixels))


def write_image(path: Path, bgr: np.ndarray) -> None:
    """Write BGR uint8 `(height, width, 3)` in the format of the suffix.

    Raises:
        OSError: the disk said no; `cv2.imwrite` alone would return False without a word.
    """
    done, encoded = cv2.imencode(path.suffix, bgr)
    if not done:
        raise OSError(f"cannot encode a {path.suffix} file: {path}")
    path.write_bytes(encoded.tobytes())


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise ImageError("it is a folder", path) from None
    except FileNotFoundError:
        raise ImageError("there is no such file", path) from None
    except OSError as error:
        raise ImageError(f"it cannot be read ({error.strerror or error})", path) from error


def _inspect(data: bytes, path: Path | None, max_megapixels: float) -> ImageInfo:
    if not data:
        raise ImageError("the file is empty", path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as header:
                width, height = header.size
                mode, kind = header.mode, str(header.format)
                orientation = _orientation(header, data)
    except Image.DecompressionBombError:
        raise ImageError(f"it has more than {max_megapixels:g} megapixels", path) from None
    except Exception:  # noqa: BLE001 - Pillow's parsers raise a dozen kinds on hostile bytes; all mean the same to the person
        raise ImageError("the file is not a picture that can be read", path) from None
    if width * height > max_megapixels * 1e6:
        raise ImageError(f"it is {width} x {height}, more than {max_megapixels:g} megapixels", path)
    if width < 1 or height < 1:
        raise ImageError("it has no pixels", path)
    if _is_cut_short(data, kind):
        raise ImageError("the file is cut short", path)
    orientation = orientation if 1 <= orientation <= 8 else 1
    if orientation >= 5:
        width, height = height, width
    named_right = path is None or path.suffix.lower() in _SUFFIX_OF.get(kind, set())
    ended_right = kind != "JPEG" or data.endswith(b"\xff\xd9")
    plain = mode == "RGB" and orientation == 1 and kind in {"JPEG", "PNG", "BMP"} and named_right and ended_right
    return ImageInfo(width, height, kind, mode, orientation, plain)


def _orientation(header: Image.Image, data: bytes) -> int:
    if header.format == "PNG":  # Pillow would decode the whole picture to look for it
        exif = Image.Exif()
        exif.load(_png_chunks(data).get(b"eXIf", b""))
    else:
        exif = header.getexif()
    return int(exif.get(ExifTags.Base.Orientation, 1) or 1)


def _is_cut_short(data: bytes, kind: str) -> bool:
    """Decoders fill the missing part of a truncated file with grey and say nothing."""
    if kind in {"JPEG", "MPO"}:
        return b"\xff\xd9" not in data[2:]
    return kind == "PNG" and b"IEND" not in _png_chunks(data)


def _png_chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG by type, without the pixels; those that are whole."""
    chunks: dict[bytes, bytes] = {}
    position = 8
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        kind, start = data[position + 4 : position + 8], position + 8
        if start + length + 4 > len(data):
            break
        chunks.setdefault(kind, b"" if kind == b"IDAT" else data[start : start + length])
        position = start + length + 4
    return chunks


def _decode(data: bytes, path: Path | None, info: ImageInfo) -> np.ndarray:
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # applies the EXIF orientation
    if bgr is None or (bgr.shape[1], bgr.shape[0]) != (info.width, info.height):
        bgr = _decode_with_pillow(data, path)
    if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3:
        raise ImageError("its pixels have an unknown layout", path)
    return bgr


def _decode_with_pillow(data: bytes, path: Path | None) -> np.ndarray:
    """For the few files that OpenCV does not read, or reads without turning them upright."""
    from PIL import ImageOps

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            upright = ImageOps.exif_transpose(picture)
            rgb = np.asarray(upright.convert("RGB"))
    except Exception:  # noqa: BLE001 - as above
        raise ImageError("the file is damaged", path) from None
    return np.ascontiguousarray(rgb[:, :, ::-1])
