"""Pictures named line by line: in a file, or on standard input while another program writes there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ...core.errors import DataError, NotFoundError
from ...core.images import IMAGE_SUFFIXES, MAX_MEGAPIXELS
from ..address import is_address
from ..results import Skipped
from .base import Job, PicturesBase, Room, plenty
from .pictures import PictureSource, read_frame

LIST_SUFFIXES = frozenset({".txt", ".lst"})
_MOST_BYTES = 64 << 20
_LONGEST_LINE = 32_768  # the longest path that any system takes
_SHOWN = 100  # characters of a longer one


class StdinSource(PicturesBase):
    """Pictures whose paths come on standard input, one a line, as they come; see `Source`.

    The loop takes pictures in batches, so an answer comes when the next paths have come, or the input has ended.

    Args:
        lines: Where the lines are read from.
        max_megapixels: As in `PictureSource`.
    """

    def __init__(self, lines: BinaryIO | None = None, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        super().__init__("stdin", None)
        self._lines = lines or sys.stdin.buffer
        self._max_megapixels = max_megapixels

    def jobs(self, room: Room = plenty) -> Iterator[Job]:
        """See `Jobs.jobs`.

        Raises:
            NotFoundError: the input ended without a single path.
        """
        index = 0
        while line := self._lines.readline(_LONGEST_LINE):
            path = _path_of(line)
            if not line.endswith(b"\n") and self._pass_over_rest():
                yield partial(Skipped, f"{path[:_SHOWN]}...", "the line is longer than any path")
                index += 1
            elif path:
                yield partial(read_frame, path, index, self._max_megapixels, room)
                index += 1
        if not index:
            raise NotFoundError(
                "Nothing came on standard input.",
                where="SOURCE",
                next_step="write paths of pictures there, one a line: find shots -name '*.jpg' | cv predict - ...",
            )

    def _pass_over_rest(self) -> bool:
        """Read to the end of a line that was cut; False where it was none, but the last one of the input."""
        cut = False
        while rest := self._lines.readline(_LONGEST_LINE):
            cut = True
            if rest.endswith(b"\n"):
                break
        return cut


def read_list(path: Path, max_megapixels: float) -> PictureSource:
    """A source of the pictures that a text file names, one a line; relative ones lie beside the file.

    Raises:
        DataError: it is too large for a list, or no line of it names a picture.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise DataError(f"The list is larger than {_MOST_BYTES >> 20} MB.", where=path, next_step="split it")
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    named = [text for line in lines if (text := _path_of(line))]
    if not any(text.lower().endswith(tuple(IMAGE_SUFFIXES)) for text in named):
        raise DataError(
            "No line of this text file names a picture.",
            where=path,
            next_step="put one path a line, absolute or relative to the file: shots/0001.jpg",
        )
    paths = [text if is_address(text) else str(path.parent / text) for text in named]  # an address is told as it stands
    return PictureSource(path.stem, paths, max_megapixels)


def _path_of(line: bytes) -> str:
    """The path on a line, "" where there is none; names that are not UTF-8 stay what they are on the disk."""
    return line.strip(b"\r\n").decode(errors="surrogateescape").strip().replace("\0", "?")
