"""How far a figure that was measured on a few pictures can be trusted: 95% intervals by the bootstrap.

Pictures are drawn with replacement, as many as there are, a thousand times, and the figure is worked out for each draw;
the interval holds the middle 95% of what came out (the percentile interval: Efron and Tibshirani, "An Introduction to
the Bootstrap", 1993, chapters 6 and 13). The pictures are drawn as a whole and not class by class, so that a class
with few pictures is as uncertain as it is. Every figure here depends on how many pictures fell into which cell of a
table alone, and those numbers are drawn directly, as one multinomial draw: the time does not grow with the pictures.

Where all draws agree (30 of 30 right) a bootstrap would claim certainty. There the interval of Wilson ("Probable
inference, the law of succession, and statistical inference", 1927) stands in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

DRAWS = 1000
_Z = 1.959963984540054  # of a normal distribution: 95% lie within so many standard deviations
_CHUNK_NUMBERS = 1 << 22


class Figure(NamedTuple):
    """A measured value with the limits of its 95% interval, all on the value's own scale."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def draw_counts(counts: np.ndarray, seed: int = 0, draws: int = DRAWS) -> Iterator[np.ndarray]:
    """Draw the counted things again, with replacement.

    Args:
        counts: int `(k,)`: how many things fell into each cell; their sum must not be 0.
        seed: The same seed gives the same draws.
        draws: How many.

    Yields:
        int64 `(some, k)`, a row per draw, until there were `draws` rows; memory stays flat however many cells.
    """
    rng = np.random.default_rng(seed)
    total = int(counts.sum())
    step = max(_CHUNK_NUMBERS // len(counts), 1)
    for start in range(0, draws, step):
        yield rng.multinomial(total, counts / total, size=min(step, draws - start))


def figure(value: float, drawn: np.ndarray, pictures: float) -> Figure:
    """A value with its interval.

    Args:
        value: As measured, 0..1.
        drawn: float `(draws,)`: the same for each draw; NaN where a draw cannot tell.
        pictures: How many pictures the value rests on, for the case that all draws agree.
    """
    low, high = np.percentile(drawn[~np.isnan(drawn)], (2.5, 97.5))
    if low == high:
        low, high = wilson(value, pictures)
    return Figure(float(value), float(min(low, value)), float(max(high, value)))


def difference(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Figure:
    """By how much the second share is higher than the first, both measured on the same pictures.

    Args:
        first: bool `(n,)`: what holds for each picture (it was called right, say); n must not be 0.
        second: bool `(n,)`: the same by the other model.
        seed: Of the draws.

    Returns:
        The difference, -1..1. Pictures are drawn in pairs, so what is hard for both does not widen the interval.
    """
    step = second.astype(np.int64) - first.astype(np.int64)
    counts = np.bincount(step + 1, minlength=3)
    drawn = np.concatenate([(rows[:, 2] - rows[:, 0]) / len(step) for rows in draw_counts(counts, seed)])
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Figure(float(step.mean()), float(low), float(high))


def wilson(share: float, pictures: float) -> tuple[float, float]:
    """The 95% interval of a share that was counted over so many pictures (Wilson 1927)."""
    spread = _Z**2 / pictures
    centre = (share + spread / 2) / (1 + spread)
    half = _Z * np.sqrt(share * (1 - share) / pictures + spread / (4 * pictures)) / (1 + spread)
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)
