"""One picture on its way into a dataset, and how its file gets there."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from ..model import Boxes, Split
from .stems import safe_stem

_BUFFER_BYTES = 1 << 18
_own = threading.local()


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to be written into a dataset.

    Attributes:
        source: The file that is copied or linked, or the bytes of a picture file that was made (a crop, a repair).
        name: The file name wished for, with suffix; the writer makes it safe, and unique within its folder.
        split: "train", "valid" or "test".
        boxes: In a detection dataset; None for a picture that nobody has labelled.
        class_id: In a classification dataset.
    """

    source: Path | bytes
    name: str
    split: Split
    boxes: Boxes | None = None
    class_id: int | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A picture that a layout cannot take, and why, in a few words."""

    picture: Picture
    reason: str


class Names:
    """Gives file names that are safe everywhere, and whose stems are unique in any case: labels go by the stem."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}

    def file(self, wished: str) -> str:
        """A file's name: the wished one when it is free, else with `-2`, `-3`, ... at the end of its stem."""
        stem, suffix = os.path.splitext(wished)  # noqa: PTH122 - a hundred thousand times, and Path is slow
        return self.stem(stem) + suffix.lower()

    def stem(self, wished: str) -> str:
        """A name without a suffix: of a folder, say."""
        found = stem = safe_stem(wished)
        while found.casefold() in self._taken:
            number = self._last.get(stem.casefold(), 1) + 1
            self._last[stem.casefold()] = number
            found = f"{stem}-{number}"
        self._taken.add(found.casefold())
        return found


def place(picture: Picture, target: str, *, link: bool) -> str:
    """Put a picture's file at `target`, which must not exist, and return its SHA-256.

    One after the other: threads made it slower, because creating files is what takes the time, not hashing.

    Args:
        picture: What to put there. Its source is only read.
        target: The new file; its folder exists.
        link: Make a hard link where the disk allows it, else a copy.

    Raises:
        OSError: as the system gave it: a full disk, a source that is gone.
    """
    if isinstance(picture.source, bytes):
        write_new(target, picture.source)
        return hashlib.sha256(picture.source).hexdigest()
    digest = hashlib.sha256()
    with open(picture.source, "rb", buffering=0) as source:  # noqa: PTH123 - half the time of a link goes into Path
        buffer = _buffer()
        if link and _link(picture.source, target):
            while count := source.readinto(buffer):
                digest.update(buffer[:count])
            return digest.hexdigest()
        with _create(target) as file:
            while count := source.readinto(buffer):
                digest.update(buffer[:count])
                _write(file.fileno(), buffer[:count])
    return digest.hexdigest()


def _buffer() -> memoryview:
    """One for each thread, used again and again: new memory for each file costs more than reading it."""
    if not hasattr(_own, "buffer"):
        _own.buffer = memoryview(bytearray(_BUFFER_BYTES))
    return _own.buffer


def write_new(target: str, data: bytes) -> None:
    """Write a small file that must not exist yet.

    Raises:
        OSError: as the system gave it.
    """
    with _create(target) as file:
        _write(file.fileno(), data)


def _create(target: str) -> FileIO:
    return open(target, "xb", buffering=0)  # noqa: PTH123 - as above; the caller closes it


def _write(descriptor: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:  # a full disk may take a part first, and say so at the next call
        left = left[os.write(descriptor, left) :]


def _link(source: Path, target: str) -> bool:
    try:
        os.link(os.path.realpath(source) if os.path.islink(source) else source, target)  # noqa: PTH114 - as above
    except OSError:  # another disk, or one that knows no links
        return False
    return True
