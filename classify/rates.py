"""Learning rates: how they change from step to step, and how to find one that suits.

Warm-up and cosine decay follow Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017),
equation 5 with one period, and Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 2.2. The search is the
range test of Smith, "Cyclical Learning Rates for Training Neural Networks" (2017), section 3.3, with rates that grow
geometrically, as Gugger ("How Do You Find A Good Learning Rate", 2018) and fastai made of it; the loss is that of the
same items after each step, since that of a batch says more about the batch than about the rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from .balance import epoch_order
from .config import Optimizer, Schedule
from .learning import LearningData
from .mix import one_hot
from .optimizers import build_optimizer
from .state import as_array

LOWEST, HIGHEST = 1e-6, 1.0
_STEPS = 64
_WATCHED = 32  # items
_WINDOW = 5  # steps of which the middle loss counts
_EXPLODED = 4.0  # times the sum of what it was and what guessing gives
_DIVISOR = 50.0


def rate_at(schedule: Schedule, peak: float, step: int, steps: int, warmup: float) -> float:
    """The learning rate of one step; it depends on nothing else, so that a resumed stage has no seam.

    Args:
        schedule: "cosine" falls from the peak along a half wave, which would be 0 in the step after the last;
            "constant" stays at the peak.
        peak: The highest rate.
        step: From 0.
        steps: How many steps the whole stage has if it is not stopped early.
        warmup: Share of the steps, 0..1, in which the rate rises in equal parts from 0; the last of them has the peak.
    """
    rising = round(steps * warmup)
    if step < rising:
        return peak * (step + 1) / rising
    if schedule == "constant":
        return peak
    done = (step - rising) / max(steps - rising, 1)
    return peak * (1 + math.cos(math.pi * min(done, 1.0))) / 2


@dataclass(frozen=True)
class RateSearch:
    """What a search for a learning rate saw.

    Attributes:
        rates: The rates that were tried, rising.
        losses: The loss of the same few items after a step with each; every one a number.
        chosen: The rate to train with.
        reason: Why, for a person.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float
    reason: str


def find_rate(model: Any, data: LearningData, batch: int, optimizer: Optimizer, seed: int) -> RateSearch:
    """Try rising rates on a few batches and choose one; the model is afterwards as it was, bit by bit.

    Args:
        model: A `keras.Model` that ends in probabilities; what of it is trainable learns. It need not be compiled, and
            how it is compiled does not change.
        data: To learn from.
        batch: Items per step.
        optimizer: The one that will train.
        seed: Of the order of the items.
    """
    import keras

    # A model of its own around the same layers: that of the caller keeps its optimizer and its compiled functions.
    probe = keras.Model(model.inputs, model.outputs)
    probe.compile(optimizer=build_optimizer(optimizer, LOWEST), loss=keras.losses.CategoricalCrossentropy())
    classes = int(model.outputs[0].shape[-1])
    rates = np.geomspace(LOWEST, HIGHEST, _STEPS)
    batches = _endless(data, batch, seed)
    watched, truth = _watched(data, seed)
    losses: list[float] = []
    with _restored(model):
        start = float(probe.test_on_batch(watched, one_hot(truth, classes), return_dict=True)["loss"])
        exploded = _EXPLODED * (start + math.log(classes))
        for rate, (x, y) in zip(rates.tolist(), batches, strict=False):
            probe.optimizer.learning_rate.assign(rate)
            probe.train_on_batch(x, one_hot(y, classes))
            loss = float(probe.test_on_batch(watched, one_hot(truth, classes), return_dict=True)["loss"])
            if not math.isfinite(loss):
                break
            losses.append(loss)
            if len(losses) >= _WINDOW and np.median(losses[-_WINDOW:]) > exploded:
                break
    return choose_rate(rates, np.array(losses), exploded) if math.isfinite(start) else _hopeless()


def choose_rate(rates: np.ndarray, losses: np.ndarray, exploded: float) -> RateSearch:
    """Read the curve of a search: a fiftieth of the rate at which the loss explodes.

    Where the loss falls fastest, is lowest, or rises first is what others choose by. All of these depend on how badly
    the head happens to begin: for random heads on the same features of a VGG16 they lay anywhere between 1e-5 and 1e-2,
    and rates chosen by them trained worse than the usual one. Where the loss explodes depends on that far less.

    Args:
        rates: float64 `(m,)`, rising.
        losses: float64 `(n,)` at the first of them, all numbers; n may be 0.
        exploded: From which loss on it has.
    """
    above = np.flatnonzero(steadied(losses) > exploded)
    if len(above):
        chosen, reason = rates[above[0]] / _DIVISOR, f"a fiftieth of {rates[above[0]]:.2g}, where the loss explodes"
    elif len(losses) == len(rates):
        chosen, reason = HIGHEST / _DIVISOR, "the loss explodes nowhere"
    else:
        chosen = rates[len(losses) - 1] / _DIVISOR if len(losses) else LOWEST
        reason = "beyond fifty times that the loss is no number"
    found = max(float(chosen), LOWEST)
    return RateSearch(tuple(rates[: len(losses)].tolist()), tuple(losses.tolist()), found, reason)


def steadied(losses: np.ndarray) -> np.ndarray:
    """The median of each loss and its neighbours, so that a bad step alone counts for nothing."""
    if not len(losses):
        return losses
    half = _WINDOW // 2
    padded = np.pad(losses, half, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, _WINDOW), axis=1)


def _hopeless() -> RateSearch:
    return RateSearch((), (), LOWEST, "the loss is no number before the first step")


def _endless(data: LearningData, batch: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for epoch in count():
        order = epoch_order(data.labels, seed, epoch)
        for start in range(0, len(order), batch):
            yield data.batch(order[start : start + batch], epoch)


def _watched(data: LearningData, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Items whose loss is looked at after each step, always the same ones, so that the curve has little noise."""
    order = np.random.default_rng((seed, 1)).permutation(len(data))
    return data.batch(order[:_WATCHED], 0)


@contextmanager
def _restored(model: Any) -> Iterator[None]:
    """Give a model back all numbers that it holds: weights, statistics, and the state of its random numbers."""
    before = [(variable, as_array(variable)) for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)
