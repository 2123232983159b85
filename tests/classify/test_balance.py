"""Class weights, and which pictures an epoch takes."""

import numpy as np
import pytest

from lensmith.classify.balance import class_weights, epoch_order

TEN_TO_ONE = np.array([0] * 100 + [1] * 10)


def test_weights_even_out_classes_and_leave_the_mean_at_one() -> None:
    weights = class_weights(TEN_TO_ONE, 3)
    assert weights.dtype == np.float32
    assert weights.tolist() == pytest.approx([0.55, 5.5, 0])
    assert weights[TEN_TO_ONE].mean() == pytest.approx(1)
    assert class_weights(np.array([1, 0, 0, 1]), 2).tolist() == [1, 1]


@pytest.mark.parametrize("balance", ["none", "weights"])
def test_a_plain_epoch_takes_each_picture_once(balance) -> None:
    order = epoch_order(TEN_TO_ONE, seed=3, epoch=1, balance=balance)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(110))
    assert order.tolist() == np.random.default_rng((3, 1)).permutation(110).tolist()


def test_resampling_takes_each_class_equally_often_and_no_picture_much_more_often() -> None:
    order = epoch_order(TEN_TO_ONE, seed=3, epoch=0, balance="resample")
    assert (len(order), order.dtype) == (110, np.int64)
    assert np.bincount(TEN_TO_ONE[order]).tolist() == [55, 55]
    times = np.bincount(order, minlength=110)
    assert set(times[:100]) == {0, 1}
    assert set(times[100:]) == {5, 6}
    assert len({tuple(TEN_TO_ONE[order[i : i + 11]]) for i in range(0, 110, 11)}) > 5  # classes come mixed


def test_resampling_where_it_does_not_come_out_even_or_a_class_is_missing() -> None:
    labels = np.array([0] * 5 + [2] * 5 + [3])
    counts = [
        np.bincount(labels[epoch_order(labels, 0, epoch, "resample")], minlength=4).tolist() for epoch in range(20)
    ]
    assert all(sorted(each) == [0, 3, 4, 4] and each[1] == 0 for each in counts)
    assert len(set(map(tuple, counts))) == 3  # the extra pictures go to other classes in other epochs


def test_an_order_depends_on_seed_and_epoch_alone() -> None:
    for balance in ("none", "resample"):
        orders = {
            (seed, epoch): tuple(epoch_order(TEN_TO_ONE, seed, epoch, balance)) for seed in range(3) for epoch in (0, 1)
        }
        assert len(set(orders.values())) == 6
        assert tuple(epoch_order(TEN_TO_ONE, 2, 1, balance)) == orders[2, 1]
    seen = {i for epoch in range(12) for i in epoch_order(TEN_TO_ONE, 0, epoch, "resample").tolist()}
    assert len(seen) == 110  # what one epoch leaves out another takes
