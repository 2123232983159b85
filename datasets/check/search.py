"""Which of many pictures look alike: candidates among their descriptors, without comparing each with each.

Every picture asks, in its 8 positions and as a few cut-outs, for whole pictures that look the same. The pictures are
sorted into about sqrt(n) cells by spherical k-means, each into its few nearest; a question looks into one cell only
(an inverted file, as in Jégou et al., "Product Quantization for Nearest Neighbor Search", 2011). So the work grows
with n ** 1.5. What answers is compared again, finer and in more cut-outs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .describe import TURNS, WHOLE, Window, frequencies, projection, turning, unit, windows

_FLAT = 2.0  # grey levels: with less contrast than this a picture has no look to compare
_COARSE, _FINE = 6, 10  # orders of the frequencies that are compared
_ASKED: tuple[Window, ...] = (WHOLE, (0.035, 0.035, 0.93, 0.93), *windows(0.93, 2))
_TRIED: tuple[Window, ...] = (WHOLE, *windows(0.95, 3), *windows(0.9, 3))
ALIGNED: tuple[Window, ...] = (
    *_TRIED, *windows(0.975, 2), *windows(0.95, 5), *windows(0.925, 4), *windows(0.9, 7), *windows(0.875, 6)
)  # fmt: skip
"""The cut-outs that are compared in the end."""
_COARSE_ENOUGH = 0.85  # cosines
_TRIED_ENOUGH = 0.75
_PER_PICTURE = 12  # candidates kept for one picture
_CELLS_EACH = 4
_CHUNK, _FEW = 1024, 256
_SAMPLE, _ROUNDS = 40, 8  # k-means: pictures per cell, rounds
_MEASURED, _TRUST = 4000, 50


@dataclass(frozen=True)
class Candidates:
    """Pairs that may show the same thing, the most alike first.

    Attributes:
        first: int64 `(m,)`, the index of a descriptor.
        second: int64 `(m,)`, the index of another; each pair comes once.
        turn: int64 `(m,)`: the position in which `first` looks like `second`, see `describe.turned`.
        window: int64 `(m,)`, index into `ALIGNED`: the cut-out of the turned `first` that looks like `second`.
        score: float32 `(m,)`, cosine in -1..1.
    """

    first: np.ndarray
    second: np.ndarray
    turn: np.ndarray
    window: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: np.ndarray) -> Candidates:
        """Some of them, in the order given."""
        return Candidates(*(part[rows] for part in (self.first, self.second, self.turn, self.window, self.score)))


def find_candidates(descriptors: np.ndarray, enough: float) -> Candidates:
    """The pairs of looks that agree with a cosine of at least `enough` once they are laid over each other.

    Args:
        descriptors: uint8 `(n, 256)` from `describe`.
        enough: 0..1.
    """
    contrast = [chunk.std(axis=1) for chunk in _chunks(descriptors)]
    textured = np.flatnonzero(np.concatenate([*contrast, np.zeros(0)]) >= _FLAT)
    seen = descriptors[textured]
    looks = Directions(seen, _FINE)
    pairs = _joined([_none(), *(_align(looks, part, _TRIED, _TRIED_ENOUGH) for part in _coarse_pairs(seen))])
    pairs = _align(looks, pairs, ALIGNED, enough)
    pairs = pairs.take(np.argsort(-pairs.score, kind="stable"))
    low, high = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    _, once = np.unique(low << 32 | high, return_index=True)
    pairs = pairs.take(np.sort(once))
    return Candidates(textured[pairs.first], textured[pairs.second], pairs.turn, pairs.window, pairs.score)


def _chunks(rows: np.ndarray, size: int = _CHUNK) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


class Directions:
    """Descriptors as directions in the space of their frequencies.

    A frequency that is strong in every picture (slow ones in all photographs, the bars of letterboxed pictures, the
    background of a fixed camera) tells none from another: each counts by the inverse of its usual strength here.
    """

    def __init__(self, seen: np.ndarray, order: int) -> None:
        self._seen, self._order = seen, order
        vertical, horizontal = frequencies(order)
        step = max(len(seen) // _MEASURED, 1)
        usual = np.square(unit(seen[::step].astype(np.float32) @ projection(WHOLE, order))).sum(axis=0)
        square = np.zeros((order, order))
        square[vertical, horizontal] = usual
        usual = ((square + square.T) / 2)[vertical, horizontal]  # the same when turned
        expected = 1 / (vertical**2 + horizontal**2)
        usual = (usual + _TRUST * expected / expected.sum()) / (len(seen[::step]) + _TRUST)
        self._weight = np.float32(1 / np.sqrt(usual))

    def of(self, which: np.ndarray, windows: tuple[Window, ...] = (WHOLE,), turn: int = 0) -> np.ndarray:
        """float32 `(len(windows), len(which), d)`, of length 1: cut-outs of the turned pictures."""
        values = self._seen[which][:, turning(turn)].astype(np.float32)
        return np.stack([unit((values @ projection(window, self._order)) * self._weight) for window in windows])


def _coarse_pairs(seen: np.ndarray) -> Iterator[Candidates]:
    """Parts of all pairs that agree coarsely; empty `window`."""
    looks = Directions(seen, _COARSE)
    everyone = _chunks(np.arange(len(seen)))
    whole = np.concatenate([looks.of(np.arange(0))[0], *(looks.of(chunk)[0] for chunk in everyone)])
    centres = _centres(whole)
    members = _members(whole, centres)
    for chunk in everyone:
        parts = [_none()]
        for turn in range(TURNS):
            rows = looks.of(chunk, _ASKED, turn).reshape(-1, whole.shape[1])
            who = np.tile(chunk, len(_ASKED))
            parts.append(_strongest(_answers(rows, who, turn, whole, centres, members)))
        yield _strongest(_joined(parts))


def _none() -> Candidates:
    number = np.zeros(0, np.int64)
    return Candidates(number, number, number, number, np.zeros(0, np.float32))


def _joined(parts: list[Candidates]) -> Candidates:
    return Candidates(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
        np.concatenate([part.turn for part in parts]),
        np.concatenate([part.window for part in parts]),
        np.concatenate([part.score for part in parts]),
    )


def _centres(rows: np.ndarray) -> np.ndarray:
    """Spherical k-means: float32 `(c, d)` of length 1, c about sqrt(n). The same rows give the same centres."""
    count = max(int(2 * len(rows) ** 0.5), 1)
    rng = np.random.default_rng(0)
    sample = rows[rng.permutation(len(rows))[: count * _SAMPLE]]
    centres = sample[:count]
    for _ in range(_ROUNDS):
        nearest = _nearest(sample, centres)
        order = np.argsort(nearest, kind="stable")
        filled, starts = np.unique(nearest[order], return_index=True)
        centres = centres.copy()
        if len(filled):
            centres[filled] = unit(np.add.reduceat(sample[order], starts))
    return centres


def _nearest(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    parts = [(chunk @ centres.T).argmax(axis=1) for chunk in _chunks(rows)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _members(rows: np.ndarray, centres: np.ndarray) -> list[np.ndarray]:
    """For each cell the pictures that have it among their nearest."""
    each = min(_CELLS_EACH, len(centres))
    parts = [np.argpartition(-(chunk @ centres.T), each - 1, axis=1)[:, :each].copy() for chunk in _chunks(rows)]
    cells = np.concatenate([np.zeros((0, each), np.int64), *parts]).ravel()
    order = np.argsort(cells, kind="stable")
    return np.split(order // each, np.searchsorted(cells[order], np.arange(1, len(centres))))


def _answers(
    rows: np.ndarray, who: np.ndarray, turn: int, whole: np.ndarray, centres: np.ndarray, members: list[np.ndarray]
) -> Candidates:
    """Which whole pictures agree with the `rows`, cut-outs of the pictures `who`, of those in the same cell."""
    cell = _nearest(rows, centres)
    order = np.argsort(cell, kind="stable")
    edges = np.searchsorted(cell[order], np.arange(1, len(centres)))
    found = [_none()]
    for asking, known in zip(np.split(order, edges), members, strict=True):
        likeness = rows[asking] @ whole[known].T
        hits = np.flatnonzero(likeness.ravel() >= _COARSE_ENOUGH)
        if len(hits) > _PER_PICTURE * len(asking):  # a series of pictures that all look alike: the nearest only
            few = min(_PER_PICTURE + 1, len(known))  # one of them may be the picture itself
            nearest = np.argpartition(-likeness, few - 1, axis=1)[:, :few]
            hits = (nearest + np.arange(len(asking))[:, None] * len(known)).ravel()
            hits = hits[likeness.ravel()[hits] >= _COARSE_ENOUGH]
        if len(hits):
            first, second = who[asking[hits // len(known)]], known[hits % len(known)]
            numbers = np.zeros((2, len(hits)), np.int64)
            found.append(Candidates(first, second, numbers[0] + turn, numbers[1], likeness.ravel()[hits]))
    joined = _joined(found)
    return joined.take(np.flatnonzero(joined.first != joined.second))


def _strongest(pairs: Candidates) -> Candidates:
    """Of each pair the position in which it is most alike, and of each picture its best few pairs."""
    pairs = pairs.take(np.argsort(-pairs.score, kind="stable"))
    _, once = np.unique(pairs.first << 32 | pairs.second, return_index=True)
    pairs = pairs.take(np.sort(once))
    by_picture = np.argsort(pairs.first, kind="stable")
    grouped = pairs.first[by_picture]
    rank = np.arange(len(grouped)) - np.searchsorted(grouped, grouped)
    return pairs.take(by_picture[rank < _PER_PICTURE])


def _align(looks: Directions, pairs: Candidates, aligned: tuple[Window, ...], enough: float) -> Candidates:
    """For each pair the cut-out of `first` that fits `second` best, and how well; those that fit well enough."""
    window = np.zeros(len(pairs), np.int64)
    score = np.full(len(pairs), -1, np.float32)
    for turn in range(TURNS):
        for part in _chunks(np.flatnonzero(pairs.turn == turn), _FEW):
            likeness = np.einsum(
                "wnd,nd->nw", looks.of(pairs.first[part], aligned, turn), looks.of(pairs.second[part])[0]
            )
            window[part] = likeness.argmax(axis=1)
            score[part] = likeness.max(axis=1)
    fitting = score >= enough
    return Candidates(pairs.first, pairs.second, pairs.turn, window, score).take(np.flatnonzero(fitting))
