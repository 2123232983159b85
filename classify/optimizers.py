"""The optimizers that a classifier can be trained with."""

from __future__ import annotations

from typing import Any

from .config import Optimizer

_MOMENTUM = 0.9
_WEIGHT_DECAY = 0.01
_NOT_DECAYED = ["bias", "gamma", "beta"]


def build_optimizer(name: Optimizer, rate: float) -> Any:
    """A new optimizer whose rate can be set at every step: `optimizer.learning_rate.assign(rate)`.

    Args:
        name: "sgd" with Nesterov's momentum of 0.9 (Sutskever et al., "On the importance of initialization and momentum
            in deep learning", 2013), "adam" (Kingma and Ba, "Adam", 2015), or "adamw", which pulls weights towards 0
            beside it (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019), but neither biases nor
            what normalization learns.
        rate: The learning rate to start with.
    """
    import keras

    if name == "sgd":
        return keras.optimizers.SGD(rate, momentum=_MOMENTUM, nesterov=True)
    if name == "adam":
        return keras.optimizers.Adam(rate)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=_WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer
