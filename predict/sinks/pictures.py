"""Picture files in one folder, under names like those of what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.errors import told_when_full
from ...core.files import slug
from ...core.images import write_image


class FileNames:
    """Different names for different things, in any case: some systems do not tell capitals from small letters.

    Of names given away only a number is kept, which is little for a hundred thousand.
    """

    def __init__(self) -> None:
        self._next: dict[int, int] = {}

    def free(self, source: str) -> str:
        """A safe name like that of the source, without its ending and its folder, that was not given before."""
        stem = slug(Path(source).stem)
        key = hash(stem.casefold())
        if key not in self._next:
            self._next[key] = 2
            return stem
        number = self._next[key]
        while hash((name := f"{stem}-{number}").casefold()) in self._next:
            number += 1
        self._next[key] = number + 1
        self._next[hash(name.casefold())] = 2
        return name


class PictureFolder:
    """Drawn copies in one folder. Pictures of the same name from different folders get different names.

    Attributes:
        folder: As given.
        reserved: How many names were given away.

    Raises:
        DiskFullError: there is no room; no half picture is left behind.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reserved = 0
        self._names = FileNames()

    def reserve(self, source: str) -> Path:
        """The file for the picture of this source. To be asked in the order of the sources."""
        self.reserved += 1
        return self.folder / f"{self._names.free(source)}.jpg"

    def put(self, bgr: np.ndarray, target: Path, kept: int) -> None:
        """Write a picture, uint8 BGR, to where `reserve` said, from any thread; `kept` were written before it."""
        with told_when_full(target, kept=f"{kept} pictures" if kept else ""):
            write_image(target, bgr)

    def write(self, bgr: np.ndarray, source: str) -> Path:
        """Write a picture under a name like that of its source, and say where it is."""
        before = self.reserved
        target = self.reserve(source)
        self.put(bgr, target, before)
        return target
