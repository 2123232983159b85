"""Which layers learn, and proof that the others were left alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..weights.architecture import HEAD_NORM, base_layers


def freeze(model: Any, unfreeze_from: str | None, *, learn_statistics: bool = False) -> None:
    """Let the head learn, and of the backbone what comes from this layer on.

    The head's own normalization keeps what `standardize` gave it.

    Args:
        model: From `weights.architecture.build_classifier`.
        unfreeze_from: First layer of the backbone that learns; None freezes all of it.
        learn_statistics: Let BatchNormalization learn as well; it is built for that where a backbone starts from random
            weights. Otherwise it keeps the statistics it has and what it scales by.
    """
    import keras

    layers = base_layers(model)
    names = [layer.name for layer in layers]
    first = len(layers) if unfreeze_from is None else names.index(unfreeze_from)
    for number, layer in enumerate(layers):
        spared = isinstance(layer, keras.layers.BatchNormalization) and not learn_statistics
        layer.trainable = number >= first and not spared
    for layer in model.layers:
        if layer.name == HEAD_NORM:
            layer.trainable = False


def statistics_of(model: Any) -> dict[str, np.ndarray]:
    """Means and variances of every BatchNormalization of a model's backbone, by layer."""
    import keras

    return {
        f"{layer.name}/{weight.name}": np.array(keras.ops.convert_to_numpy(weight))
        for layer in base_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.non_trainable_weights
        if weight.name in {"moving_mean", "moving_variance"}
    }


def need_same_statistics(model: Any, before: dict[str, np.ndarray]) -> None:
    """Compare with what `statistics_of` gave before a stage.

    Raises:
        RuntimeError: training changed them, which is a fault of ours: the backbone's own numbers are worth keeping.
    """
    after = statistics_of(model)
    changed = [name for name, value in before.items() if not np.array_equal(value, after[name])]
    if changed:
        raise RuntimeError(f"training changed the statistics of {len(changed)} frozen layers, {changed[0]} among them")
