"""One pass over all pictures of a dataset: each file is read once, by as many processes as there are cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import TracebackType

import cv2

from ..model import Dataset
from .cache import LookCache, cache_path, state_of
from .crew import Crew, Part
from .items import Items
from .look import Look, look_at
from .looks import Looks

_PART_BYTES = 4 << 20
_PART_PICTURES = 128
_BYTES_PER_HELPER = 12 << 20  # starting a process takes as long as looking at this much
_MOST_HELPERS = 15  # each takes some 40 MB
_SAVED_AT_ONCE = 2000


class Scan:
    """A pass over the pictures of a dataset, begun when it is made and ended by `finish`.

    In between the caller can do other work, while helpers look at pictures. Use it with `with`: leaving the block
    early, by Ctrl-C say, ends the helpers at once.

    Args:
        dataset: An opened dataset.
        cache: What earlier passes saw; pictures that are as they were then are not opened.
        workers: How many processes may work, this one among them; None takes one for each core.
        advance: Called with how many more pictures are done.
    """

    def __init__(
        self,
        dataset: Dataset,
        cache: LookCache,
        workers: int | None = None,
        advance: Callable[[float], None] | None = None,
        remembers: bool = True,
    ) -> None:
        self.looks = Looks(Items(dataset))
        self._cache, self._advance = cache, advance or (lambda _: None)
        self._states: dict[int, str] = {}
        self._fresh: list[tuple[str, str, Look]] = []
        parts, total = self._divide()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        helpers = min((cores if workers is None else workers) - 1, total // _BYTES_PER_HELPER, _MOST_HELPERS)
        self._log_level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(
            cv2.utils.logging.LOG_LEVEL_SILENT
        )  # what OpenCV prints about a damaged picture; the verdict takes its place
        self._crew = Crew(parts, max(helpers, 0), cache_path() if remembers else None)

    def _divide(self) -> tuple[list[Part], int]:
        """Lists of those pictures that must be looked at, and how many bytes they have in all."""
        parts: list[Part] = []
        total, part_bytes = 0, _PART_BYTES
        items = self.looks.items
        for number in range(len(items)):
            path = items.path(number)
            state = state_of(path)
            if state is not None:
                known = self._cache.by_state(path, state)
                if known is not None:
                    self.looks.put(number, known)
                    self._advance(1)
                    continue
                self._states[number] = state
            size = int(state.split(" ", 1)[0]) if state else 0
            total += size
            if part_bytes + size > _PART_BYTES or len(parts[-1]) == _PART_PICTURES:
                parts.append([])
                part_bytes = 0
            parts[-1].append((number, path))
            part_bytes += size
        return parts, total

    def finish(self) -> Looks:
        """Look at what nobody has looked at yet, wait for the rest, and return all looks."""
        while (part := self._crew.take()) is not None:
            for number, path in part:
                self._put(number, look_at(path, self._cache.by_content))
            self._put_all(self._crew.ready())
        self._put_all(self._crew.rest())
        self._save()
        return self.looks

    def _put_all(self, seen: Iterator[tuple[int, Look]]) -> None:
        for number, look in seen:
            self._put(number, look)

    def _put(self, number: int, look: Look) -> None:
        self.looks.put(number, look)
        state = self._states.pop(number, None)
        if state is not None and any(look.sha256):
            self._fresh.append((self.looks.items.path(number), state, look))
            if len(self._fresh) >= _SAVED_AT_ONCE:
                self._save()
        self._advance(1)

    def _save(self) -> None:
        if self._fresh:
            self._cache.remember(self._fresh)
            self._fresh = []

    def __enter__(self) -> Scan:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._crew.stop()
        cv2.utils.logging.setLogLevel(self._log_level)


def scan_pictures(
    dataset: Dataset, workers: int | None = None, advance: Callable[[float], None] | None = None
) -> Looks:
    """Look at every picture of a dataset, or remember what was seen in it before.

    Args:
        dataset: An opened dataset. Its files are only read.
        workers: How many processes may work, this one among them; None takes one for each core.
        advance: Called with 1 after each picture, for a progress bar.
    """
    cache = LookCache(cache_path())
    try:
        with Scan(dataset, cache, workers, advance) as scan:
            return scan.finish()
    finally:
        cache.close()
