"""Classes of unequal size: how rare pictures come more often while a detector learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.words import many

WEIGHT_POWER = 0.5
"""With `--balance weights` a class counts in the loss by its boxes to the power of minus this (Ultralytics' `cls_pw`).

The whole inverse would let a box of a class that is 64 times rarer count 64 times; its root lets it count 8 times.
"""
_MOST = 8.0  # times that a picture comes in an epoch
_UNEQUAL = 10  # times as many boxes
_NAMED = 3


def repeats(classes: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """How often each picture comes in an epoch: often where a rare class is on it.

    Repeat factor sampling (Gupta, Dollár and Girshick 2019, LVIS: "repeat factor sampling"): a class that is on a share
    f of the pictures asks for `max(1, sqrt(t / f))`, a picture comes as often as the rarest of its classes asks for,
    here 8 times at most. What is behind the point is settled by a draw. Their t of 0.001 suits 1203 classes; here it is
    the median of all f, so that about half of the classes come more often.

    Args:
        classes: The class ids of each picture's boxes, int64 `(n,)`.
        seed: Of the draw.

    Returns:
        int64 `(pictures,)`, 1 or more.
    """
    found = [np.unique(ids) for ids in classes]
    there, counts = np.unique(np.concatenate([*found, np.empty(0, np.int64)]), return_counts=True)
    if not len(there):
        return np.ones(len(classes), np.int64)
    wanted = np.clip(np.sqrt(np.median(counts) / counts), 1.0, _MOST)
    factors = np.array([wanted[np.searchsorted(there, ids)].max(initial=1.0) for ids in found])
    whole = np.floor(factors)
    draws = np.random.default_rng(seed).random(len(factors))
    return (whole + (draws < factors - whole)).astype(np.int64)


def repeat_rare(dataset: Any, seed: int) -> int:
    """Let a training dataset of Ultralytics hold pictures of rare classes several times, see `repeats`.

    As they are pictures like the others, they also come more often where a mosaic takes its parts, in each process of
    several GPUs, and in a training that goes on.

    Args:
        dataset: Just built, without pictures in memory.
        seed: The run's.

    Returns:
        How many pictures were added.
    """
    times = repeats([label["cls"].reshape(-1).astype(np.int64) for label in dataset.labels], seed)
    order = np.repeat(np.arange(len(times)), times)
    for name in ("labels", "im_files", "label_files", "npy_files"):
        values = getattr(dataset, name)
        setattr(dataset, name, [values[i] for i in order])
    dataset.ni = len(order)
    dataset.ims, dataset.im_hw0, dataset.im_hw = [None] * dataset.ni, [None] * dataset.ni, [None] * dataset.ni
    dataset.max_buffer_length = min(dataset.ni, dataset.batch_size * 8, 1000)
    return len(order) - len(times)


def imbalance_line(classes: Sequence[np.ndarray], names: Mapping[int, str]) -> str | None:
    """What to say of classes that have far fewer boxes than the largest: None where all have at least a tenth.

    Args:
        classes: The class ids of each training picture's boxes, int64 `(n,)`.
        names: Of the classes.
    """
    ids, counts = np.unique(np.concatenate([*classes, np.empty(0, np.int64)]), return_counts=True)
    if len(ids) < 2 or counts.max() < _UNEQUAL * counts.min():
        return None
    order = np.argsort(counts)
    rare = [i for i in order if counts.max() >= _UNEQUAL * counts[i]]
    told = ", ".join(f"{names[int(ids[i])]} {counts[i]}" for i in rare[:_NAMED])
    more = f" and {len(rare) - _NAMED} more" if len(rare) > _NAMED else ""
    largest = order[-1]
    return (
        f"{many(len(rare), 'class has', 'classes have')} few training boxes ({told}{more}; {names[int(ids[largest])]} "
        f"{counts[largest]}): --balance resample shows their pictures more often, --balance weights makes them "
        "count more"
    )
