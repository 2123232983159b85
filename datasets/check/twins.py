"""Pictures that show the same thing and so belong into one split, however that comes to be known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Protocol

import numpy as np

from ..model import SPLITS, Item
from .finding import Twin, TwinKind
from .frames import find_frames
from .near import Known, find_near
from .siblings import find_siblings
from .union import Groups


class Looks(Protocol):
    """What a scan knows of each of n pictures.

    Attributes:
        sha256: uint8 `(n, 32)`, of the file's bytes.
        descriptors: uint8 `(n, 256)` from `describe.describe`; anything where there is none.
        described: bool `(n,)`: whether there is a descriptor. Without it a picture has no twins.
    """

    @property
    def sha256(self) -> np.ndarray:
        """Of each file's bytes; all zero when it could not be read."""
        ...

    @property
    def descriptors(self) -> np.ndarray:
        """What `describe.describe` gave."""
        ...

    @property
    def described(self) -> np.ndarray:
        """Whether there is a descriptor."""
        ...


def find_twins(
    items: Sequence[Item],
    looks: Looks,
    read: Callable[[int], np.ndarray],
    memo: MutableMapping[tuple[int, int], float],
) -> list[Twin]:
    """Pairs of pictures that show the same, enough to connect each group; a leaked picture has one that it leaks from.

    - copy: the same bytes.
    - sibling: what Roboflow's augmentation made of one photograph, see `siblings`.
    - near: the same photograph after editing, see `near`.
    - frame: neighbouring frames of a video, see `frames`.

    Args:
        items: The n pictures.
        looks: What is known of each of them.
        read: As `near.find_near` wants it.
        memo: As `near.find_near` wants it.
    """
    pairs = _Pairs(np.array([SPLITS.index(item.split) for item in items], np.int64))
    order = np.argsort(pairs.split, kind="stable")  # earlier splits first: a group's first gives the others away
    copied = np.zeros(len(items), bool)
    copies: dict[int, list[int]] = {}
    for first, second in _stars(order[looks.described[order]], lambda index: looks.sha256[index].tobytes()):
        copied[second] = True
        copies.setdefault(first, []).append(second)
        pairs.add(first, second, "copy", 1.0)
    names = [item.image.name for item in items]
    for first, second, similarity in find_siblings(names, order[(looks.described & ~copied)[order]], looks.descriptors):
        pairs.add(first, second, "sibling", similarity)
    known = Known(pairs.groups.roots(), pairs.split, pairs.leaked, copied | ~looks.described)
    for first, second, similarity in find_near(looks.descriptors, read, memo, known):
        pairs.add(first, second, "near", similarity)
        later = first if pairs.split[first] > pairs.split[second] else second
        for copy in copies.get(later, []):  # what gives a picture away gives its copies away
            pairs.add_news(first if later == second else second, copy, "near", similarity)
    compared = np.flatnonzero(~known.skip)
    compared_names = [names[index] for index in compared.tolist()]
    for before, after, similarity in find_frames(compared_names, looks.descriptors[compared]):
        pairs.add_news(int(compared[before]), int(compared[after]), "frame", similarity)
    return [Twin(items[first], items[second], kind, similarity) for first, second, kind, similarity in pairs.found]


def groups(items: Sequence[Item], twins: Iterable[Twin]) -> list[list[int]]:
    """Indices of the items that belong together, those of one item too; each item in one group."""
    index = {item.image: number for number, item in enumerate(items)}
    connected = Groups(len(items))
    for twin in twins:
        connected.join(index[twin.first.image], index[twin.second.image])
    return connected.listed()


class _Pairs:
    """Pairs found so far, the picture of the earlier split first, and what they connect."""

    def __init__(self, split: np.ndarray) -> None:
        self.split = split
        self.groups = Groups(len(split))
        self.found: list[tuple[int, int, TwinKind, float]] = []
        self.leaked = np.zeros(len(split), bool)

    def add(self, one: int, other: int, kind: TwinKind, similarity: float) -> None:
        first, second = (one, other) if self.split[one] <= self.split[other] else (other, one)
        self.groups.join(first, second)
        self.found.append((first, second, kind, similarity))
        if self.split[first] != self.split[second]:
            self.leaked[second] = True

    def add_news(self, one: int, other: int, kind: TwinKind, similarity: float) -> None:
        """Add a pair that connects two groups, or gives away a picture that nothing gave away yet."""
        later = one if self.split[one] > self.split[other] else other
        leak = self.split[one] != self.split[other] and not self.leaked[later]
        if leak or self.groups.root(one) != self.groups.root(other):
            self.add(one, other, kind, similarity)


def _stars(order: np.ndarray, key: Callable[[int], object]) -> Iterator[tuple[int, int]]:
    """Each index in `order` that has the key of an earlier one, after that one; a key of None is nobody's."""
    first: dict[object, int] = {}
    for index in order.tolist():
        this = key(index)
        if this is not None and first.setdefault(this, index) != index:
            yield first[this], index
