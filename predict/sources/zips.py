"""Pictures inside a zip, read without unpacking it: no name in it becomes a file."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from ...core.errors import DataError
from ...core.images import MAX_MEGAPIXELS, ImageError, decode_image, is_image
from ...core.zips import is_encrypted, is_packed_as_we_read, shown_name, too_dense
from ..results import Frame, Skipped
from .base import Job, PicturesBase, Room, plenty
from .pictures import natural_key

_MOST_BYTES = 256 << 20  # of one picture, unpacked
_MOST_LISTED = 32 << 20  # bytes of the list of names: some 300,000 pictures; each takes 20 times that in memory
_RARE_METHODS = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma"}
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
        try:
            with _opened(path) as opened:
                self._entries = [entry for entry in opened.infolist() if _is_picture(entry)]
        except (*_DAMAGE, struct.error) as error:
            raise DataError(
                f"The zip cannot be read: {error}.", where=path, next_step="download or copy it again"
            ) from None
        if not self._entries:
            raise DataError("There is no picture in this zip.", where=path)
        self._entries.sort(key=lambda entry: natural_key(entry.filename))
        super().__init__(path.stem, len(self._entries))

    def jobs(self, room: Room = plenty) -> Iterator[Job]:
        """See `Jobs.jobs`. Unpacking is done here, decoding by the jobs."""
        with _opened(self.path) as opened:
            for index, entry in enumerate(self._entries):
                shown = f"{self.path}/{shown_name(entry.filename, None)}"
                try:
                    data = _unpack(opened, entry, room)
                except ImageError as error:
                    yield partial(Skipped, shown, error.reason)
                else:
                    yield partial(_decode, data, shown, index, self._max_megapixels, room)


def _unpack(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, room: Room) -> bytes:
    unpacked = entry.file_size
    if is_encrypted(entry):
        raise ImageError("it is encrypted; unpack the zip with its password first", None, "missing")
    if not is_packed_as_we_read(entry):
        how = _RARE_METHODS.get(entry.compress_type, f"method {entry.compress_type}")
        raise ImageError(f"it is packed with {how}, which is not read; pack it as usual (deflate)", None, "missing")
    if unpacked > _MOST_BYTES or too_dense(unpacked, entry.compress_size):
        raise ImageError("it claims to unpack to much more than a picture has", None, "too-large")
    room(unpacked)
    try:
        with opened.open(entry) as file:
            data = file.read(unpacked + 1)
    except _DAMAGE:
        raise ImageError("it is damaged inside the zip", None, "truncated") from None
    if len(data) != unpacked:
        raise ImageError("it is cut short inside the zip", None, "truncated")
    return data


def _decode(data: bytes, shown: str, index: int, max_megapixels: float, room: Room) -> Frame | Skipped:
    try:
        return Frame(decode_image(data, Path(shown), max_megapixels=max_megapixels, room=room), shown, index)
    except ImageError as error:
        return Skipped(shown, error.reason)


def _is_picture(entry: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(entry.filename)
    hidden = any(part.startswith(".") and part != ".." for part in path.parts) or "__MACOSX" in path.parts
    return not entry.is_dir() and not hidden and is_image(Path(path.name))


class _ListReader(io.BufferedReader):
    """A zip that refuses to hand over an over-long list of names, however the zip says where it is."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.listed = False

    def read(self, size: int | None = -1, /) -> bytes:
        """As every file; until `listed` is set only so much at a time: Python asks for the whole list at once."""
        if not self.listed and size is not None and size > _MOST_LISTED:
            raise DataError(
                "The list of names in this zip is too long to be read safely.",
                where=str(self.name),
                next_step="if you trust it, unpack it and give the folder",
            )
        return super().read(size)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with _ListReader(path) as file, zipfile.ZipFile(file) as opened:
        file.listed = True
        yield opened
