"""A file that many threads read and write at places of their own."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from types import TracebackType

import numpy as np


class SharedFile:
    """A file without a position: every read and write says where.

    Reads go into arrays of the caller's and are not mapped: so the process holds no more of the file than it asked for,
    and a file that was cut short is an error where a map would end the process.

    Args:
        path: The file.
        mode: "r" to read what is there, "w" to make it anew and read too, "a" to go on with what is there.
    """

    def __init__(self, path: Path, mode: str) -> None:
        self.path = path
        self._file = io.FileIO(path, {"r": "r", "w": "w+", "a": "r+"}[mode])
        self._lock = threading.Lock()  # for systems that cannot read at a place

    def read(self, offset: int, into: np.ndarray) -> None:
        """Fill a contiguous array with the bytes from `offset` on.

        Raises:
            OSError: the file ends before, or the system says no.
        """
        view = into.reshape(-1).view(np.uint8).data
        while view:
            count = self._read_some(offset, view)
            if not count:
                raise OSError(f"the file ends {len(view)} bytes early: {self.path}")
            offset, view = offset + count, view[count:]

    def write(self, offset: int, data: np.ndarray) -> None:
        """Write a contiguous array to `offset`.

        Raises:
            OSError: the disk is full, say.
        """
        view = np.ascontiguousarray(data).reshape(-1).view(np.uint8).data
        while view:
            count = self._write_some(offset, view)
            offset, view = offset + count, view[count:]

    def fileno(self) -> int:
        """The system's number of the file."""
        return self._file.fileno()

    def sync(self) -> None:
        """Bring what was written to the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; may be called again."""
        self._file.close()

    def __enter__(self) -> SharedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    if hasattr(os, "preadv"):

        def _read_some(self, offset: int, view: memoryview) -> int:
            return os.preadv(self._file.fileno(), [view], offset)

        def _write_some(self, offset: int, view: memoryview) -> int:
            return os.pwrite(self._file.fileno(), view, offset)

    else:

        def _read_some(self, offset: int, view: memoryview) -> int:
            with self._lock:
                self._file.seek(offset)
                return self._file.readinto(view) or 0

        def _write_some(self, offset: int, view: memoryview) -> int:
            with self._lock:
                self._file.seek(offset)
                return self._file.write(view) or 0
