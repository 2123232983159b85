"""Pictures that show the same thing and so belong into one split, however that comes to be known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Protocol

import numpy as np

from ..model import SPLITS, Item
from .finding import Twin, TwinKind
from .frames import find_frames
from .near import Known, find_near
from .union import Groups

_GENERIC = frozenset(
    {"download", "file", "frame", "image", "images", "img", "photo", "pic", "picture", "screenshot", "untitled"}
)


class Looks(Protocol):
    """What a scan knows of each of n pictures.

    Attributes:
        sha256: uint8 `(n, 32)`, of the file's bytes.
        descriptors: uint8 `(n, 256)` from `near.describe`; anything where there is none.
        described: bool `(n,)`: whether there is a descriptor. Without it a picture has copies and siblings at most.
    """

    @property
    def sha256(self) -> np.ndarray:
        """Of each file's bytes; all zero when it could not be read."""
        ...

    @property
    def descriptors(self) -> np.ndarray:
        """What `near.describe` gave."""
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
    - sibling: the same name before `.rf.`: what Roboflow's augmentation made of one photograph. The name is trusted
      even where looks differ, because augmentation may change them beyond recognition.
    - near: the same photograph after editing, see `near`.
    - frame: neighbouring frames of a video, see `frames`.

    Args:
        items: The n pictures.
        looks: What is known of each of them.
        read: As `near.find_near` wants it.
        memo: As `near.find_near` wants it.
    """
    split = np.array([SPLITS.index(item.split) for item in items], np.int64)
    order = np.argsort(split, kind="stable")  # earlier splits first, so that a group's first leaks to the others
    groups = Groups(len(items))
    found: list[tuple[int, int, TwinKind, float]] = []
    original = _stars(order, (row.tobytes() for row in looks.sha256[order]))
    readable: np.ndarray = np.any(looks.sha256, axis=1)
    for i, j in original.items():
        if i != j and readable[i]:
            groups.join(i, j)
            found.append((j, i, "copy", 1.0))
    copied = np.array([original[i] != i for i in range(len(items))], bool) & readable
    alone = order[~copied[order]]
    for i, j in _stars(alone, (_source(items[i].image.name, i) for i in alone.tolist())).items():
        if i != j:
            groups.join(i, j)
            found.append((j, i, "sibling", 1.0))
    known = Known(groups.roots(), split, copied | ~looks.described)
    for i, j, similarity in find_near(looks.descriptors, read, memo, known):
        groups.join(i, j)
        found.append((i, j, "near", similarity))
    compared = np.flatnonzero(~known.skip)
    names = [items[i].image.name for i in compared.tolist()]
    leaked = {j for i, j, _, _ in found if split[i] != split[j]}
    for a, b, similarity in find_frames(names, looks.descriptors[compared]):
        i, j = sorted((int(compared[a]), int(compared[b])), key=lambda index: split[index])
        if groups.root(i) != groups.root(j) or (split[i] != split[j] and j not in leaked):
            groups.join(i, j)
            leaked.add(j)
            found.append((i, j, "frame", similarity))
    return [_twin(items, split, *pair) for pair in found]


def groups(items: Sequence[Item], twins: Iterable[Twin]) -> list[list[int]]:
    """Indices of the items that belong together, those of one item too; each item in one group."""
    index = {item.image: number for number, item in enumerate(items)}
    connected = Groups(len(items))
    for twin in twins:
        connected.join(index[twin.first.image], index[twin.second.image])
    return connected.listed()


def _stars(order: np.ndarray, keys: Iterable[object]) -> dict[int, int]:
    """For each index in `order` the first one with the same key."""
    first: dict[object, int] = {}
    return {index: first.setdefault(key, index) for index, key in zip(order.tolist(), keys, strict=True)}


def _source(name: str, index: int) -> object:
    """The photograph that Roboflow made this file of; the file's own number when it made none, or nobody can tell."""
    stem, mark, _ = name.partition(".rf.")
    return stem if mark and stem.rpartition("_")[0].lower() not in _GENERIC else index


def _twin(items: Sequence[Item], split: np.ndarray, i: int, j: int, kind: TwinKind, similarity: float) -> Twin:
    first, second = (i, j) if split[i] <= split[j] else (j, i)
    return Twin(items[first], items[second], kind, similarity)
