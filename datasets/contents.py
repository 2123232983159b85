"""What the files of a dataset's pictures are, without decoding them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ..core.device import usable_cores
from ..core.images import ImageError, inspect_bytes, read_bytes
from .check.cache import LookCache, cache_path, state_of
from .model import Dataset, Item

_AT_ONCE = 512


class Content(NamedTuple):
    """One picture's file.

    Attributes:
        sha256: 64 hex digits; empty when the file cannot be read.
        width, height: pixels, upright; 0 when unknown.
        reason: Why the picture cannot be used, in a few words; empty when it can.
    """

    sha256: str
    width: int
    height: int
    reason: str


def read_contents(dataset: Dataset, advance: Callable[[float], None] | None = None) -> Iterator[tuple[Item, Content]]:
    """Every picture of a dataset with what its file is.

    A file that `cv check-dataset` has looked at and that has not changed since (size, times, inode) is not read again;
    any other is read whole and hashed.

    Args:
        dataset: An opened dataset; its files are only read.
        advance: Called with 1 after each picture, for a progress bar.
    """
    cache = LookCache(cache_path())

    def read(item: Item) -> Content:
        state = state_of(str(item.image))
        known = cache.by_state(str(item.image), state) if state else None
        if known is None:
            return _read(item.image)
        return Content(known.sha256.hex(), known.width, known.height, known.reason)

    try:
        items = dataset.items()
        with ThreadPoolExecutor(usable_cores()) as pool:
            while some := list(islice(items, _AT_ONCE)):
                for item, content in zip(some, pool.map(read, some), strict=True):
                    yield item, content
                    if advance:
                        advance(1)
    finally:
        cache.close()


def _read(path: Path) -> Content:
    try:
        data = read_bytes(path)
    except ImageError as error:
        return Content("", 0, 0, error.reason)
    digest = hashlib.sha256(data).hexdigest()
    try:
        info = inspect_bytes(data, path)
    except ImageError as error:
        return Content(digest, 0, 0, error.reason)
    return Content(digest, info.width, info.height, "")
