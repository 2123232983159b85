"""One flat graph of Keras' built-in layers under names that do not depend on what was built before.

`keras.applications` numbers the layers that it does not name, nests some of them in a `Sequential`, uses bare
operations where a layer would do, and has a layer of its own (ConvNeXt's `LayerScale`) that a `.keras` file cannot
bring along. Here a draft built by it is cloned into a graph without any of these; the weights keep their order and
numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# Names that Keras gives by itself: "conv2d_7". The number depends on what was built before.
_KINDS = (
    "activation", "add", "batch_normalization", "conv2d", "convert_to_tensor", "depthwise_conv2d", "dropout",
    "global_average_pooling2d", "layer_normalization", "max_pooling2d", "multiply", "normalization", "re_lu",
    "rescaling", "separable_conv2d", "take", "zero_padding2d",
)  # fmt: skip
_NUMBERED = re.compile(rf"^({'|'.join(_KINDS)})(_\d+)?$")
MOMENTUM = 0.9
"""Of statistics that are learned: with Keras' own 0.99 or 0.999, small data would end before they had arrived."""


def stable_names(names: Iterable[str]) -> dict[str, str]:
    """New names for the layers that Keras numbered: counted from 0 within each kind, in the order of the numbers."""
    numbered: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if match := _NUMBERED.match(name):
            numbered.setdefault(match[1], []).append((int((match[2] or "_0")[1:]), name))
    return {
        name: kind if rank == 0 else f"{kind}_{rank}"
        for kind, members in numbered.items()
        for rank, (_, name) in enumerate(sorted(members))
    }


def flatten(draft: Any, *, learn_statistics: bool) -> Any:
    """A copy of a model, with fresh weights, as a flat graph of built-in layers.

    Args:
        draft: A functional `keras.Model`: a backbone of `keras.applications`, with what comes before and after it.
            Layers whose names begin with "head_" are no part of the backbone.
        learn_statistics: Let BatchNormalization and Dropout of the backbone act as in training while the model is
            trained, and the former learns quickly. If not, BatchNormalization is not trainable, which is how Keras
            keeps its statistics, and Dropout drops nothing. (A `training=False` in the graph would be overridden when
            the model is trained.)
    """
    import keras

    names = stable_names(operation.name for operation in draft.operations)

    def call(operation: Any, *inputs: Any, **options: Any) -> Any:
        if isinstance(operation, keras.Sequential):
            for layer in operation.layers:
                inputs = (call(clone(layer), *inputs),)
            return inputs[0]
        if _does_nothing(operation):
            return inputs[0]
        if not isinstance(operation, keras.layers.Layer):
            return _call_as_layer(operation, *inputs, **options)
        return operation(*inputs, **options)

    def clone(operation: Any) -> Any:
        if isinstance(operation, keras.Sequential):
            return operation
        layer = _built_in(operation, names.get(str(operation.name), str(operation.name)))
        acts = learn_statistics or layer.name.startswith("head_")
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = acts
            if acts:
                layer.momentum = min(layer.momentum, MOMENTUM)
        elif isinstance(layer, keras.layers.Dropout) and not acts:
            layer.rate = 0.0
        return layer

    return keras.models.clone_model(draft, clone_function=clone, call_function=call)


def _built_in(operation: Any, name: str) -> Any:
    """A fresh copy of a layer or operation under this name; where it is not built in, the layer that does the same."""
    import keras

    if type(operation).__name__ == "LayerScale":  # one factor for each channel, as a depthwise 1 x 1 convolution has
        start: Any = keras.initializers.Constant(operation.init_values)
        return keras.layers.DepthwiseConv2D(1, use_bias=False, depthwise_initializer=start, name=name)
    if isinstance(operation, keras.layers.Conv2D) and operation.groups == operation.filters > 1:
        # As many groups as channels; TensorFlow's CPU has no such Conv2D and would have it compiled by XLA.
        start = operation.kernel_initializer
        return keras.layers.DepthwiseConv2D(
            operation.kernel_size, strides=operation.strides, padding=operation.padding, use_bias=operation.use_bias,
            depthwise_initializer=start, name=name,
        )  # fmt: skip
    return operation.__class__.from_config(operation.get_config() | {"name": name})


def _does_nothing(operation: Any) -> bool:
    import keras

    return isinstance(operation, keras.layers.Activation) and operation.activation is keras.activations.linear


def _call_as_layer(operation: Any, *inputs: Any, **options: Any) -> Any:
    """Call a bare operation; sums and products become layers, so that only the choice of channels stays bare."""
    import keras

    kind = type(operation).__name__
    if kind not in {"Add", "Multiply"}:
        return operation(*inputs, **options)
    first, second = inputs
    if not isinstance(second, (int, float)):
        return getattr(keras.layers, kind)(name=operation.name)([first, second])
    scale, offset = (1.0, second) if kind == "Add" else (second, 0.0)
    return keras.layers.Rescaling(scale, offset=offset, name=operation.name)(first)
