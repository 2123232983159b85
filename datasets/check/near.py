"""Near-duplicates: one photograph in two files, after editing, or two shots so alike that one gives the other away.

Editing means a mirror image, a quarter turn, stronger compression, another size, more or less light, and a border cut
off, up to about a tenth of each side; any of them together. Two stages: looks of 256 bytes propose pairs (`search`),
the pictures themselves decide (`confirm`).
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

import numpy as np

from .confirm import confirm
from .describe import DESCRIPTOR_BYTES, DESCRIPTOR_VERSION, describe
from .search import ALIGNED, Candidates, find_candidates
from .union import Groups

__all__ = ["DESCRIPTOR_BYTES", "DESCRIPTOR_VERSION", "Known", "describe", "find_near"]

_CANDIDATE = 0.82
_CONFIRMED = 0.6


@dataclass(frozen=True)
class Known:
    """What is known of the pictures before their looks are compared.

    Attributes:
        group: int64 `(n,)`: pictures with the same number are known to show the same.
        split: int64 `(n,)`: each picture's split as a number, the earlier one the smaller. A pair across splits is
            looked for even when its pictures are connected already, until each picture of a later split has one.
        skip: bool `(n,)`: pictures that are not compared.
    """

    group: np.ndarray
    split: np.ndarray
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
            verdicts are added.
        known: Leave it out to compare all.

    Returns:
        (i, j, similarity) with i < j, similarity in 0..1.
    """
    count = len(descriptors)
    if known is None:
        known = Known(np.arange(count), np.zeros(count, np.int64), np.zeros(count, bool))
    compared = np.flatnonzero(~known.skip)
    candidates = find_candidates(descriptors[compared], _CANDIDATE)
    groups = Groups.of(known.group)
    given_away = np.zeros(count, bool)
    found: list[tuple[int, int, float]] = []
    for number in range(len(candidates.first)):
        i, j = int(compared[candidates.first[number]]), int(compared[candidates.second[number]])
        later = i if known.split[i] > known.split[j] else j
        leak = known.split[i] != known.split[j] and not given_away[later]
        if groups.root(i) == groups.root(j) and not leak:
            continue
        pair = (min(i, j), max(i, j))
        if pair not in memo:
            memo[pair] = _verdict(read(i), read(j), candidates, number)
        if memo[pair] >= _CONFIRMED:
            groups.join(i, j)
            given_away[later] |= leak
            found.append((*pair, memo[pair]))
    return found


def _verdict(first: np.ndarray, second: np.ndarray, candidates: Candidates, number: int) -> float:
    return confirm(first, second, int(candidates.turn[number]), ALIGNED[int(candidates.window[number])])
