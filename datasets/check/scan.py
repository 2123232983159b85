"""One pass over all pictures of a dataset: each file is read once, by as many processes as there are cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

import cv2

from ...core.device import usable_cores
from ..model import Dataset
from .cache import LookCache, cache_path, state_of
from .crew import Crew, Part
from .items import Items
from .look import Look, look_at
from .looks import Looks

_PART_BYTES = 2 << 20
_BYTES_PER_PICTURE = 12 << 10  # what opening one costs, as if it were so much larger
_BYTES_PER_HELPER = 30 << 20  # starting a process takes as long as looking at this much
_MOST_HELPERS = 15  # each takes some 40 MB
_SAVED_AT_ONCE = 1000


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
        helpers = min((usable_cores() if workers is None else workers) - 1, total // _BYTES_PER_HELPER, _MOST_HELPERS)
        self._log_level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(
            cv2.utils.logging.LOG_LEVEL_SILENT
        )  # what OpenCV prints about a damaged picture; the verdict takes its place
        self._crew = Crew(parts, max(helpers, 0), cache_path() if remembers else None)

    def _divide(self) -> tuple[list[Part], int]:
        """Lists of those pictures that must be looked at, and how many bytes they have in all."""
        parts: list[Part] = []
        total, part_bytes = 0, _PART_BYTES
        numbers: list[int] = []
        looks: list[Look] = []
        items = self.looks.items
        for number in range(len(items)):
            path = items.path(number)
            state = state_of(path)
            known = None if state is None else self._cache.by_state(path, state)
            if known is not None:
                numbers.append(number)
                looks.append(known)
                if len(looks) == _SAVED_AT_ONCE:
                    self._put(numbers, looks)
                    numbers, looks = [], []
                continue
            if state is not None:
                self._states[number] = state
            size = _BYTES_PER_PICTURE + (int(state.split(" ", 1)[0]) if state else 0)
            total += size
            if part_bytes + size > _PART_BYTES:
                parts.append([])
                part_bytes = 0
            parts[-1].append((number, path))
            part_bytes += size
        self._put(numbers, looks)
        return parts, total

    def finish(self) -> Looks:
        """Look at what nobody has looked at yet, wait for the rest, and return all looks."""
        while (part := self._crew.take()) is not None:
            self._put([number for number, _ in part], [look_at(path, self._cache.by_content) for _, path in part])
            for seen in self._crew.ready():
                self._put(*seen)
        for seen in self._crew.rest():
            self._put(*seen)
        self._save()
        return self.looks

    def _put(self, numbers: Sequence[int], looks: Sequence[Look]) -> None:
        self.looks.put(numbers, looks)
        for number, look in zip(numbers, looks, strict=True):
            state = self._states.pop(number, None)
            if state is not None and any(look.sha256):
                self._fresh.append((self.looks.items.path(number), state, look))
        if len(self._fresh) >= _SAVED_AT_ONCE:
            self._save()
        self._advance(len(numbers))

    def _save(self) -> None:
        if self._fresh:
            self._cache.remember(self._fresh)
            self._fresh = []

    def __enter__(self) -> Scan:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._crew.stop()
        cv2.utils.logging.setLogLevel(self._log_level)
