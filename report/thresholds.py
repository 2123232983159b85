"""Where to draw the line between answers that are given and answers that are not. NumPy alone."""

from __future__ import annotations

import numpy as np

from .target import Target


def lowest_for_precision(sure: np.ndarray, right: np.ndarray, wanted: float) -> float:
    """The lowest threshold above which so large a share of the answers is right: it withholds the fewest.

    Args:
        sure: float `(n,)`, 0..1: how sure the model was of each answer; n must not be 0.
        right: bool `(n,)`: whether it is right.
        wanted: The share, 0..1.

    Returns:
        0..1, half-way between two answers so that rounding does not decide; where the share cannot be reached the
        threshold that comes nearest, and 1 where no answer is right.
    """
    levels, count, good = _from_above(sure, right)
    precision = good / count
    if not precision.any():
        return 1.0
    enough = np.flatnonzero(precision >= wanted)
    best = enough[-1] if len(enough) else np.flatnonzero(precision == precision.max())[-1]
    return _below(levels, int(best))


def highest_for_recall(sure: np.ndarray, right: np.ndarray, things: int, wanted: float) -> float:
    """The highest threshold above which so large a share of the things gets a right answer.

    Args:
        sure: float `(n,)`, 0..1: how sure the model was of each answer; n must not be 0.
        right: bool `(n,)`: whether it is right.
        things: How many there are to be answered right, more than 0.
        wanted: The share, 0..1.

    Returns:
        0..1, half-way between two answers; 0 where the share cannot be reached.
    """
    levels, _, good = _from_above(sure, right)
    enough = np.flatnonzero(good / things >= wanted)
    return _below(levels, int(enough[0])) if len(enough) else 0.0


def too_few(count: int, things: str, target: Target) -> list[str]:
    """A sentence where so few things cannot support a target, whatever the model does; none where they can.

    Args:
        count: How many there are.
        things: What they are, in the plural: "validation pictures".
        target: What is wanted.
    """
    # The lower end of the one-sided 95% interval of Clopper and Pearson (1934) where all are right.
    shown = 0.05 ** (1 / max(count, 1))
    if shown >= target.value or target.value == 1:
        return []
    needed = int(np.ceil(np.log(0.05) / np.log(target.value)))
    return [
        f"{count} {things} cannot support {target}: even if every answer were right, that would show no"
        f" more than {shown:.0%}. It takes {needed} or more, and as many for each class to be sure of each."
    ]


def _from_above(sure: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct levels, falling; how many answers are at least that sure; how many of those are right."""
    order = np.argsort(-sure, kind="stable")
    last = np.append(np.diff(sure[order]) != 0, True)
    return sure[order][last], np.arange(1, len(sure) + 1)[last], np.cumsum(right[order])[last]


def _below(levels: np.ndarray, index: int) -> float:
    """A threshold that this level reaches and the next lower one does not."""
    return 0.0 if index == len(levels) - 1 else float((levels[index] + levels[index + 1]) / 2)
