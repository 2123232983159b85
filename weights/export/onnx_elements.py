"""ONNX's operations that look at one element at a time, in TensorFlow's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .onnx_values import Given, Options, Value, alike


def elementwise(name: str) -> Callable[[Given, Options], Value]:
    """TensorFlow's function of this name, element by element."""

    def operation(given: Given, _options: Options) -> Value:
        import tensorflow as tf

        tensors, nhwc = alike(given)
        function: Any = tf
        for part in name.split("."):
            function = getattr(function, part)
        return Value(function(*tensors), nhwc)

    return operation


def divide(given: Given, _options: Options) -> Value:
    """A quotient; of whole numbers without what is left."""
    import tensorflow as tf

    tensors, nhwc = alike(given)
    kind = tf.convert_to_tensor(tensors[0]).dtype
    if not kind.is_integer:
        return Value(tf.divide(*tensors), nhwc)
    # Places in a list, which are never negative; TensorFlow Lite divides whole numbers of 32 bits alone.
    narrow = [tf.cast(tensor, tf.int32) for tensor in tensors]
    return Value(tf.cast(narrow[0] // narrow[1], kind), nhwc)


def cast(given: Given, options: Options) -> Value:
    """Other numbers."""
    import tensorflow as tf
    from onnx import helper

    return Value(tf.cast(given[0].tensor, helper.tensor_dtype_to_np_dtype(options["to"])), given[0].nhwc)


def clip(given: Given, options: Options) -> Value:
    """Nothing below one number or above another."""
    import tensorflow as tf

    low, high = options.get("min"), options.get("max")
    if len(given) > 1 and given[1] is not None:
        low = given[1].tensor
    if len(given) > 2 and given[2] is not None:
        high = given[2].tensor
    x = given[0].tensor
    x = x if low is None else tf.maximum(x, low)
    return Value(x if high is None else tf.minimum(x, high), given[0].nhwc)


def leaky(given: Given, options: Options) -> Value:
    """What is negative made smaller."""
    import tensorflow as tf

    return Value(tf.nn.leaky_relu(given[0].tensor, options.get("alpha", 0.01)), given[0].nhwc)
