"""Pictures inside a zip, read without unpacking it: no name in it becomes a file."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from ...core.errors import DataError
from ...core.images import MAX_MEGAPIXELS, ImageError, decode_image, is_image
from ..results import Frame, Skipped
from .base import Job, PicturesBase
from .pictures import natural_key

_MOST_BYTES = 256 << 20  # of one picture, unpacked
_MOST_LISTED = 32 << 20  # bytes of the list of names: some 300,000 pictures; each takes 20 times that in memory
_DENSE_FROM = 10 << 20
_DENSEST = 100  # unpacked bytes per packed one; photographs do not shrink at all
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


class ZipSource(PicturesBase):
    """The pictures in a zip, in natural order, see `Source`.

    What is encrypted, damaged or too large is skipped by name.

    Args:
        path: The zip.
        max_megapixels: As in `PictureSource`.

    Raises:
        DataError: it is no zip that can be read, its list of names is too long, or it holds no picture.
    """

    def __init__(self, path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        self.path = path
        self._max_megapixels = max_megapixels
        _check_list(path)
        try:
            with zipfile.ZipFile(path) as opened:
                self._entries = [entry for entry in opened.infolist() if _is_picture(entry)]
        except (*_DAMAGE, struct.error) as error:
            raise DataError(
                f"The zip cannot be read: {error}.", where=path, next_step="download or copy it again"
            ) from None
        if not self._entries:
            raise DataError("There is no picture in this zip.", where=path)
        self._entries.sort(key=lambda entry: natural_key(entry.filename))
        super().__init__(path.stem, len(self._entries))

    def jobs(self) -> Iterator[Job]:
        """See `Jobs.jobs`. Unpacking is done here, decoding by the jobs."""
        with zipfile.ZipFile(self.path) as opened:
            for index, entry in enumerate(self._entries):
                shown = f"{self.path}/{_shown(entry.filename)}"
                try:
                    data = _unpack(opened, entry)
                except ImageError as error:
                    yield partial(Skipped, shown, error.reason)
                else:
                    yield partial(_decode, data, shown, index, self._max_megapixels)


def _unpack(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    packed, unpacked = entry.compress_size, entry.file_size
    if entry.flag_bits & _ENCRYPTED:
        raise ImageError("it is encrypted; unpack the zip with its password first", None, "missing")
    if entry.compress_type not in _METHODS:
        raise ImageError(f"it is packed by a method that is not read ({entry.compress_type})", None, "missing")
    if unpacked > _MOST_BYTES or (unpacked > _DENSE_FROM and unpacked > _DENSEST * max(packed, 1)):
        raise ImageError("it claims to unpack to much more than a picture has", None, "too-large")
    try:
        with opened.open(entry) as file:
            data = file.read(unpacked + 1)
    except _DAMAGE:
        raise ImageError("it is damaged inside the zip", None, "truncated") from None
    if len(data) != unpacked:
        raise ImageError("it is cut short inside the zip", None, "truncated")
    return data


def _decode(data: bytes, shown: str, index: int, max_megapixels: float) -> Frame | Skipped:
    try:
        return Frame(decode_image(data, Path(shown), max_megapixels=max_megapixels), shown, index)
    except ImageError as error:
        return Skipped(shown, error.reason)


def _is_picture(entry: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(entry.filename)
    hidden = any(part.startswith(".") and part != ".." for part in path.parts) or "__MACOSX" in path.parts
    return not entry.is_dir() and not hidden and is_image(Path(path.name))


def _shown(name: str) -> str:
    """A name from the zip, fit for a terminal and a record."""
    return "".join(character if character.isprintable() else "?" for character in name)


def _check_list(path: Path) -> None:
    """Look at the size of the list of names before Python reads all of it into memory.

    The end record is described in PKWARE's APPNOTE.TXT, sections 4.3.14 to 4.3.16.
    """
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(length - 65_557, 0))
        end = file.read()
        place = end.rfind(b"PK\5\6")
        size = int.from_bytes(end[place + 12 : place + 16], "little") if place >= 0 else 0
        locator = end[place - 20 : place] if place >= 20 else b""
        if locator.startswith(b"PK\6\7"):  # the 64-bit form; Python follows it wherever it stands
            file.seek(min(int.from_bytes(locator[8:16], "little"), length))
            record = file.read(56)
            size = max(size if size != 0xFFFFFFFF else 0, int.from_bytes(record[40:48], "little"))
    if size > _MOST_LISTED:
        raise DataError(
            "The list of names in this zip is too long to be read safely.",
            where=path,
            next_step="if you trust it, unpack it and give the folder",
        )
