"""Picture files, one by one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from ...core.images import MAX_MEGAPIXELS, ImageError, decode_image, is_image, read_bytes
from ...core.manifest import MANIFEST_NAME
from ..address import hide_login, is_address
from ..results import Frame, Skipped
from .base import Job, PicturesBase, Room, plenty

_DIGITS = re.compile(r"\d+")


class PictureSource(PicturesBase):
    """Picture files in the given order, see `Source`.

    Args:
        name: What it is called.
        paths: The files. One that is gone when its turn comes is skipped like any other that cannot be read.
        max_megapixels: Larger pictures are skipped before they are decoded.
    """

    def __init__(self, name: str, paths: Sequence[Path | str], max_megapixels: float = MAX_MEGAPIXELS) -> None:
        super().__init__(name, len(paths))
        self.paths = tuple(paths)
        self._max_megapixels = max_megapixels

    def jobs(self, room: Room = plenty) -> Iterator[Job]:
        """See `Jobs.jobs`."""
        return (partial(read_frame, path, index, self._max_megapixels, room) for index, path in enumerate(self.paths))


def read_frame(path: Path | str, index: int, max_megapixels: float, room: Room) -> Frame | Skipped:
    """Decode one picture file, once there is `room` for it."""
    with suppress(OSError, ValueError):  # whoever reads it says what is wrong
        room(os.stat(path).st_size)  # noqa: PTH116 - as below
    try:
        bgr = decode_image(read_bytes(Path(path)), Path(path), max_megapixels=max_megapixels, room=room)
        return Frame(bgr, str(path), index)
    except ImageError as error:
        if error.fault == "missing" and is_address(str(path)):
            return Skipped(hide_login(str(path)), "it is an address, and only files are read here")
        return Skipped(str(path), error.reason)


def natural_key(path: Path | str) -> str:
    """Sorts names the way people count: shot2 before shot10, capitals beside small letters.

    One short text for each of a hundred thousand names: a number is its length and its digits.
    """
    text = str(path)
    counted = _DIGITS.sub(lambda found: _sortable(found[0]), text.casefold())
    return f"{counted}\0{text}"


def _sortable(digits: str) -> str:
    number = str(int(digits)) if len(digits) < 1000 else digits  # Python takes long for very long numbers, or refuses
    return f"\1{len(number):04d}{number}"


def pictures_in(folder: Path) -> tuple[list[str], list[str]]:
    """The pictures in a folder and its sub-folders, in natural order; nothing hidden, no link to a folder is followed.

    A folder that vanishes meanwhile is left out, and so are sub-folders in which a run of Lensmith put its results:
    the drawn copies there would be looked at again.

    Returns:
        The pictures, and the folders of runs that were left out.
    """
    found: list[str] = []
    runs: list[str] = []
    for place, folders, files in os.walk(folder):
        if MANIFEST_NAME in files and place != str(folder):
            runs.append(place)
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.extend(os.path.join(place, name) for name in files if is_image(Path(name)))  # noqa: PTH118 - of a hundred thousand paths the texts alone are kept
    start = len(str(folder))
    found = [path for path in found if os.path.isfile(path)]  # noqa: PTH113 - as above
    found.sort(key=lambda path: natural_key(path[start:]))
    return found, runs
