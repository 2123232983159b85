"""What Roboflow made of one photograph, known by the name, and by the looks where the name says too little."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from .describe import DESCRIPTOR_BYTES, TURNS, WHOLE, projection, turning, unit, windows

_GENERIC = frozenset({
    "capture", "clip", "download", "file", "frame", "frames", "image", "images", "img", "photo", "pic", "picture",
    "scan", "screenshot", "shot", "snapshot", "untitled", "video", "avi", "mov", "mp",
})  # fmt: skip
_SUFFIX = re.compile(r"[_.-](jpe?g|png|bmp|webp|tiff?)$", re.IGNORECASE)
_LETTERS = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"\d+")
_DATE = 8  # so many digits are the time of a shot, or otherwise a picture's own
_ORDER = 6  # of the frequencies that are compared
_TRIED = (WHOLE, *windows(0.95, 3), *windows(0.9, 3))
# Measured on three datasets augmented by Roboflow: of unrelated photographs 1 to 2 in 100 pairs of an ordinary dataset
# look so alike in some position, of siblings 7 in 10 look so like the nearest of theirs.
_ALIKE = 0.7
_FLAT = 2.0  # grey levels: with less contrast than this there is no look
_MANY = 200  # pictures of one name: so many uploads share it that it says nothing


def find_siblings(names: Sequence[str], order: np.ndarray, descriptors: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Pairs of pictures that Roboflow made of one photograph: the same name before `.rf.`.

    The name is trusted even where looks differ, because augmentation may change them beyond recognition. A name of a
    usual word and a number (frame_0001, IMG-12) is not: each upload may have its own, so those must look alike too, in
    some position.

    Args:
        names: File names of n pictures.
        order: int64, those of them to go through, one after the other.
        descriptors: uint8 `(n, 256)` from `describe`.

    Yields:
        (i, j, similarity): of a photograph the first picture in `order`, and each of the others.
    """
    first: dict[str, int] = {}
    unsure: dict[str, list[int]] = {}
    indices: list[int] = order.tolist()
    for index in indices:
        source, mark, _ = names[index].partition(".rf.")
        if not mark:
            continue
        if _could_be_anybodys(source):
            unsure.setdefault(source, []).append(index)
        elif first.setdefault(source, index) != index:
            yield first[source], index, 1.0
    for some in unsure.values():
        if 1 < len(some) <= _MANY:
            yield from _alike(some, descriptors)


def _could_be_anybodys(source: str) -> bool:
    stem = _SUFFIX.sub("", source)
    words = _LETTERS.findall(stem.lower())
    digits = "".join(digits.lstrip("0") for digits in _DIGITS.findall(stem))
    return bool(words) and _GENERIC.issuperset(words) and len(digits) < _DATE


def _alike(some: list[int], descriptors: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Pairs among pictures of one name, each with the first of those that one of them looks like."""
    whole = unit(descriptors[some].astype(np.float32) @ projection(WHOLE, _ORDER))
    whole[descriptors[some].std(axis=1) < _FLAT] = 0
    cuts = np.stack([_cuts(descriptors[index]) for index in some])
    leader = np.arange(len(some))
    for later in range(1, len(some)):
        there = (cuts[:later] @ whole[later]).max(axis=1)
        back = (whole[:later] @ cuts[later].T).max(axis=1)
        likeness = np.maximum(there, back)
        nearest = int(likeness.argmax())
        if likeness[nearest] >= _ALIKE:
            leader[later] = leader[nearest]
            yield some[leader[nearest]], some[later], float(min(likeness[nearest], 1))


def _cuts(descriptor: np.ndarray) -> np.ndarray:
    """float32 `(8 * cut-outs, d)`, of length 1: the picture in all positions and cut-outs."""
    turned = np.stack([descriptor[turning(turn)] for turn in range(TURNS)]).astype(np.float32)
    return unit((turned @ _projections()).reshape(TURNS * len(_TRIED), -1))


@cache
def _projections() -> np.ndarray:
    """float32 `(256, cut-outs * d)`."""
    return np.concatenate([projection(window, _ORDER) for window in _TRIED], axis=1).reshape(DESCRIPTOR_BYTES, -1)
