"""Neighbouring frames of one video: numbered names, and looks that go on from one to the next."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .describe import WHOLE, projection, unit

_ORDER = 8
_CLOSE = 0.8  # cosine of two looks, as they are
_ALL_BUT_SAME = 0.95
_VIDEO = 0.5  # share of neighbours that must be close
_FEW = 8  # in a shorter sequence that share says little
_FARTHEST = 10  # times the usual step between numbers
_NUMBER = re.compile(r"\d+")


def find_frames(names: Sequence[str], descriptors: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs of neighbours in a numbered sequence that look like one shot.

    Numbers alone are no evidence: cat.1.jpg and cat.2.jpg are two cats. A sequence counts as a video when at least half
    of its neighbours look close, and then those that do are pairs; in a sequence of fewer than 8 they must look all
    but the same.

    Args:
        names: File names, with or without what Roboflow adds (`_jpg.rf.HASH`).
        descriptors: uint8 `(n, 256)` from `describe`.

    Returns:
        (i, j, similarity), the earlier frame first, similarity in 0..1.
    """
    found: list[tuple[int, int, float]] = []
    for sequence in _sequences(names):
        order = np.array([index for _, index in sequence])
        step = np.diff([number for number, _ in sequence])
        looks = unit(descriptors[order].astype(np.float32) @ projection(WHOLE, _ORDER))
        likeness = np.einsum("nd,nd->n", looks[:-1], looks[1:])
        near = step <= _FARTHEST * max(float(np.median(step)), 1.0)
        close = near & (likeness >= (_ALL_BUT_SAME if len(order) < _FEW else _CLOSE))
        if close.sum() >= _VIDEO * max(near.sum(), 1):
            found += [(int(order[k]), int(order[k + 1]), float(likeness[k])) for k in np.flatnonzero(close)]
    return found


def _sequences(names: Sequence[str]) -> list[list[tuple[int, int]]]:
    """(number, index) in order, per name without its last number."""
    sequences: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for index, name in enumerate(names):
        source = name.partition(".rf.")[0]
        numbers = list(_NUMBER.finditer(source))
        if numbers:
            last = numbers[-1]
            key = (source[: last.start()], source[last.end() :].lower())
            sequences.setdefault(key, []).append((int(last[0][-18:]), index))
    return [sorted(sequence) for sequence in sequences.values() if len(sequence) > 1]
