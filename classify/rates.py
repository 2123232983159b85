"""Learning rates: how they change from step to step, and how to find one that suits.

Warm-up and cosine decay follow Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017),
equation 5 with one period, and Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 2.2. The search is the
range test of Smith, "Cyclical Learning Rates for Training Neural Networks" (2017), section 3.3, with rates that grow
geometrically and a loss that is averaged over the past, as Gugger ("How Do You Find A Good Learning Rate", 2018) and
fastai made of it.
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

LOWEST, HIGHEST = 1e-7, 1.0
_STEPS = 96
_WINDOW = 15  # steps over which the loss is averaged
_EXPLODED = 4.0  # times the lowest loss so far
_DIVISOR = 3.0


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
        losses: The loss at each, averaged over the past; every one a number.
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
    losses: list[float] = []
    with _restored(model):
        for rate, (x, y) in zip(rates.tolist(), _endless(data, batch, seed), strict=False):
            probe.optimizer.learning_rate.assign(rate)
            loss = float(probe.train_on_batch(x, one_hot(y, classes), return_dict=True)["loss"])
            if not math.isfinite(loss):
                break
            losses.append(loss)
            averages = smoothed(np.array(losses)) if len(losses) >= _WINDOW else np.array(losses)
            if averages[-1] > _EXPLODED * averages.min():
                break
    return choose_rate(rates[: len(losses)], np.array(losses))


def choose_rate(rates: np.ndarray, losses: np.ndarray) -> RateSearch:
    """Read the curve of a search.

    The loss falls slowly, then fast, then rises. A third of the rate at which it falls fastest is chosen: it still
    falls there, and the rise is far. Where it falls nowhere, because what trains is good already, a tenth of the rate
    at which it rises.

    Args:
        rates: float64 `(n,)`, rising.
        losses: float64 `(n,)` of single batches, all numbers; n may be 0.
    """
    if len(losses) < _WINDOW:
        reason = "the loss was no number from the start" if not len(losses) else "the loss rose at once"
        return RateSearch(tuple(rates.tolist()), tuple(losses.tolist()), LOWEST, f"{reason}: the lowest rate")
    smooth = smoothed(losses)
    lowest = int(smooth.argmin())
    start, noise = smooth[: _WINDOW // 2].mean(), np.diff(losses[: len(losses) // 2]).std() / math.sqrt(2)
    if start - smooth[lowest] > noise and lowest > 1:
        slope = np.gradient(smooth[: lowest + 1], np.log(rates[: lowest + 1]))
        chosen, reason = float(rates[int(slope.argmin())]) / _DIVISOR, "a third of where the loss falls fastest"
    else:
        above = np.flatnonzero(smooth > start + noise)
        chosen = float(rates[above[0] if len(above) else -1]) / 10
        reason = "the loss falls nowhere: a tenth of where it rises"
    return RateSearch(tuple(rates.tolist()), tuple(smooth.tolist()), max(chosen, LOWEST), reason)


def smoothed(losses: np.ndarray) -> np.ndarray:
    """Losses averaged with their nearest neighbours on both sides, so that nothing moves to higher rates."""
    window = np.hanning(_WINDOW + 2)[1:-1]
    return np.convolve(losses, window, "same") / np.convolve(np.ones(len(losses)), window, "same")


def _endless(data: LearningData, batch: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for epoch in count():
        order = epoch_order(data.labels, seed, epoch)
        for start in range(0, len(order), batch):
            yield data.batch(order[start : start + batch], epoch)


@contextmanager
def _restored(model: Any) -> Iterator[None]:
    """Give a model back all numbers that it holds: weights, statistics, and the state of its random numbers."""
    before = [(variable, np.array(variable)) for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)
