"""Tensors on their way through an ONNX graph in TensorFlow: in ONNX's order, or pictures as TensorFlow likes them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Given = list[Any]
Options = dict[str, Any]
TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
_AXIS_IN_NHWC = {0: 0, 1: 3, 2: 1, 3: 2}


class Value(NamedTuple):
    """A tensor, and whether it is held as (n, h, w, c) where ONNX has (n, c, h, w)."""

    tensor: Any
    nhwc: bool = False


def plain(value: Value) -> Any:
    """The tensor in ONNX's order."""
    import tensorflow as tf

    return tf.transpose(value.tensor, TO_NCHW) if value.nhwc else value.tensor


def spatial(value: Value) -> Any:
    """The tensor as (n, h, w, c)."""
    import tensorflow as tf

    return value.tensor if value.nhwc else tf.transpose(value.tensor, TO_NHWC)


def rank(value: Value) -> int:
    """How many axes it has."""
    return len(value.tensor.shape)


def axis_of(value: Value, axis: int) -> int:
    """Where ONNX's axis lies in the tensor as it is held."""
    axis %= rank(value)
    return _AXIS_IN_NHWC[axis] if value.nhwc else axis


def alike(given: Given) -> tuple[list[Any], bool]:
    """Tensors for an operation element by element, all held in one order."""
    if not any(value.nhwc for value in given):
        return [value.tensor for value in given], False
    tensors = []
    for value in given:
        if value.nhwc or rank(value) == 0:
            tensors.append(value.tensor)
        elif isinstance(value.tensor, np.ndarray) and rank(value) <= 4:
            full = value.tensor.reshape((1,) * (4 - rank(value)) + value.tensor.shape)
            tensors.append(full.transpose(TO_NHWC))
        elif rank(value) == 4:
            tensors.append(spatial(value))
        else:
            return [plain(one) for one in given], False
    return tensors, True
