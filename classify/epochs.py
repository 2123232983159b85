"""One epoch: a pass over what there is to learn from, and a pass over the validation pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.progress import progress
from .balance import epoch_order
from .config import FinetuneConfig
from .learning import LearningData
from .mix import mix, mixing_numbers, one_hot, smooth
from .prefetch import Prefetch
from .rates import rate_at

_LONG_STEPS = 40  # an epoch of fewer steps needs no bar


class NotANumberError(ArithmeticError):
    """The loss is infinite or no number."""


@dataclass(frozen=True)
class Plan:
    """What all epochs of a stage share.

    Attributes:
        name: The stage.
        epochs: How many it has if it is not stopped early.
        first: How many epochs the stages before it have, so that no two stages draw the same random numbers.
        peak: The highest learning rate.
        config: The options.
        weights: float32 `(classes,)`, how much a picture of each class counts; None for all the same.
        classes: How many classes there are.
    """

    name: str
    epochs: int
    first: int
    peak: float
    config: FinetuneConfig
    weights: np.ndarray | None
    classes: int


@dataclass(frozen=True)
class Pass:
    """What one pass over pictures gave.

    Attributes:
        loss: Mean cross-entropy.
        accuracy: Share of right answers; with MixUp or CutMix, of those that name the larger part.
        waited: Seconds for which the model waited for data.
        rate: The learning rate of the last step; 0 in validation.
        balanced: In validation the mean over the classes of the share of right answers.
    """

    loss: float
    accuracy: float
    waited: float
    rate: float = 0.0
    balanced: float = 0.0


class _Mean:
    """Means of a loss and an accuracy over batches of unequal size."""

    def __init__(self) -> None:
        self._sums = np.zeros(2)
        self._count = 0

    def add(self, loss: float, accuracy: float, count: int) -> None:
        self._sums += np.array([loss, accuracy]) * count
        self._count += count

    def result(self) -> tuple[float, float]:
        loss, accuracy = (self._sums / max(self._count, 1)).tolist()
        return loss, accuracy


def learn(network: Any, data: LearningData, plan: Plan, epoch: int, batch: int) -> Pass:
    """Go once through what there is to learn from.

    Args:
        network: A compiled `keras.Model` that ends in probabilities.
        data: What it takes.
        plan: The stage's.
        epoch: Of the stage, from 0. Order, augmentation and mixing follow from it, the seed and the stage alone.
        batch: Items per step.

    Raises:
        NotANumberError: the loss is no longer a number; the weights are spoilt.
        DataError: not one picture can be read any more.
    """
    config, number = plan.config, plan.first + epoch
    batches = without_lone(_parts(epoch_order(data.labels, config.seed, number, config.balance), batch))
    mean, rate = _Mean(), 0.0
    with Prefetch(data, batches, number) as loader, _bar(f"{plan.name} {epoch + 1}/{plan.epochs}", batches) as advance:
        for step, (x, labels, _) in enumerate(loader):
            rate = _rate(plan, epoch, step, len(batches))
            network.optimizer.learning_rate.assign(rate)
            targets = one_hot(labels, plan.classes)
            x, targets = mix(x, targets, config.mixup, config.cutmix, mixing_numbers(config.seed, number, step))
            weight = None if plan.weights is None else targets @ plan.weights
            targets = smooth(targets, config.label_smoothing)
            logs = network.train_on_batch(x, targets, sample_weight=weight, return_dict=True)
            if not math.isfinite(logs["loss"]):
                raise NotANumberError(f"in step {step + 1} of epoch {epoch + 1}")
            mean.add(float(logs["loss"]), float(logs["accuracy"]), len(labels))
            advance(1)
        return Pass(*mean.result(), loader.waited, rate)


def validate(network: Any, data: LearningData, batch: int) -> Pass:
    """Answer all pictures once, as they are, and compare with the truth.

    Raises:
        NotANumberError: the answers are no numbers.
        DataError: not one picture can be read any more.
    """
    mean = _Mean()
    right = np.zeros((2, int(network.outputs[0].shape[-1])))
    with Prefetch(data, _parts(np.arange(len(data)), batch), 0) as loader:
        for x, labels, _ in loader:
            probability = np.asarray(network.predict_on_batch(x), np.float64)
            if not np.isfinite(probability).all():
                raise NotANumberError("in validation")
            truth = probability[np.arange(len(labels)), labels]
            losses = -np.log(np.clip(truth, 1e-7, 1.0))
            hits = probability.argmax(axis=1) == labels
            mean.add(float(losses.mean()), float(hits.mean()), len(labels))
            np.add.at(right, (hits.astype(int), labels), 1)
        there = right.sum(axis=0) > 0
        balanced = float((right[1, there] / right[:, there].sum(axis=0)).mean())
        return Pass(*mean.result(), loader.waited, balanced=balanced)


def reseed(network: Any, *numbers: int) -> None:
    """Let Dropout draw what follows from these numbers, so that a resumed epoch draws what any other does."""
    import keras

    generators = [layer.seed_generator for layer in network.layers if hasattr(layer, "seed_generator")]
    drawn = np.random.SeedSequence(numbers).generate_state(len(generators) + 1) >> 1
    for generator, seed in zip(generators, drawn.tolist(), strict=False):
        generator.state.assign([seed, 0])
    if keras.backend.backend() == "torch":  # its Dropout knows no seed but the one of all of torch
        keras.utils.set_random_seed(int(drawn[-1]))


def _rate(plan: Plan, epoch: int, step: int, steps: int) -> float:
    if plan.name == "frozen":
        return plan.peak
    at, total = epoch * steps + step, plan.epochs * steps
    return rate_at(plan.config.schedule, plan.peak, at, total, plan.config.warmup)


def without_lone(batches: list[np.ndarray]) -> list[np.ndarray]:
    """A last batch of a single item joins the one before: alone it has no variance to learn from."""
    if len(batches) < 2 or len(batches[-1]) > 1 or len(batches[-2]) == 1:
        return batches
    return [*batches[:-2], np.concatenate(batches[-2:])]


def _parts(order: np.ndarray, batch: int) -> list[np.ndarray]:
    return [order[start : start + batch] for start in range(0, len(order), batch)]


@contextmanager
def _bar(what: str, batches: list[np.ndarray]) -> Iterator[Any]:
    if len(batches) < _LONG_STEPS:
        yield lambda _steps: None
        return
    with progress(what, len(batches), unit="steps", fleeting=True) as advance:
        yield advance
