"""Neighbouring frames of one video: numbered names, and looks that go on from one to the next."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .search import Directions

_ORDER = 8
_CLOSE = 0.8  # cosine of two looks, as they are
_ALL_BUT_SAME = 0.95
_VIDEO = 0.25  # share of neighbours that must be close
_USUAL = 0.9  # neighbours must be closer than this share of pictures a third of the sequence apart
_FEW = 8  # in a shorter sequence these shares say little
_FLAT = 2.0  # grey levels: with less contrast than this there is no look
_NUMBER = re.compile(r"\d+")


def find_frames(names: Sequence[str], descriptors: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs of neighbours in a numbered sequence that look like one shot.

    Numbers alone are no evidence: cat.1.jpg and cat.2.jpg are two cats. Names that differ in their numbers only are a
    sequence, in the order of the numbers (video1-0012.jpg, IMG_20240609_201515.jpg). It holds shots when at least a
    quarter of its neighbours look close, and closer than pictures far apart in it do (those of one tripod all look
    alike); of unrelated photographs one pair in hundreds does. Then those that do are pairs. In a sequence of fewer
    than 8 they must look all but the same.

    Args:
        names: File names, with or without what Roboflow adds (`_jpg.rf.HASH`).
        descriptors: uint8 `(n, 256)` from `describe`.

    Returns:
        (i, j, similarity), the earlier frame first, similarity in 0..1.
    """
    found: list[tuple[int, int, float]] = []
    directions = Directions(descriptors, _ORDER)
    for sequence in _sequences(names):
        looks = directions.of(sequence)[0]
        likeness = np.einsum("nd,nd->n", looks[:-1], looks[1:])
        likeness[descriptors[sequence].std(axis=1)[1:] < _FLAT] = 0
        if len(sequence) < _FEW:
            close = likeness >= _ALL_BUT_SAME
        else:
            apart = len(sequence) // 3
            far = np.einsum("nd,nd->n", looks[:-apart], looks[apart:])
            close = likeness >= max(_CLOSE, float(np.quantile(far, _USUAL)))
        if close.mean() >= _VIDEO:
            similarity = np.minimum(likeness, 1)
            found += [(int(sequence[k]), int(sequence[k + 1]), float(similarity[k])) for k in np.flatnonzero(close)]
    return found


def _sequences(names: Sequence[str]) -> list[np.ndarray]:
    """Indices in the order of the numbers, for all names that are the same without their numbers."""
    sequences: dict[str, list[tuple[tuple[int, ...], int]]] = {}
    for index, name in enumerate(names):
        source = name.partition(".rf.")[0]
        numbers = tuple(int(digits) for digits in _NUMBER.findall(source) if len(digits) < 20)
        if numbers:
            sequences.setdefault(_NUMBER.sub("#", source), []).append((numbers, index))
    return [np.array([index for _, index in sorted(some)]) for some in sequences.values() if len(some) > 1]
