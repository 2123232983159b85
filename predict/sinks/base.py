"""What a sink is, and files that hold whole pieces only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ...core.errors import told_when_full
from ..results import Prediction


class Sink(Protocol):
    """Takes predictions in their order. Nothing of a prediction is changed; a sink may add to the record."""

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:
        """Take one more.

        Raises:
            DiskFullError: there is no room; what was written before stays and is valid.
        """
        ...

    def close(self) -> None:
        """Finish. May be called twice."""
        ...


class Call:
    """Hands each record to a function, see `Sink`."""

    def __init__(self, function: Callable[[dict[str, Any]], None]) -> None:
        self._function = function

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:  # noqa: ARG002 - as every sink
        """See `Sink.write`."""
        self._function(record)

    def close(self) -> None:
        """See `Sink.close`."""


class AppendFile:
    """A new file that grows piece by piece: whole pieces only, even when the disk fills up half-way through one.

    Args:
        path: Where; a file there is replaced.
        what: What a piece is called in errors: "records".
        head: What the file begins with.
        tail: What it must end with to be valid, such as "]": each piece is written over it, with it behind.

    Attributes:
        pieces: How many it holds.

    Raises:
        DiskFullError: there is no room.
        OSError: the file cannot be written for another reason.
    """

    def __init__(self, path: Path, what: str, *, head: bytes = b"", tail: bytes = b"") -> None:
        self.path = path
        self.pieces = 0
        self._what, self._tail = what, tail
        self._file = path.open("wb", buffering=0)
        self._end = self._before = 0
        try:
            self._put(head)
        except BaseException:
            self._file.close()
            raise

    def append(self, piece: bytes) -> None:
        """Add one more."""
        self._put(piece)
        self.pieces += 1

    def undo(self) -> None:
        """Take the last piece back, for which there was no room elsewhere. Only once after each."""
        self._end = self._before
        self.pieces -= 1
        self._take_back()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._file.close()

    def _put(self, piece: bytes) -> None:
        with told_when_full(self.path, kept=f"{self.pieces} {self._what}" if self.pieces else ""):
            try:
                if self._tail:
                    self._file.seek(self._end)
                self._write(piece + self._tail)
            except BaseException:
                self._take_back()
                raise
        self._before, self._end = self._end, self._end + len(piece)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]

    def _take_back(self) -> None:
        """Cut off what does not belong there; the tail stood in its place before, so there is room for it."""
        kept = self._end + (len(self._tail) if self._end else 0)
        if self._file.seekable() and os.fstat(self._file.fileno()).st_size > kept:
            self._file.truncate(kept)
            self._file.seek(self._end)
            if self._tail and self._end:
                self._write(self._tail)
