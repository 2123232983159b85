"""The order in which an epoch takes its pictures, and what evens out classes of unequal size. NumPy alone."""

from __future__ import annotations

import numpy as np

from .config import Balance

_RESAMPLE = 0x62616C  # keeps these random numbers apart from those of the plain order


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """How much a picture of each class counts in the loss: the rarer the class, the more.

    Each class that has pictures counts the same in sum, and the mean over all pictures is 1, so that the loss and the
    learning rate keep their meaning (King and Zeng, "Logistic Regression in Rare Events Data", 2001).

    Args:
        labels: int64 `(n,)` class ids.
        classes: How many classes there are.

    Returns:
        float32 `(classes,)`; 0 for a class without pictures.
    """
    counts = np.bincount(labels, minlength=classes)
    there = counts > 0
    return np.where(there, len(labels) / (there.sum() * np.maximum(counts, 1)), 0).astype(np.float32)


def epoch_order(labels: np.ndarray, seed: int, epoch: int, balance: Balance = "none") -> np.ndarray:
    """Which pictures an epoch takes, and in which order; the same arguments always give the same order.

    Args:
        labels: int64 `(n,)` class ids.
        seed: 0 or more.
        epoch: From 0.
        balance: "resample" takes the same number of each class (one more of some where it does not come out even): a
            picture of a rare class several times, of a common class some of the pictures, others in each epoch. With
            anything else each picture comes once.

    Returns:
        int64 `(n,)` numbers of pictures.
    """
    if balance != "resample":
        return np.random.default_rng((seed, epoch)).permutation(len(labels))
    rng = np.random.default_rng((seed, epoch, 0, _RESAMPLE))
    there = rng.permutation(np.unique(labels))
    quota = np.full(len(there), len(labels) // len(there))
    quota[: len(labels) % len(there)] += 1
    drawn = [_draw(np.flatnonzero(labels == label), int(share), rng) for label, share in zip(there, quota, strict=True)]
    return rng.permutation(np.concatenate(drawn)).astype(np.int64)


def _draw(members: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """As many as wanted, none twice before each was taken once."""
    rounds = [rng.permutation(members) for _ in range(-(-wanted // len(members)))]
    return np.concatenate(rounds or [members[:0]])[:wanted]
