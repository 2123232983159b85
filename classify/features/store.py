"""Features on disk: one folder for what was computed by one model on one set of pictures.

    <cache>/features/<key>/features.bin   rows of numbers, one after the other
                           index.json     what they are, and a checksum for each chunk of rows
                     .<key>.part/         one that is being computed, with a journal of the chunks that are done

A folder has its name only when it is whole. What a killed process leaves is gone on with, chunk by chunk, if the
checksums agree.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import is_disk_full
from ...core.files import write_atomic
from ...core.isolation import cache_folder
from ...core.lock import mark_in_use, only_one
from ...core.progress import warn
from ..positioned import SharedFile
from .room import DATA, INDEX, JOURNAL, make_room, no_room, reserve

_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Layout:
    """What a file of features holds.

    Attributes:
        shape: Of one row: the activations for one view of one picture.
        dtype: "float16" or "float32".
        pictures: How many pictures.
        views: How many rows each picture has, one after the other.
        engine: What computes them.
    """

    shape: tuple[int, ...]
    dtype: str
    pictures: int
    views: int
    engine: str

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    @property
    def bytes(self) -> int:
        """Bytes of the whole file."""
        return self.row_bytes * self.pictures * self.views

    @property
    def chunk(self) -> int:
        """Pictures in a chunk, which is written and checked as one."""
        return min(max(_CHUNK_BYTES // max(self.row_bytes * self.views, 1), 1), 64)

    def chunks(self) -> range:
        """Number of the first picture of each chunk."""
        return range(0, self.pictures, self.chunk)

    def numbers(self, first: int) -> range:
        """Numbers of the pictures in the chunk that starts with this one."""
        return range(first, min(first + self.chunk, self.pictures))


@dataclass(frozen=True)
class Stored:
    """Features that are whole.

    Attributes:
        layout: What the file holds.
        file: The file, open to be read.
        skipped: Numbers of the pictures that could not be read, and why; their rows hold nothing.
        seconds: What computing them took.
    """

    layout: Layout
    file: SharedFile
    skipped: dict[int, str]
    seconds: float


def lock_of(key: str) -> AbstractContextManager[None]:
    """Held by whoever computes the features of this key."""
    return only_one(cache_folder("features") / ".locks" / f"{key}.lock", "another command that computes these features")


def open_stored(key: str) -> Stored | None:
    """The features of a key, if they are there and whole; damaged ones are removed.

    The caller holds `lock_of(key)`.
    """
    folder = cache_folder("features") / key
    try:
        index = _read_index(folder / INDEX)
        layout = _layout(index["layout"])
        file = _opened(folder / DATA, "r")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        _discard(folder, "its index cannot be read")
        return None
    if not _all_agree(file, layout, index["checksums"]):
        file.close()
        _discard(folder, "it was changed or damaged")
        return None
    with contextlib.suppress(OSError):  # so that the least recently used can be told
        os.utime(folder / INDEX)
    skipped = {int(number): str(reason) for number, reason in index["skipped"].items()}
    return Stored(layout, file, skipped, float(index["seconds"]))


class Growing:
    """Features that are being computed; use it in a `with` block, holding `lock_of(key)`.

    Args:
        key: Which.
        layout: What they will be.

    Attributes:
        done: First pictures of the chunks that an interrupted command left, and that are whole.

    Raises:
        LensmithError: the disk has no room for them.
    """

    def __init__(self, key: str, layout: Layout) -> None:
        self._home = cache_folder("features")
        self._target = self._home / key
        self._part = self._home / f".{key}.part"
        self._layout = layout
        self._checksums: dict[int, int] = {}
        self._skipped: dict[int, str] = {}
        self._seconds = 0.0
        self._started = time.monotonic()
        with self._told_when_full():
            self._file = self._go_on() or self._start_anew()

    @property
    def done(self) -> frozenset[int]:
        """See the class."""
        return frozenset(self._checksums)

    def __enter__(self) -> Growing:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, first: int, rows: np.ndarray, skipped: dict[int, str]) -> None:
        """Write a chunk.

        Args:
            first: Number of its first picture.
            rows: `(pictures * views, ...)` of the layout's dtype.
            skipped: Which of its pictures could not be read, and why.

        Raises:
            LensmithError: the disk is full; what was computed is removed.
        """
        with self._told_when_full():
            self._file.write(first * self._layout.views * self._layout.row_bytes, rows)
            self._checksums[first] = zlib.crc32(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
            self._skipped |= skipped
            with (self._part / JOURNAL).open("a", encoding="utf-8") as journal:
                entry = {"first": first, "checksum": self._checksums[first], "skipped": skipped,
                         "seconds": self._seconds + time.monotonic() - self._started}  # fmt: skip
                journal.write(json.dumps(entry) + "\n")

    def finish(self) -> Stored:
        """Give the folder its name.

        Raises:
            LensmithError: the disk is full.
        """
        seconds = self._seconds + time.monotonic() - self._started
        index = {
            "layout": asdict(self._layout), "checksums": [self._checksums[first] for first in self._layout.chunks()],
            "skipped": self._skipped, "seconds": round(seconds, 2),
        }  # fmt: skip
        with self._told_when_full():
            self._file.sync()
            (self._part / JOURNAL).unlink(missing_ok=True)
            _write_index(self._part / INDEX, index)
        self._file.close()
        shutil.rmtree(self._target, ignore_errors=True)
        self._part.rename(self._target)
        return Stored(self._layout, _opened(self._target / DATA, "r"), self._skipped, seconds)

    def _go_on(self) -> SharedFile | None:
        """What an interrupted command left, if it was the same work."""
        try:
            lines = (self._part / JOURNAL).read_text(encoding="utf-8").splitlines()
            if _layout(json.loads(lines[0])) != self._layout:
                return None
            file = _opened(self._part / DATA, "a")
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None
        for line in lines[1:]:
            with contextlib.suppress(ValueError, KeyError, TypeError, OSError):  # the last line may be half a line
                entry = json.loads(line)
                first = int(entry["first"])
                if first in self._layout.chunks() and _checksum(file, self._layout, first) == entry["checksum"]:
                    self._checksums[first] = entry["checksum"]
                    self._skipped |= {int(number): str(why) for number, why in entry["skipped"].items()}
                    self._seconds = max(self._seconds, float(entry["seconds"]))
        return file

    def _start_anew(self) -> SharedFile:
        shutil.rmtree(self._part, ignore_errors=True)
        make_room(self._layout.bytes)
        self._part.mkdir()
        file = _opened(self._part / DATA, "w")
        reserve(file, self._layout.bytes)
        write_atomic(self._part / JOURNAL, json.dumps(asdict(self._layout)) + "\n")
        return file

    @contextlib.contextmanager
    def _told_when_full(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not is_disk_full(error):
                raise
            shutil.rmtree(self._part, ignore_errors=True)
            raise no_room(self._home, self._layout.bytes) from None


def _opened(path: Path, mode: str) -> SharedFile:
    """A file of features; as long as it is open, its entry is not removed for others."""
    file = SharedFile(path, mode)
    mark_in_use(file.fileno())
    return file


def _write_index(path: Path, index: dict[str, Any]) -> None:
    text = json.dumps(index)
    write_atomic(path, f"{zlib.crc32(text.encode())}\n{text}\n")


def _read_index(path: Path) -> dict[str, Any]:
    checksum, _, text = path.read_text(encoding="utf-8").partition("\n")
    if int(checksum) != zlib.crc32(text.strip().encode()):
        raise ValueError("the index was changed")
    return json.loads(text)


def _layout(record: dict[str, Any]) -> Layout:
    return Layout(
        tuple(int(side) for side in record["shape"]), str(record["dtype"]), int(record["pictures"]),
        int(record["views"]), str(record["engine"]),
    )  # fmt: skip


def _checksum(file: SharedFile, layout: Layout, first: int) -> int:
    held = np.empty(len(layout.numbers(first)) * layout.views * layout.row_bytes, np.uint8)
    file.read(first * layout.views * layout.row_bytes, held)
    return zlib.crc32(held.data)


def _all_agree(file: SharedFile, layout: Layout, checksums: list[int]) -> bool:
    firsts = list(layout.chunks())
    if len(checksums) != len(firsts):
        return False
    try:
        with ThreadPoolExecutor(2, thread_name_prefix="checksums") as pool:
            found = pool.map(lambda first: _checksum(file, layout, first), firsts)
            return all(one == other for one, other in zip(found, checksums, strict=True))
    except OSError:
        return False


def _discard(folder: Path, why: str) -> None:
    warn(f"features kept in {folder} are not used, because {why}; they are computed again")
    shutil.rmtree(folder, ignore_errors=True)
