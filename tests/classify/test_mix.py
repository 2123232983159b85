"""MixUp and CutMix: inputs and targets are mixed by the same share."""

import numpy as np
import pytest

from lensmith.classify.mix import mix, mixing_numbers, one_hot, smooth


def flat_pictures(count: int = 8, size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Picture i has the value i everywhere and the class i, so that a mixture shows what it was made of."""
    x = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None, None], (count, size, size + 4, 3))
    return x.copy(), one_hot(np.arange(count), count)


def test_one_hot_and_smoothing() -> None:
    targets = one_hot(np.array([2, 0]), 3)
    assert targets.dtype == np.float32
    assert targets.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert smooth(targets, 0.3)[0].tolist() == pytest.approx([0.1, 0.1, 0.8])
    assert smooth(targets, 0.3).dtype == np.float32


def test_nothing_asked_for_changes_nothing() -> None:
    x, targets = flat_pictures()
    mixed, mixed_targets = mix(x, targets, 0, 0, mixing_numbers(0, 0, 0))
    assert mixed is x
    assert mixed_targets is targets
    alone = mix(x[:1], targets[:1], 0.2, 1.0, mixing_numbers(0, 0, 0))
    assert np.array_equal(alone[0], x[:1])


@pytest.mark.parametrize("shape", [(8, 5), (8, 12, 16, 3)])
def test_mixup_blends_two_by_the_share_of_the_target(shape: tuple[int, ...]) -> None:
    x = np.broadcast_to(np.arange(8, dtype=np.float32).reshape(-1, *(1,) * (len(shape) - 1)), shape).copy()
    before = x.copy()
    mixed, targets = mix(x, one_hot(np.arange(8), 8), 0.4, 0, mixing_numbers(1, 2, 3))
    assert np.array_equal(x, before)
    assert (mixed.shape, mixed.dtype, targets.dtype) == (shape, np.float32, np.float32)
    assert targets.sum(axis=1) == pytest.approx(1)
    assert ((targets > 0).sum(axis=1) <= 2).all()
    values = mixed.reshape(8, -1)
    assert values[:, 0] == pytest.approx(targets @ np.arange(8), abs=1e-5)
    assert np.ptp(values, axis=1).max() < 1e-5
    assert len(np.unique(targets.max(axis=1))) > 4  # each picture has a share of its own


def test_cutmix_pastes_a_box_whose_area_is_the_share_of_the_target() -> None:
    sizes = set()
    for step in range(30):
        x, targets = flat_pictures()
        mixed, targets = mix(x, targets, 0, 1.0, mixing_numbers(0, 0, step))
        for number, (picture, target) in enumerate(zip(mixed, targets, strict=True)):
            pasted = picture[..., 0] != number
            assert target[number] == pytest.approx(1 - pasted.mean(), abs=1e-6)
            if not pasted.any():
                continue
            rows, columns = np.flatnonzero(pasted.any(axis=1)), np.flatnonzero(pasted.any(axis=0))
            box = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert len(np.unique(box)) == 1  # one box of one other picture, all channels
            assert target[int(box[0, 0, 0])] == pytest.approx(pasted.mean(), abs=1e-6)
            sizes.add(box.shape)
    assert len(sizes) > 20


def test_with_both_each_picture_gets_one_of_the_two() -> None:
    x, targets = flat_pictures(64)
    mixed, _ = mix(x, targets, 1.0, 1.0, mixing_numbers(0, 0, 0))
    values = np.array([len(np.unique(picture)) for picture in mixed])
    whole = mixed[:, 0, 0, 0] % 1 != 0
    assert 16 < whole.sum() < 48
    assert 8 < (values == 2).sum() < 48
    assert (values[whole] == 1).all()


def test_the_same_step_mixes_the_same_and_another_does_not() -> None:
    x, targets = flat_pictures()
    first = mix(x, targets, 0.4, 1.0, mixing_numbers(5, 1, 2))[0]
    assert np.array_equal(first, mix(x, targets, 0.4, 1.0, mixing_numbers(5, 1, 2))[0])
    for other in ((5, 1, 3), (5, 2, 2), (6, 1, 2)):
        assert not np.array_equal(first, mix(x, targets, 0.4, 1.0, mixing_numbers(*other))[0])


def test_half_precision_stays_half_precision_and_rows_cannot_be_cut() -> None:
    x, targets = flat_pictures()
    assert mix(x.astype(np.float16), targets, 0.4, 0, mixing_numbers(0, 0, 0))[0].dtype == np.float16
    with pytest.raises(ValueError, match="CutMix needs pictures"):
        mix(np.zeros((8, 5), np.float32), targets, 0, 1.0, mixing_numbers(0, 0, 0))
