"""An ONNX graph as TensorFlow operations, for the networks that detectors and our classifiers are made of.

Pictures flow as TensorFlow likes them: where ONNX has (n, c, h, w), a value may be held as (n, h, w, c) until a node
asks for ONNX's order, so that a network of convolutions needs hardly any transposition.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import LensmithError
from .onnx_elements import cast, clip, divide, elementwise, leaky
from .onnx_pictures import conv, conv_transpose, global_average, grid_sample, pool, resize
from .onnx_values import TO_NCHW, TO_NHWC, Given, Options, Value, alike, axis_of, plain, rank, spatial
from .to_onnx import names_for_nodes, tail

TAIL = "lensmith_tail"


class OnnxGraph:
    """Calls like a function: uint8 BGR pictures in, the graph's first output as float32 out.

    Args:
        path: An ONNX file with one input and operations that are known here.
        shape: Of its input, fixed: what depends on shapes is computed once, here.

    Raises:
        LensmithError: it has an operation that is not known here; all of them are named.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int, int]) -> None:
        import onnx
        import onnxslim
        from onnx import numpy_helper

        model: Any = onnx.load(str(path))
        for axis, side in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
            axis.ClearField("dim_param")
            axis.dim_value = side
        slim: Any = onnxslim.slim
        model = slim(model)
        names_for_nodes(model)
        self._nodes = list(model.graph.node)
        self._tail = tail(model)
        self._input, self._output = model.graph.input[0].name, model.graph.output[0].name
        self._constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
        strange = sorted({node.op_type for node in self._nodes} - set(_OPERATIONS))
        if strange:
            raise LensmithError(
                f"The network has operations that are not known in TensorFlow's words here: {', '.join(strange)}.",
                next_step="choose another format: --to onnx and --to openvino take every network",
            )

    def __call__(self, pictures: Any) -> Any:
        """Build the operations on these pictures."""
        import tensorflow as tf
        from onnx import helper

        values: dict[str, Value] = {self._input: Value(pictures)}
        values |= {name: Value(array) for name, array in self._constants.items()}
        for node in self._nodes:
            given = [values[name] if name else None for name in node.input]
            options = {one.name: helper.get_attribute_value(one) for one in node.attribute}
            with tf.name_scope(TAIL if node.name in self._tail else "lensmith_body"):
                made = _OPERATIONS[node.op_type](given, options)
            for name, value in zip(node.output, made if isinstance(made, list) else [made], strict=False):
                values[name] = value
        return tf.cast(plain(values[self._output]), tf.float32)


def _concat(given: Given, options: Options) -> Value:
    import tensorflow as tf

    tensors, nhwc = alike(given)
    return Value(tf.concat(tensors, axis_of(Value(tensors[0], nhwc), options["axis"])), nhwc)


def _split(given: Given, options: Options) -> list[Value]:
    import tensorflow as tf

    value, axis = given[0], axis_of(given[0], options.get("axis", 0))
    if len(given) > 1 and given[1] is not None:
        parts = np.asarray(given[1].tensor).tolist()
    else:
        parts = int(options["num_outputs"])
    return [Value(part, value.nhwc) for part in tf.split(value.tensor, parts, axis)]


def _reshape(given: Given, options: Options) -> Value:
    import tensorflow as tf

    x, wanted = plain(given[0]), np.asarray(given[1].tensor).tolist()
    if not options.get("allowzero"):
        wanted = [int(x.shape[place]) if side == 0 else side for place, side in enumerate(wanted)]
    return Value(tf.reshape(x, wanted))


def _transpose(given: Given, options: Options) -> Value:
    import tensorflow as tf

    order = tuple(options.get("perm", range(rank(given[0]))[::-1]))
    if not given[0].nhwc and order == TO_NCHW:
        return Value(given[0].tensor, nhwc=True)
    if given[0].nhwc and order == TO_NHWC:
        return Value(given[0].tensor)
    return Value(tf.transpose(plain(given[0]), order))


def _softmax(given: Given, options: Options) -> Value:
    import tensorflow as tf

    value = given[0]
    return Value(tf.nn.softmax(value.tensor, axis=axis_of(value, options.get("axis", -1))), value.nhwc)


