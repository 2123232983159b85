"""Which of many pictures look alike: candidates among their descriptors, without comparing each with each.

Every picture asks, in its 8 positions and as a few cut-outs, for whole pictures that look the same. The pictures are
sorted into about sqrt(n) cells by spherical k-means, each into its few nearest; a question looks into one cell only
(an inverted file, as in Jégou et al., "Product Quantization for Nearest Neighbor Search", 2011). So the work grows
with n ** 1.5. What answers is compared once more, finer, in all cut-outs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .describe import TURNS, WHOLE, Window, projection, unit, windows

FLAT = 2.0  # grey levels: with less contrast than this a picture has no look to compare

_COARSE, _FINE = 6, 10  # orders of the frequencies that are compared
_ASKED: tuple[Window, ...] = (WHOLE, (0.035, 0.035, 0.93, 0.93), *(w for w in windows(0.93, 2)))
_ALIGNED: tuple[Window, ...] = (WHOLE, *windows(0.95, 3), *windows(0.9, 3))
_COARSE_ENOUGH = 0.86
_PER_PICTURE = 12  # candidates kept for one picture
_CELLS_EACH = 4
_CHUNK = 1024
_SAMPLE, _ROUNDS = 40, 8  # k-means: sample per cell, rounds


@dataclass(frozen=True)
class Candidates:
    """Pairs that may show the same thing, the most alike first.

    Attributes:
        first, second: int64 `(m,)`, indices of descriptors; each pair once.
        turn: int64 `(m,)`: the position in which `first` looks like `second`, see `describe.turned`.
        window: int64 `(m,)`, index into `ALIGNED`: the cut-out of the turned `first` that looks like `second`.
        score: float32 `(m,)`, cosine in -1..1.
    """

    first: np.ndarray
    second: np.ndarray
    turn: np.ndarray
    window: np.ndarray
    score: np.ndarray


ALIGNED = _ALIGNED


def find_candidates(descriptors: np.ndarray, enough: float) -> Candidates:
    """The pairs of looks that agree with a cosine of at least `enough` once they are laid over each other.

    Args:
        descriptors: uint8 `(n, 256)` from `describe`.
        enough: 0..1.
    """
    contrast = np.array([chunk.std(axis=1) for chunk in _chunks(descriptors)] or [[]], object)
    textured = np.flatnonzero(np.concatenate([np.asarray(part, float) for part in contrast]) >= FLAT)
    seen = descriptors[textured]
    if len(seen) < 2:
        nothing = np.zeros(0, np.int64)
        return Candidates(nothing, nothing, nothing, nothing, np.zeros(0, np.float32))
    first, second, turn = _coarse_pairs(seen)
    window, score = _align(seen, first, second, turn)
    return _best(textured[first], textured[second], turn, window, score, enough)


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]


def _coarse_pairs(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    whole = np.concatenate([_look(chunk, 0, WHOLE, _COARSE) for chunk in _chunks(seen)])
    centres = _centres(whole)
    members = _members(whole, centres)
    asked = [(turn, window) for turn in range(TURNS) for window in _ASKED]
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start in range(0, len(seen), _CHUNK):
        chunk = seen[start : start + _CHUNK]
        questions = np.concatenate([_look(chunk, turn, window, _COARSE) for turn, window in asked])
        who = np.tile(np.arange(start, start + len(chunk)), len(asked))
        turns = np.repeat([turn for turn, _ in asked], len(chunk))
        found.append(_strongest(*_answers(questions, who, turns, whole, centres, members)))
    first, second, turn = (np.concatenate(part) for part in zip(*found, strict=True))
    return first, second, turn


def _look(chunk: np.ndarray, turn: int, window: Window, order: int) -> np.ndarray:
    return unit(chunk.astype(np.float32) @ projection(turn, window, order))


def _centres(rows: np.ndarray) -> np.ndarray:
    """Spherical k-means: float32 `(c, d)` of length 1, c about sqrt(n). The same rows give the same centres."""
    count = max(int(len(rows) ** 0.5), 1)
    rng = np.random.default_rng(0)
    sample = rows[rng.permutation(len(rows))[: count * _SAMPLE]]
    centres = sample[:count]
    for _ in range(_ROUNDS):
        nearest = (sample @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        empty = np.bincount(nearest, minlength=count) == 0
        sums[empty] = sample[rng.integers(0, len(sample), int(empty.sum()))]
        centres = unit(sums)
    return centres


def _members(rows: np.ndarray, centres: np.ndarray) -> list[np.ndarray]:
    """For each cell the pictures that have it among their nearest."""
    each = min(_CELLS_EACH, len(centres))
    cells = np.concatenate(
        [np.argpartition(-(chunk @ centres.T), each - 1, axis=1)[:, :each] for chunk in _chunks(rows)]
    )
    order = np.argsort(cells.ravel(), kind="stable")
    edges = np.searchsorted(cells.ravel()[order], np.arange(1, len(centres)))
    return np.split(order // each, edges)


def _answers(
    questions: np.ndarray,
    who: np.ndarray,
    turns: np.ndarray,
    whole: np.ndarray,
    centres: np.ndarray,
    members: list[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    cell = np.concatenate([(part @ centres.T).argmax(axis=1) for part in _chunks(questions)])
    order = np.argsort(cell, kind="stable")
    edges = np.searchsorted(cell[order], np.arange(1, len(centres)))
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    for asking, known in zip(np.split(order, edges), members, strict=True):
        if len(asking) == 0 or len(known) == 0:
            continue
        likeness = questions[asking] @ whole[known].T
        rows, columns = np.nonzero(likeness >= _COARSE_ENOUGH)
        parts.append((who[asking[rows]], known[columns], turns[asking[rows]], likeness[rows, columns]))
    first, second, turn, likeness = (np.concatenate(part) for part in zip(*parts, strict=True))
    others = first != second
    return first[others], second[others], turn[others], likeness[others]


def _strongest(
    first: np.ndarray, second: np.ndarray, turn: np.ndarray, likeness: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each pair and turn the best cut-out, and of each picture its best few."""
    order = np.argsort(-likeness, kind="stable")
    first, second, turn = first[order], second[order], turn[order]
    _, once = np.unique(np.stack([first, second, turn]), axis=1, return_index=True)
    once.sort()
    first, second, turn = first[once], second[once], turn[once]
    by_picture = np.argsort(first, kind="stable")
    grouped = first[by_picture]
    rank = np.arange(len(grouped)) - np.searchsorted(grouped, grouped)
    kept = by_picture[rank < _PER_PICTURE]
    return first[kept], second[kept], turn[kept]


