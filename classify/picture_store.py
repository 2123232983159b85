"""Decoded, reduced pictures in a scratch file, so that a file of 12 megapixels is decoded once and not in every epoch.

What was written lies in the system's file cache while there is memory, and on the disk when there is not.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import weakref
from collections.abc import Hashable
from pathlib import Path

import numpy as np

from ..core.files import scratch_folder
from ..core.isolation import cache_folder
from .positioned import SharedFile

MOST_BYTES = 16 << 30


class PictureStore:
    """Arrays by name, from any thread. It ends with the object, and leaves nothing behind.

    A full disk, or the limit of 16 GB or a quarter of the free disk, is no error: later arrays are not kept.
    """

    def __init__(self) -> None:
        home = cache_folder("pictures")
        self._room = min(MOST_BYTES, shutil.disk_usage(home).free // 4)
        self._places: dict[Hashable, tuple[int, tuple[int, ...]]] = {}
        self._end = 0
        self._lock = threading.Lock()
        stack = contextlib.ExitStack()
        folder = stack.enter_context(scratch_folder(home / "decoded"))
        path = folder / "pictures"
        self._file = stack.enter_context(SharedFile(path, "w"))
        self._close = weakref.finalize(self, stack.close)
        _unname(path)

    def put(self, name: Hashable, pixels: np.ndarray) -> None:
        """Keep a uint8 array, if there is room and it is not there yet."""
        with self._lock:
            if name in self._places or pixels.nbytes > self._room:
                return
            offset = self._end
            self._end += pixels.nbytes
            self._room -= pixels.nbytes
        try:
            self._file.write(offset, pixels)
        except OSError:  # a full disk: what is there stays
            self._room = 0
            return
        self._places[name] = (offset, pixels.shape)

    def get(self, name: Hashable) -> np.ndarray | None:
        """A copy of what was kept, or None."""
        place = self._places.get(name)
        if place is None:
            return None
        pixels = np.empty(place[1], np.uint8)
        self._file.read(place[0], pixels)
        return pixels

    def __contains__(self, name: Hashable) -> bool:
        return name in self._places

    def close(self) -> None:
        """Remove the file; nothing can be put or got any more."""
        self._close()


def _unname(path: Path) -> None:
    """Where the system allows it, an open file goes on without a name, so that even a killed process leaves none."""
    with contextlib.suppress(OSError):
        path.unlink()