def _slice(given: Given, _options: Options) -> Value:
    value = given[0]
    starts, ends = (np.asarray(one.tensor).tolist() for one in given[1:3])
    axes = np.asarray(given[3].tensor).tolist() if len(given) > 3 and given[3] else list(range(len(starts)))
    steps = np.asarray(given[4].tensor).tolist() if len(given) > 4 and given[4] else [1] * len(starts)
    spots = [slice(None)] * rank(value)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = axis_of(value, axis)
        length = int(value.tensor.shape[place])
        ending = None if (step > 0 and end >= length) or (step < 0 and end < -length) else end
        spots[place] = slice(start if -length <= start < length else None, ending, step)
    return Value(value.tensor[tuple(spots)], value.nhwc)


def _gather(given: Given, options: Options) -> Value:
    import tensorflow as tf

    value, indices = given[0], given[1].tensor
    axis = options.get("axis", 0) % rank(value)
    if not isinstance(value.tensor, np.ndarray) and isinstance(indices, np.ndarray):
        place, length = axis_of(value, axis), int(value.tensor.shape[axis_of(value, axis)])
        if indices.ndim == 1 and indices.tolist() == list(range(length))[::-1]:  # the colour order
            turned = tuple(slice(None, None, -1) if at == place else slice(None) for at in range(rank(value)))
            return Value(value.tensor[turned], value.nhwc)
    return Value(tf.gather(plain(value), indices, axis=axis))


def _gather_elements(given: Given, options: Options) -> Value:
    import tensorflow as tf

    x, indices = plain(given[0]), tf.cast(plain(given[1]), tf.int32)
    axis = options.get("axis", 0) % len(x.shape)
    # `take_along_axis` by hand: all other places are those of the result itself.
    grid = list(tf.meshgrid(*(tf.range(int(side)) for side in indices.shape), indexing="ij"))
    grid[axis] = indices
    return Value(tf.gather_nd(x, tf.stack(grid, -1)))


def _matmul(given: Given, _options: Options) -> Value:
    import tensorflow as tf

    return Value(tf.matmul(plain(given[0]), plain(given[1])))


def _gemm(given: Given, options: Options) -> Value:
    import tensorflow as tf

    product = tf.matmul(
        plain(given[0]), plain(given[1]),
        transpose_a=bool(options.get("transA")), transpose_b=bool(options.get("transB")),
    )  # fmt: skip
    product = product * options.get("alpha", 1.0)
    return Value(product if len(given) < 3 else product + options.get("beta", 1.0) * given[2].tensor)


def _top(given: Given, options: Options) -> list[Value]:
    import tensorflow as tf

    x = plain(given[0])
    if options.get("axis", -1) % len(x.shape) != len(x.shape) - 1 or not options.get("largest", 1):
        raise LensmithError("The network looks for its best answers in a way that is not known here.")
    found = tf.math.top_k(x, int(np.asarray(given[1].tensor).item()))
    return [Value(found.values), Value(tf.cast(found.indices, tf.int64))]


def _reduce(name: str) -> Callable[[Given, Options], Value]:
    def operation(given: Given, options: Options) -> Value:
        import tensorflow as tf

        x = plain(given[0])
        axes = options.get("axes")
        if axes is None and len(given) > 1 and given[1] is not None:
            axes = np.asarray(given[1].tensor).tolist()
        return Value(getattr(tf, name)(x, axis=axes, keepdims=bool(options.get("keepdims", 1))))

    return operation


def _squeeze(given: Given, options: Options) -> Value:
    import tensorflow as tf

    axes = np.asarray(given[1].tensor).tolist() if len(given) > 1 else options.get("axes")
    return Value(tf.squeeze(plain(given[0]), axis=axes))