def _align(seen: np.ndarray, first: np.ndarray, second: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each pair the cut-out of `first` that fits `second` best, and how well."""
    best = np.zeros(len(first), np.int64)
    score = np.full(len(first), -1, np.float32)
    for wanted in range(TURNS):
        pairs = np.flatnonzero(turn == wanted)
        for start in range(0, len(pairs), _CHUNK):
            part = pairs[start : start + _CHUNK]
            whole = _look(seen[second[part]], 0, WHOLE, _FINE)
            for number, window in enumerate(_ALIGNED):
                cut = _look(seen[first[part]], wanted, window, _FINE)
                likeness = np.einsum("nd,nd->n", cut, whole)
                better = likeness > score[part]
                score[part[better]], best[part[better]] = likeness[better], number
    return best, score


def _best(
    first: np.ndarray, second: np.ndarray, turn: np.ndarray, window: np.ndarray, score: np.ndarray, enough: float
) -> Candidates:
    order = np.argsort(-score, kind="stable")
    order = order[score[order] >= enough]
    low, high = np.minimum(first, second)[order], np.maximum(first, second)[order]
    _, once = np.unique(np.stack([low, high]), axis=1, return_index=True)
    kept = order[np.sort(once)]
    return Candidates(first[kept], second[kept], turn[kept], window[kept], score[kept])
