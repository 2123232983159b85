"""Learning rates: the schedule step by step, and the search for one."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.classify.rates import HIGHEST, LOWEST, choose_rate, find_rate, rate_at
from lensmith.datasets.model import Item


def test_warm_up_rises_to_the_peak_and_cosine_falls_to_nearly_nothing() -> None:
    rates = [rate_at("cosine", 2e-3, step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([2e-4 * n for n in range(1, 11)])
    assert rates[10] == pytest.approx(2e-3)
    assert rates[55] == pytest.approx(1e-3)
    assert all(a > b > 0 for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] < 2e-6
    assert rate_at("cosine", 2e-3, 100, 100, 0.1) == pytest.approx(0, abs=1e-12)


def test_constant_stays_and_odd_numbers_of_steps_work() -> None:
    assert [rate_at("constant", 0.5, step, 4, 0.5) for step in range(4)] == [0.25, 0.5, 0.5, 0.5]
    assert rate_at("cosine", 0.5, 0, 1, 0.0) == 0.5
    assert rate_at("cosine", 0.5, 0, 1, 0.9) == 0.5
    assert all(math.isfinite(rate_at("cosine", 1, step, 3, 0.99)) for step in range(4))


RATES = np.geomspace(LOWEST, HIGHEST, 64)


def curve(noise: float = 0.05) -> np.ndarray:
    """A loss that begins at 1, falls fastest at 1e-3, and reaches 4 at 0.2."""
    loss = 0.2 + 0.8 / (1 + (RATES / 1e-3) ** 1.5) + 3.8 * (RATES / 0.2) ** 2
    return loss + np.random.default_rng(0).normal(0, noise, 64)


def test_a_fiftieth_of_where_the_loss_explodes_is_chosen() -> None:
    search = choose_rate(RATES, curve(), 4.0)
    assert search.chosen == pytest.approx(0.2 / 50, rel=0.3)
    assert len(search.rates) == len(search.losses) == 64
    assert "explodes" in search.reason


def test_a_single_bad_step_is_no_explosion() -> None:
    losses = curve()
    losses[30] = 500
    assert choose_rate(RATES, losses, 4.0).chosen == pytest.approx(0.2 / 50, rel=0.3)


def test_where_the_loss_explodes_nowhere_the_highest_rate_counts() -> None:
    search = choose_rate(RATES, np.full(64, 0.5), 4.0)
    assert (search.chosen, search.reason) == (HIGHEST / 50, "the loss explodes nowhere")


@pytest.mark.parametrize("losses", [[], [0.7], [0.7, 30.0, 90.0]])
def test_too_few_steps_give_the_lowest_rate(losses: list[float]) -> None:
    search = choose_rate(RATES, np.array(losses), 4.0)
    assert search.chosen == LOWEST
    assert len(search.rates) == len(losses)


class Rows:
    """Two clouds of points with a class each."""

    def __init__(self, scale: float = 1.0) -> None:
        rng = np.random.default_rng(0)
        self._labels = np.arange(160) % 2
        self._x = (scale * (rng.normal(0, 1, (160, 8)) + 2 * self._labels[:, None])).astype(np.float32)
        self.items = [Item(Path(f"{i}.png"), "train", class_id=int(c)) for i, c in enumerate(self._labels)]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def labels(self) -> np.ndarray:
        return self._labels

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        return self._x[indices], self._labels[indices]


@pytest.fixture(scope="module")
def head() -> Any:
    from lensmith.weights.architecture import import_keras

    keras, _ = import_keras("cpu")
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8,))
    x = keras.layers.Dropout(0.3, seed=1)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dense(16, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))


@pytest.mark.keras
def test_a_search_leaves_the_model_as_it_was_and_comes_out_the_same_again(head: Any) -> None:
    head.compile(optimizer="adam", loss="categorical_crossentropy")
    head.train_on_batch(np.zeros((4, 8)), np.eye(2)[[0, 1, 0, 1]])
    kept = [*head.variables, *head.optimizer.variables]
    before = [np.array(variable).tobytes() for variable in kept]
    searches = [find_rate(head, Rows(), 16, "adam", seed=3) for _ in range(2)]
    assert [np.array(variable).tobytes() for variable in kept] == before
    assert searches[0] == searches[1]
    assert 1e-4 < searches[0].chosen < 0.3
    assert all(map(math.isfinite, searches[0].losses))
    assert find_rate(head, Rows(), 16, "adam", seed=4).losses != searches[0].losses


@pytest.mark.keras
@pytest.mark.parametrize("scale", [1e4, float("inf"), float("nan")])
def test_a_loss_that_explodes_ends_the_search_with_a_number(scale: float, head: Any) -> None:
    before = [np.array(variable).tobytes() for variable in head.variables]
    search = find_rate(head, Rows(scale), 16, "sgd", seed=0)
    assert LOWEST <= search.chosen <= HIGHEST
    assert all(map(math.isfinite, search.losses))
    assert [np.array(variable).tobytes() for variable in head.variables] == before


@pytest.mark.keras
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_optimizers_take_a_rate_at_every_step_and_adamw_spares_biases(name: Any, head: Any) -> None:
    from lensmith.classify.optimizers import build_optimizer

    optimizer = build_optimizer(name, 0.1)
    weights = head.trainable_variables
    optimizer.build(weights)
    before = [np.array(variable) for variable in weights]
    nothing = [np.zeros_like(value) for value in before]
    optimizer.learning_rate.assign(0.0)
    optimizer.apply([value + 1 for value in nothing])
    assert all(np.array_equal(np.array(variable), value) for variable, value in zip(weights, before, strict=True))
    fresh = build_optimizer(name, 0.5)
    fresh.build(weights)
    fresh.apply(nothing)
    shrunk = {v.name for v, old in zip(weights, before, strict=True) if not np.array_equal(np.array(v), old)}
    assert shrunk == ({"kernel"} if name == "adamw" else set())
    for variable, value in zip(weights, before, strict=True):
        variable.assign(value)
