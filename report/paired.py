"""Which of two models is better, asked of the pictures that both were measured on.

The pictures are drawn with replacement, for both models the same ones, and the difference is worked out for each draw
(the paired bootstrap: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8). So what is hard for
both does not widen the interval. A difference whose 95% interval holds 0 is within noise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .bootstrap import Figure, figure

FEWEST_PICTURES = 6
"""Where fewer count, all of them may agree by chance more often than one time in twenty (2 * 0.5 ** 5)."""


class Sample(NamedTuple):
    """A figure and what it came to for each draw of pictures.

    Attributes:
        value: As measured, 0..1.
        drawn: float `(draws,)`; NaN where a draw cannot tell.
        pictures: How many pictures it rests on: those that show the class, say.
    """

    value: float
    drawn: np.ndarray
    pictures: int


Key = tuple[str, str]
"""A class, or "" for all together; and what is measured: "recall"."""


@dataclass(frozen=True)
class Measured:
    """What a run's model said about pictures.

    Attributes:
        split: Which: "valid" or "test".
        pictures: SHA-256 of each picture's content, "" where it is not known.
        truths: What each picture shows, in any words that two runs share.
        draws: How often pictures are drawn.
        measure: Works out the figures on some of the pictures: int64 numbers of these, and how often to draw. The same
            number of pictures gets the same draws, whichever run it is. The first key of class "" leads.
    """

    split: str
    pictures: tuple[str, ...]
    truths: tuple[str, ...]
    draws: int
    measure: Callable[[np.ndarray, int], Mapping[Key, Sample]]


@dataclass(frozen=True)
class Difference:
    """One figure of two runs on the same pictures.

    Attributes:
        of: The class, "" for all together.
        measure: "recall", say.
        first, second: The figure of each run with its interval.
        difference: By how much the second one's is higher, -1..1.
        pictures: How many it rests on.
    """

    of: str
    measure: str
    first: Figure
    second: Figure
    difference: Figure
    pictures: int

    @property
    def too_few(self) -> bool:
        """Whether it rests on so few pictures that nothing can be said."""
        return self.pictures < FEWEST_PICTURES

    @property
    def within_noise(self) -> bool:
        """Whether it may well be chance."""
        return self.too_few or self.difference.low <= 0 <= self.difference.high

    @property
    def verdict(self) -> str:
        """In a few words."""
        if self.too_few:
            return f"too few pictures to tell ({self.pictures})"
        if self.within_noise:
            return "within noise"
        return "better" if self.difference.value > 0 else "worse"

    def points(self) -> str:
        """The difference in points with its interval: "+1.2 (-0.3 to +2.6)"."""
        value, low, high = (100 * part for part in self.difference)
        return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def shared_pictures(one: Measured, two: Measured) -> tuple[np.ndarray, int]:
    """Numbers of the pictures that both have with the same labels, int64 `(n, 2)`; how many have other labels."""
    places: dict[str, list[int]] = defaultdict(list)
    for number in reversed(range(len(two.pictures))):
        places[two.pictures[number]].append(number)
    pairs, relabelled = [], 0
    for number, picture in enumerate(one.pictures):
        if not picture or not places[picture]:
            continue
        other = places[picture].pop()
        if one.truths[number] == two.truths[other]:
            pairs.append((number, other))
        else:
            relabelled += 1
    return np.array(pairs, np.int64).reshape(-1, 2), relabelled


def compare_samples(key: Key, first: Sample, second: Sample) -> Difference:
    """The difference of two models' figure, drawn on the same pictures with the same draws."""
    drawn = second.drawn - first.drawn
    value = second.value - first.value
    known = drawn[~np.isnan(drawn)]
    low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (value, value)
    return Difference(
        key[0], key[1], _alone(first), _alone(second),
        Figure(value, float(min(low, value)), float(max(high, value))), min(first.pictures, second.pictures),
    )  # fmt: skip


def _alone(sample: Sample) -> Figure:
    if np.isnan(sample.drawn).all():
        return Figure(sample.value, sample.value, sample.value)
    return figure(sample.value, sample.drawn, sample.pictures)


def own_figures(measured: Measured) -> dict[Key, Figure]:
    """All figures of a run on all its own pictures."""
    samples = measured.measure(np.arange(len(measured.pictures)), measured.draws)
    return {key: _alone(sample) for key, sample in samples.items()}
