"""Batches come in their order, before they are asked for; threads end with the block; lost pictures do not stop it."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from lensmith.classify.prefetch import Prefetch
from lensmith.core.errors import DataError
from lensmith.datasets.model import Item

BATCHES = [np.arange(start, start + 4) for start in range(0, 40, 4)]


class Numbers:
    """Learning data whose input is its number; some can no longer be read."""

    items: Sequence[Item] = ()

    def __init__(self, broken: set[int] = frozenset(), gate: threading.Event | None = None) -> None:  # type: ignore[assignment]
        self.lost: set[int] = set()
        self.asked: list[int] = []
        self._broken = broken
        self._gate = gate

    def __len__(self) -> int:
        return 40

    @property
    def labels(self) -> np.ndarray:
        return np.arange(40)

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(int(indices[0]))
        if self._gate is not None:
            assert self._gate.wait(10)
        self.lost |= self._broken & set(indices.tolist())
        kept = np.array([index for index in indices if index not in self.lost], np.int64)
        if not len(kept):
            raise DataError("nothing can be read")
        return kept.astype(np.float32) + epoch, kept


def batch_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_come_in_their_order(workers: int) -> None:
    with Prefetch(Numbers(), BATCHES, epoch=1, workers=workers) as batches:
        got = list(batches)
        assert len(batches) == len(got) == 10
    assert np.concatenate([indices for _, _, indices in got]).tolist() == list(range(40))
    assert all((x == indices + 1).all() and (y == indices).all() for x, y, indices in got)
    assert not batch_threads()


def test_waiting_is_counted_and_nothing_runs_too_far_ahead() -> None:
    gate = threading.Event()
    data = Numbers(gate=gate)
    with Prefetch(data, BATCHES, epoch=0, workers=2, depth=3) as batches:
        threading.Timer(0.2, gate.set).start()
        source = iter(batches)
        next(source)
        assert 0.1 < batches.waited < 5
        assert max(data.asked) <= 4 * 3
        source.close()


def test_leaving_early_ends_the_threads() -> None:
    def interrupted() -> None:
        with Prefetch(Numbers(), BATCHES, epoch=0, workers=2) as batches:
            for _ in batches:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not batch_threads()


def test_lost_pictures_are_left_out_and_so_are_their_numbers() -> None:
    with Prefetch(Numbers({1, 8, 9, 10, 11}), BATCHES, epoch=0, workers=2) as batches:
        got = list(batches)
    assert len(got) == 9, "the batch of which all is lost is left out"
    assert got[0][2].tolist() == got[0][1].tolist() == [0, 2, 3]


def test_an_epoch_of_which_nothing_can_be_read_is_an_error() -> None:
    with Prefetch(Numbers(set(range(40))), BATCHES, epoch=0) as batches, pytest.raises(DataError, match="nothing"):
        list(batches)


def test_any_other_error_reaches_the_consumer() -> None:
    class Broken(Numbers):
        def batch(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
            raise DataError("the augmentation cannot be done")

    with Prefetch(Broken(), BATCHES, epoch=0) as batches, pytest.raises(DataError, match="augmentation"):
        list(batches)
    assert not batch_threads()
