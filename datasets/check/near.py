"""Near-duplicates: one photograph in two files, after editing, or two shots so alike that one gives the other away.

Editing means a mirror image, a quarter turn, stronger compression, another size, more or less light, and a border cut
off, up to about a tenth of each side; any of them together. Two shots count when nothing in them has moved or changed:
another photograph from the same tripod, another page of the same book does not. Two stages: looks of 256 bytes propose
pairs (`search`), the pictures themselves decide (`confirm`).
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from threadpoolctl import threadpool_limits

from ...core.device import usable_cores
from .confirm import confirm, prepare
from .describe import DESCRIPTOR_BYTES, describe
from .search import ALIGNED, Candidates, find_candidates
from .union import Groups

__all__ = ["DESCRIPTOR_BYTES", "Known", "describe", "find_near"]

_CANDIDATE = 0.8
_SURE = 0.93  # an edited photograph nearly always has a look as near as this; the less alike are bursts and odd crops
_DOUBTFUL, _DOUBTFUL_PER = 200, 50  # of the less alike this many are read, and one more for so many pictures
_CONFIRMED = 0.8
_REFUSALS = 3  # a picture that so many did not match is one of a series from one tripod
_BATCH = 64
_HELD = 512  # prepared pictures, 48 KB each


@dataclass(frozen=True)
class Known:
    """What is known of the pictures before their looks are compared.

    Attributes:
        group: int64 `(n,)`: pictures with the same number are known to show the same.
        split: int64 `(n,)`: each picture's split as a number, the earlier one the smaller. A pair across splits is
            looked for even when its pictures are connected already, until each picture of a later split has one.
        leaked: bool `(n,)`: pictures of later splits that are known to have one.
        skip: bool `(n,)`: pictures that are not compared.
    """

    group: np.ndarray
    split: np.ndarray
    leaked: np.ndarray
    skip: np.ndarray


def find_near(
    descriptors: np.ndarray,
    read: Callable[[int], np.ndarray],
    memo: MutableMapping[tuple[int, int], float],
    known: Known | None = None,
) -> list[tuple[int, int, float]]:
    """Pairs of pictures that show the same, enough of them to connect each group, the most alike first.

    Args:
        descriptors: uint8 `(n, 256)` from `describe`.
        read: Gives picture i, uint8 BGR or grey, reduced to a long side of about 256..320 pixels. It is called from
            several threads.
        memo: What was said of pairs (i, j), i < j, when they were last compared; those are not read again. New
            verdicts are added. Only the calling thread uses it.
        known: Leave it out to compare all.

    Returns:
        (i, j, similarity) with i < j, similarity in 0..1: how alike the places are in which they differ most.
    """
    if known is None:
        nothing = np.zeros(len(descriptors), bool)
        known = Known(np.arange(len(descriptors)), np.zeros(len(descriptors), np.int64), nothing, nothing)
    compared = np.flatnonzero(~known.skip)
    # The products are small: threads of the linear algebra library wait for each other longer than they compute, and on
    # a busy machine ten times as long.
    with threadpool_limits(1, "blas"):
        candidates = find_candidates(descriptors[compared], _CANDIDATE)
    doubtful = np.cumsum(candidates.score < _SURE)
    candidates = candidates.take(np.flatnonzero(doubtful <= _DOUBTFUL + len(compared) // _DOUBTFUL_PER))
    candidates = replace(candidates, first=compared[candidates.first], second=compared[candidates.second])

    @lru_cache(maxsize=_HELD)
    def prepared(index: int) -> np.ndarray:
        return prepare(read(index))

    def judged(row: int) -> float:
        i, j, turn, window = (
            int(c[row]) for c in (candidates.first, candidates.second, candidates.turn, candidates.window)
        )
        return confirm(prepared(i), prepared(j), turn, ALIGNED[window])

    court = _Court(candidates, known)
    with ThreadPoolExecutor(usable_cores()) as threads:
        for start in range(0, len(candidates), _BATCH):
            rows = [row for row in range(start, min(start + _BATCH, len(candidates))) if court.is_open(row)]
            unknown = [row for row in rows if court.pair(row) not in memo]
            for row, verdict in zip(unknown, threads.map(judged, unknown), strict=True):
                memo[court.pair(row)] = verdict
            for row in rows:
                court.hear(row, memo[court.pair(row)])
    return court.found


class _Court:
    """Which pairs still need a verdict, and what follows from those there are."""

    def __init__(self, candidates: Candidates, known: Known) -> None:
        self._pairs, self._split = candidates, known.split
        self._groups = Groups.of(known.group)
        self._leaked = known.leaked.copy()
        self._refused = np.zeros(len(known.split), np.int64)
        self.found: list[tuple[int, int, float]] = []

    def pair(self, row: int) -> tuple[int, int]:
        i, j = int(self._pairs.first[row]), int(self._pairs.second[row])
        return min(i, j), max(i, j)

    def is_open(self, row: int) -> bool:
        i, j = self.pair(row)
        tiresome = self._refused[i] >= _REFUSALS or self._refused[j] >= _REFUSALS
        return not tiresome and (self._leak(i, j) is not None or self._groups.root(i) != self._groups.root(j))

    def hear(self, row: int, verdict: float) -> None:
        i, j = self.pair(row)
        if verdict < _CONFIRMED:
            self._refused[[i, j]] += 1
            return
        leak = self._leak(i, j)
        if leak is not None or self._groups.root(i) != self._groups.root(j):
            self._groups.join(i, j)
            self.found.append((i, j, verdict))
            if leak is not None:
                self._leaked[leak] = True

    def _leak(self, i: int, j: int) -> int | None:
        """The one of the two that the other gives away, if that is news."""
        if self._split[i] == self._split[j]:
            return None
        later = i if self._split[i] > self._split[j] else j
        return None if self._leaked[later] else later