def _unsqueeze(given: Given, options: Options) -> Value:
    import tensorflow as tf

    axes = np.asarray(given[1].tensor).tolist() if len(given) > 1 else options["axes"]
    x = plain(given[0])
    rank = len(x.shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = tf.expand_dims(x, axis)
    return Value(x)


def _batch_norm(given: Given, options: Options) -> Value:
    scale, offset, mean, variance = (np.asarray(one.tensor, np.float32) for one in given[1:5])
    factor = scale / np.sqrt(variance + options.get("epsilon", 1e-5))
    x, nhwc = (given[0].tensor, False) if rank(given[0]) == 2 else (spatial(given[0]), True)
    return Value(x * factor + (offset - mean * factor), nhwc)


def _layer_norm(given: Given, options: Options) -> Value:
    import tensorflow as tf

    x = plain(given[0])
    axes = list(range(options.get("axis", -1) % len(x.shape), len(x.shape)))
    mean, variance = tf.nn.moments(x, axes, keepdims=True)
    found = (x - mean) * tf.math.rsqrt(variance + options.get("epsilon", 1e-5)) * given[1].tensor
    return Value(found if len(given) < 3 or given[2] is None else found + given[2].tensor)


def _pad(given: Given, options: Options) -> Value:
    import tensorflow as tf

    pads = np.asarray(given[1].tensor).tolist()
    half = len(pads) // 2
    pairs = [(pads[place], pads[place + half]) for place in range(half)]
    if options.get("mode", b"constant") != b"constant" or min(pads) < 0:
        raise LensmithError("The network puts a margin around its maps in a way that is not known here.")
    fill = float(np.asarray(given[2].tensor).item()) if len(given) > 2 and given[2] is not None else 0.0
    value = given[0]
    if value.nhwc:
        pairs = [pairs[place] for place in TO_NHWC]
    return Value(tf.pad(value.tensor, pairs, constant_values=fill), value.nhwc)


def _expand(given: Given, _options: Options) -> Value:
    import tensorflow as tf

    x, wanted = plain(given[0]), np.asarray(given[1].tensor).tolist()
    return Value(x + tf.zeros(wanted, x.dtype)) if x.dtype != tf.bool else Value(tf.broadcast_to(x, wanted))


def _tile(given: Given, _options: Options) -> Value:
    import tensorflow as tf

    return Value(tf.tile(plain(given[0]), np.asarray(given[1].tensor).tolist()))


def _flatten(given: Given, options: Options) -> Value:
    import tensorflow as tf

    x, axis = plain(given[0]), options.get("axis", 1)
    return Value(tf.reshape(x, [int(np.prod(x.shape[:axis])), -1]))


def _same(given: Given, _options: Options) -> Value:
    return given[0]


_OPERATIONS: dict[str, Callable[[Given, Options], Any]] = {
    **{
        name: elementwise(function)
        for name, function in {
            "Abs": "abs", "Add": "add", "And": "logical_and", "Cos": "cos", "Equal": "equal", "Erf":
            "math.erf", "Exp": "exp", "Floor": "floor", "Greater": "greater", "GreaterOrEqual": "greater_equal",
            "Less": "less", "Log": "math.log", "Max": "maximum", "Min": "minimum", "Mul": "multiply", "Neg": "negative",
            "Not": "logical_not", "Pow": "pow", "Reciprocal": "math.reciprocal", "Relu": "nn.relu", "Sigmoid":
            "sigmoid", "Sin": "sin", "Softplus": "math.softplus", "Sqrt": "sqrt", "Sub": "subtract", "Tanh": "tanh",
            "Where": "where", "Xor": "math.logical_xor", "Mod": "math.floormod",
        }.items()
    },
    "AveragePool": pool("AVG"), "BatchNormalization": _batch_norm, "Cast": cast, "Clip": clip, "Concat": _concat,
    "Conv": conv, "ConvTranspose": conv_transpose, "Div": divide, "Dropout": _same, "Expand": _expand,
    "Flatten": _flatten, "Gather": _gather, "GatherElements": _gather_elements, "Gemm": _gemm,
    "GlobalAveragePool": global_average, "GridSample": grid_sample, "Identity": _same,
    "LayerNormalization": _layer_norm, "LeakyRelu": leaky, "MatMul": _matmul, "MaxPool": pool("MAX"), "Pad": _pad,
    "ReduceMax": _reduce("reduce_max"), "ReduceMean": _reduce("reduce_mean"), "ReduceSum": _reduce("reduce_sum"),
    "Reshape": _reshape, "Resize": resize, "Slice": _slice, "Softmax": _softmax, "Split": _split, "Squeeze": _squeeze,
    "Tile": _tile, "TopK": _top, "Transpose": _transpose, "Unsqueeze": _unsqueeze,
}  # fmt: skip
