"""Targets, and training on mixtures of two pictures: MixUp and CutMix. NumPy alone.

MixUp: Zhang, Cissé, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization" (ICLR 2018), section 2.
CutMix: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features" (ICCV 2019),
equations 1 and 2. Both take the partner from the same batch in another order, as the papers do; other than there, each
picture has a share and a box of its own, which makes small batches more varied.
"""

from __future__ import annotations

import numpy as np

_MIX = 0x6D6978  # keeps these random numbers apart from those of the order


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Class ids int64 `(n,)` as float32 `(n, classes)` with a single 1 in each row."""
    targets = np.zeros((len(labels), classes), np.float32)
    targets[np.arange(len(labels)), labels] = 1
    return targets


def smooth(targets: np.ndarray, share: float) -> np.ndarray:
    """Spread a share, 0..1, of each target over all classes.

    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (CVPR 2016), section 7. This comes after
    mixing, and after the weights of the classes were read from the targets.
    """
    return (targets * (1 - share) + share / targets.shape[1]).astype(np.float32)


def mixing_numbers(seed: int, epoch: int, step: int) -> np.random.Generator:
    """The random numbers for `mix` in one step; the same again when a run is resumed there."""
    return np.random.default_rng((seed, epoch, step, _MIX))


def mix(
    x: np.ndarray, targets: np.ndarray, mixup: float, cutmix: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mix each picture of a batch with another of the same batch, and their targets by the same share.

    Args:
        x: float `(n, h, w, channels)` pictures or feature maps, or `(n, d)` rows of numbers; stays as it is.
        targets: float32 `(n, classes)` whose rows sum to 1.
        mixup: Alpha of MixUp's beta distribution; 0 is off. Typical: 0.2.
        cutmix: Alpha of CutMix's; 0 is off. Typical: 1. With both on, each picture gets one of the two by chance.
        rng: From `mixing_numbers`.

    Returns:
        The mixed inputs with the shape and type of `x`, and float32 targets. With CutMix a target's share is the area
        that is really pasted, after the box was cut off at the border.

    Raises:
        ValueError: CutMix for rows of numbers, which have no places that could be cut.
    """
    if cutmix and x.ndim != 4:
        raise ValueError(f"CutMix needs pictures or feature maps (n, h, w, channels), not an array of shape {x.shape}")
    if not (mixup or cutmix) or len(x) < 2:
        return x, targets
    partner = _partners(len(x), rng)
    cut = rng.random(len(x)) < 0.5 if mixup and cutmix else np.full(len(x), bool(cutmix))
    kept = np.ones(len(x))
    mixed = x.copy()
    if not cut.all():
        kept[~cut] = rng.beta(mixup, mixup, int((~cut).sum()))
        share = kept[~cut].reshape(-1, *(1,) * (x.ndim - 1)).astype(np.float32)
        mixed[~cut] = share * x[~cut] + (1 - share) * x[partner[~cut]]
    height, width = x.shape[1:3] if cut.any() else (0, 0)
    for index in np.flatnonzero(cut).tolist():
        rows, columns = _box(height, width, rng.beta(cutmix, cutmix), rng)
        mixed[index, rows, columns] = x[partner[index], rows, columns]
        pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
        kept[index] = 1 - pasted / (height * width)
    share = kept[:, None].astype(np.float32)
    return mixed, (share * targets + (1 - share) * targets[partner]).astype(np.float32)


def _partners(count: int, rng: np.random.Generator) -> np.ndarray:
    """Another picture for each: one round through all of them in random order, so that none meets itself."""
    order = rng.permutation(count)
    partner = np.empty(count, np.int64)
    partner[order] = np.roll(order, 1)
    return partner


def _box(height: int, width: int, kept: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """A box with the sides `side * sqrt(1 - kept)` around a centre anywhere, cut off at the border."""
    scale = np.sqrt(1 - kept)
    tall, wide = int(height * scale), int(width * scale)
    y, x = int(rng.integers(height)), int(rng.integers(width))
    top, left = max(y - tall // 2, 0), max(x - wide // 2, 0)
    return slice(top, min(y - tall // 2 + tall, height)), slice(left, min(x - wide // 2 + wide, width))
