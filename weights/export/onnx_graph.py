"""An ONNX graph as TensorFlow operations, for the networks that detectors and our classifiers are made of.

Pictures flow as TensorFlow likes them: where ONNX has (n, c, h, w), a value may be held as (n, h, w, c) until a node asks
for ONNX's order, so that a network of convolutions needs hardly any transposition.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...core.errors import LensmithError
from .onnx import names_for_nodes, tail

TAIL = "lensmith_tail"
_TO_NHWC, _TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
_AXIS_IN_NHWC = {0: 0, 1: 3, 2: 1, 3: 2}


class _Value(NamedTuple):
    """A tensor, and whether it is held as (n, h, w, c) where ONNX has (n, c, h, w)."""

    tensor: Any
    nhwc: bool = False


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

        model = onnx.load(str(path))
        for axis, side in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
            axis.ClearField("dim_param")
            axis.dim_value = side
        model = onnxslim.slim(model)
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

        values: dict[str, _Value] = {self._input: _Value(pictures)}
        values |= {name: _Value(array) for name, array in self._constants.items()}
        for node in self._nodes:
            given = [values[name] if name else None for name in node.input]
            options = {one.name: helper.get_attribute_value(one) for one in node.attribute}
            with tf.name_scope(TAIL if node.name in self._tail else "lensmith_body"):
                made = _OPERATIONS[node.op_type](given, options)
            for name, value in zip(node.output, made if isinstance(made, list) else [made], strict=False):
                values[name] = value
        return tf.cast(_plain(values[self._output]), tf.float32)


_Given = list[Any]
_Options = dict[str, Any]


def _plain(value: _Value) -> Any:
    """The tensor in ONNX's order."""
    import tensorflow as tf

    return tf.transpose(value.tensor, _TO_NCHW) if value.nhwc else value.tensor


def _spatial(value: _Value) -> Any:
    """The tensor as (n, h, w, c)."""
    import tensorflow as tf

    return value.tensor if value.nhwc else tf.transpose(value.tensor, _TO_NHWC)


def _rank(value: _Value) -> int:
    return len(value.tensor.shape)


def _axis(value: _Value, axis: int) -> int:
    """Where ONNX's axis lies in the tensor as it is held."""
    axis %= _rank(value)
    return _AXIS_IN_NHWC[axis] if value.nhwc else axis


def _alike(given: _Given) -> tuple[list[Any], bool]:
    """Tensors for an operation element by element, all held in one order."""
    if not any(value.nhwc for value in given):
        return [value.tensor for value in given], False
    tensors = []
    for value in given:
        if value.nhwc or _rank(value) == 0:
            tensors.append(value.tensor)
        elif isinstance(value.tensor, np.ndarray) and _rank(value) <= 4:
            full = value.tensor.reshape((1,) * (4 - _rank(value)) + value.tensor.shape)
            tensors.append(full.transpose(_TO_NHWC))
        elif _rank(value) == 4:
            tensors.append(_spatial(value))
        else:
            return [_plain(one) for one in given], False
    return tensors, True


def _elementwise(name: str) -> Callable[[_Given, _Options], _Value]:
    def operation(given: _Given, _options: _Options) -> _Value:
        import tensorflow as tf

        tensors, nhwc = _alike(given)
        function = tf
        for part in name.split("."):
            function = getattr(function, part)
        return _Value(function(*tensors), nhwc)

    return operation


def _cast(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf
    from onnx import helper

    return _Value(tf.cast(given[0].tensor, helper.tensor_dtype_to_np_dtype(options["to"])), given[0].nhwc)


def _conv(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    kernel = _plain(given[1])
    if len(kernel.shape) != 4:
        raise LensmithError("The network convolves other things than pictures.")
    x, group = _spatial(given[0]), options.get("group", 1)
    sides = [int(side) for side in kernel.shape[2:]]
    strides, dilations = options.get("strides", [1, 1]), options.get("dilations", [1, 1])
    padding = _padding(options, sides, strides, dilations, [int(side) for side in x.shape[1:3]])
    if group > 1 and group == x.shape[-1]:
        each = int(kernel.shape[0]) // group
        depthwise = np.asarray(kernel).reshape(group, each, *sides).transpose(2, 3, 0, 1)
        if strides[0] != strides[1]:
            raise LensmithError("The network has a depthwise convolution with two strides.")
        x, how = _padded(x, padding, sides, strides, dilations)
        found = tf.nn.depthwise_conv2d(x, depthwise, [1, *strides, 1], how, dilations=dilations)
    else:
        x, how = _padded(x, padding, sides, strides, dilations)
        found = tf.nn.conv2d(x, np.asarray(kernel).transpose(2, 3, 1, 0), strides, how, dilations=dilations)
    return _Value(found if len(given) < 3 or given[2] is None else tf.nn.bias_add(found, given[2].tensor), nhwc=True)


def _conv_transpose(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    x, kernel = _spatial(given[0]), np.asarray(given[1].tensor)
    strides, pads = options.get("strides", [1, 1]), options.get("pads", [0, 0, 0, 0])
    if options.get("group", 1) != 1 or any(options.get("output_padding", [0])) or any(pads):
        raise LensmithError("The network has a transposed convolution of a kind that is not known here.")
    sides = [(int(n) - 1) * s + k for n, s, k in zip(x.shape[1:3], strides, kernel.shape[2:], strict=True)]
    shape = [int(x.shape[0]), *sides, kernel.shape[1]]
    found = tf.nn.conv2d_transpose(x, kernel.transpose(2, 3, 1, 0), shape, strides, "VALID")
    return _Value(found if len(given) < 3 else tf.nn.bias_add(found, given[2].tensor), nhwc=True)


def _padding(
    options: _Options, sides: list[int], strides: list[int], dilations: list[int], given: list[int]
) -> list[tuple[int, int]]:
    """Pixels before and after, for height and width."""
    auto = options.get("auto_pad", b"NOTSET").decode()
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = []
        for side, stride, dilation, length in zip(sides, strides, dilations, given, strict=True):
            whole = max((-(-length // stride) - 1) * stride + (side - 1) * dilation + 1 - length, 0)
            less, more = whole // 2, whole - whole // 2
            wanted.append((less, more) if auto == "SAME_UPPER" else (more, less))
        return wanted
    top, left, bottom, right = options.get("pads", [0, 0, 0, 0])
    return [(top, bottom), (left, right)]


def _padded(
    x: Any, padding: list[tuple[int, int]], sides: list[int], strides: list[int], dilations: list[int], fill: float = 0
) -> tuple[Any, str]:
    """The input with its margin, and TensorFlow's word for the rest: SAME where that margin is just this one."""
    import tensorflow as tf

    same = _padding(
        {"auto_pad": b"SAME_UPPER"}, sides, strides, dilations, [int(side) for side in x.shape[1:3]]
    )  # fmt: skip
    if padding == same:
        return x, "SAME"
    if any(value for pair in padding for value in pair):
        x = tf.pad(x, [(0, 0), *padding, (0, 0)], constant_values=fill)
    return x, "VALID"


def _pool(kind: str) -> Callable[[_Given, _Options], _Value]:
    def operation(given: _Given, options: _Options) -> _Value:
        import tensorflow as tf

        x = _spatial(given[0])
        sides = options["kernel_shape"]
        strides, none = options.get("strides", [1, 1]), [1, 1]
        padding = _padding(options, sides, strides, none, [int(side) for side in x.shape[1:3]])
        if options.get("ceil_mode"):
            padding = [
                (before, after + (-(int(length) + before + after - side) % stride))
                for (before, after), length, side, stride in zip(padding, x.shape[1:3], sides, strides, strict=True)
            ]
        if kind == "MAX":
            x, how = _padded(x, padding, sides, strides, none, fill=float(np.finfo(np.float32).min))
        elif any(value for pair in padding for value in pair):
            raise LensmithError("The network averages over a margin, which is not known here.")
        else:
            how = "VALID"
        return _Value(tf.nn.pool(x, sides, kind, strides, how), nhwc=True)

    return operation


def _global_average(given: _Given, _options: _Options) -> _Value:
    import tensorflow as tf

    return _Value(tf.reduce_mean(_spatial(given[0]), axis=[1, 2], keepdims=True), nhwc=True)


def _resize(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    x = _spatial(given[0])
    if options.get("mode", b"nearest") != b"nearest" or options.get("coordinate_transformation_mode") != b"asymmetric":
        raise LensmithError("The network enlarges its maps in a way that is not known here.")
    if len(given) > 3 and given[3] is not None:
        sides = [int(side) for side in np.asarray(given[3].tensor)[2:]]
    else:
        scales = np.asarray(given[2].tensor)[2:]
        sides = [round(int(side) * float(scale)) for side, scale in zip(x.shape[1:3], scales, strict=True)]
    return _Value(tf.image.resize(x, sides, method="nearest"), nhwc=True)


def _concat(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    tensors, nhwc = _alike(given)
    return _Value(tf.concat(tensors, _axis(_Value(tensors[0], nhwc), options["axis"])), nhwc)


def _split(given: _Given, options: _Options) -> list[_Value]:
    import tensorflow as tf

    value, axis = given[0], _axis(given[0], options.get("axis", 0))
    if len(given) > 1 and given[1] is not None:
        parts = np.asarray(given[1].tensor).tolist()
    else:
        parts = int(options["num_outputs"])
    return [_Value(part, value.nhwc) for part in tf.split(value.tensor, parts, axis)]


def _reshape(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    x, wanted = _plain(given[0]), np.asarray(given[1].tensor).tolist()
    if not options.get("allowzero"):
        wanted = [int(x.shape[place]) if side == 0 else side for place, side in enumerate(wanted)]
    return _Value(tf.reshape(x, wanted))


def _transpose(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    order = tuple(options.get("perm", range(_rank(given[0]))[::-1]))
    if not given[0].nhwc and order == _TO_NCHW:
        return _Value(given[0].tensor, nhwc=True)
    if given[0].nhwc and order == _TO_NHWC:
        return _Value(given[0].tensor)
    return _Value(tf.transpose(_plain(given[0]), order))


def _softmax(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    value = given[0]
    return _Value(tf.nn.softmax(value.tensor, axis=_axis(value, options.get("axis", -1))), value.nhwc)


def _slice(given: _Given, _options: _Options) -> _Value:
    value = given[0]
    starts, ends = (np.asarray(one.tensor).tolist() for one in given[1:3])
    axes = np.asarray(given[3].tensor).tolist() if len(given) > 3 and given[3] else list(range(len(starts)))
    steps = np.asarray(given[4].tensor).tolist() if len(given) > 4 and given[4] else [1] * len(starts)
    spots = [slice(None)] * _rank(value)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = _axis(value, axis)
        length = int(value.tensor.shape[place])
        ending = None if (step > 0 and end >= length) or (step < 0 and end < -length) else end
        spots[place] = slice(start if -length <= start < length else None, ending, step)
    return _Value(value.tensor[tuple(spots)], value.nhwc)


def _gather(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    value, indices = given[0], given[1].tensor
    axis = options.get("axis", 0) % _rank(value)
    if not isinstance(value.tensor, np.ndarray) and isinstance(indices, np.ndarray):
        place, length = _axis(value, axis), int(value.tensor.shape[_axis(value, axis)])
        if indices.ndim == 1 and indices.tolist() == list(range(length))[::-1]:  # the colour order
            turned = tuple(slice(None, None, -1) if at == place else slice(None) for at in range(_rank(value)))
            return _Value(value.tensor[turned], value.nhwc)
    return _Value(tf.gather(_plain(value), indices, axis=axis))


def _gather_elements(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    x, indices = _plain(given[0]), tf.cast(_plain(given[1]), tf.int32)
    axis = options.get("axis", 0) % len(x.shape)
    # `take_along_axis` by hand: all other places are those of the result itself.
    grid = list(tf.meshgrid(*(tf.range(int(side)) for side in indices.shape), indexing="ij"))
    grid[axis] = indices
    return _Value(tf.gather_nd(x, tf.stack(grid, -1)))


def _matmul(given: _Given, _options: _Options) -> _Value:
    import tensorflow as tf

    return _Value(tf.matmul(_plain(given[0]), _plain(given[1])))


def _gemm(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    product = tf.matmul(
        _plain(given[0]), _plain(given[1]),
        transpose_a=bool(options.get("transA")), transpose_b=bool(options.get("transB")),
    )  # fmt: skip
    product = product * options.get("alpha", 1.0)
    return _Value(product if len(given) < 3 else product + options.get("beta", 1.0) * given[2].tensor)


def _top(given: _Given, options: _Options) -> list[_Value]:
    import tensorflow as tf

    x = _plain(given[0])
    if options.get("axis", -1) % len(x.shape) != len(x.shape) - 1 or not options.get("largest", 1):
        raise LensmithError("The network looks for its best answers in a way that is not known here.")
    found = tf.math.top_k(x, int(np.asarray(given[1].tensor).item()))
    return [_Value(found.values), _Value(found.indices)]


def _reduce(name: str) -> Callable[[_Given, _Options], _Value]:
    def operation(given: _Given, options: _Options) -> _Value:
        import tensorflow as tf

        x = _plain(given[0])
        axes = options.get("axes")
        if axes is None and len(given) > 1 and given[1] is not None:
            axes = np.asarray(given[1].tensor).tolist()
        return _Value(getattr(tf, name)(x, axis=axes, keepdims=bool(options.get("keepdims", 1))))

    return operation


def _squeeze(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    axes = np.asarray(given[1].tensor).tolist() if len(given) > 1 else options.get("axes")
    return _Value(tf.squeeze(_plain(given[0]), axis=axes))


def _unsqueeze(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    axes = np.asarray(given[1].tensor).tolist() if len(given) > 1 else options["axes"]
    x = _plain(given[0])
    rank = len(x.shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = tf.expand_dims(x, axis)
    return _Value(x)


def _clip(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    low, high = options.get("min"), options.get("max")
    if len(given) > 1 and given[1] is not None:
        low = given[1].tensor
    if len(given) > 2 and given[2] is not None:
        high = given[2].tensor
    x = given[0].tensor
    x = x if low is None else tf.maximum(x, low)
    return _Value(x if high is None else tf.minimum(x, high), given[0].nhwc)


def _leaky(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    return _Value(tf.nn.leaky_relu(given[0].tensor, options.get("alpha", 0.01)), given[0].nhwc)


def _batch_norm(given: _Given, options: _Options) -> _Value:
    scale, offset, mean, variance = (np.asarray(one.tensor, np.float32) for one in given[1:5])
    factor = scale / np.sqrt(variance + options.get("epsilon", 1e-5))
    x, nhwc = (given[0].tensor, False) if _rank(given[0]) == 2 else (_spatial(given[0]), True)
    return _Value(x * factor + (offset - mean * factor), nhwc)


def _layer_norm(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    x = _plain(given[0])
    axes = list(range(options.get("axis", -1) % len(x.shape), len(x.shape)))
    mean, variance = tf.nn.moments(x, axes, keepdims=True)
    found = (x - mean) * tf.math.rsqrt(variance + options.get("epsilon", 1e-5)) * given[1].tensor
    return _Value(found if len(given) < 3 or given[2] is None else found + given[2].tensor)


def _pad(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    pads = np.asarray(given[1].tensor).tolist()
    half = len(pads) // 2
    pairs = [(pads[place], pads[place + half]) for place in range(half)]
    if options.get("mode", b"constant") != b"constant" or min(pads) < 0:
        raise LensmithError("The network puts a margin around its maps in a way that is not known here.")
    fill = float(np.asarray(given[2].tensor).item()) if len(given) > 2 and given[2] is not None else 0.0
    value = given[0]
    if value.nhwc:
        pairs = [pairs[place] for place in _TO_NHWC]
    return _Value(tf.pad(value.tensor, pairs, constant_values=fill), value.nhwc)


def _expand(given: _Given, _options: _Options) -> _Value:
    import tensorflow as tf

    x, wanted = _plain(given[0]), np.asarray(given[1].tensor).tolist()
    return _Value(x + tf.zeros(wanted, x.dtype)) if x.dtype != tf.bool else _Value(tf.broadcast_to(x, wanted))


def _tile(given: _Given, _options: _Options) -> _Value:
    import tensorflow as tf

    return _Value(tf.tile(_plain(given[0]), np.asarray(given[1].tensor).tolist()))


def _flatten(given: _Given, options: _Options) -> _Value:
    import tensorflow as tf

    x, axis = _plain(given[0]), options.get("axis", 1)
    return _Value(tf.reshape(x, [int(np.prod(x.shape[:axis])), -1]))


def _same(given: _Given, _options: _Options) -> _Value:
    return given[0]


_OPERATIONS: dict[str, Callable[[_Given, _Options], Any]] = {
    **{
        name: _elementwise(function)
        for name, function in {
            "Abs": "abs", "Add": "add", "And": "logical_and", "Cos": "cos", "Div": "divide", "Equal": "equal", "Erf":
            "math.erf", "Exp": "exp", "Floor": "floor", "Greater": "greater", "GreaterOrEqual": "greater_equal",
            "Less": "less", "Log": "math.log", "Max": "maximum", "Min": "minimum", "Mul": "multiply", "Neg": "negative",
            "Not": "logical_not", "Pow": "pow", "Reciprocal": "math.reciprocal", "Relu": "nn.relu", "Sigmoid":
            "sigmoid", "Sin": "sin", "Softplus": "math.softplus", "Sqrt": "sqrt", "Sub": "subtract", "Tanh": "tanh",
            "Where": "where", "Mod": "math.floormod",
        }.items()
    },
    "AveragePool": _pool("AVG"), "BatchNormalization": _batch_norm, "Cast": _cast, "Clip": _clip, "Concat": _concat,
    "Conv": _conv, "ConvTranspose": _conv_transpose, "Dropout": _same, "Expand": _expand, "Flatten": _flatten,
    "Gather": _gather, "GatherElements": _gather_elements, "Gemm": _gemm, "GlobalAveragePool": _global_average,
    "Identity": _same, "LayerNormalization": _layer_norm, "LeakyRelu": _leaky, "MatMul": _matmul,
    "MaxPool": _pool("MAX"), "Pad": _pad, "ReduceMax": _reduce("reduce_max"), "ReduceMean": _reduce("reduce_mean"),
    "ReduceSum": _reduce("reduce_sum"), "Reshape": _reshape, "Resize": _resize, "Slice": _slice, "Softmax": _softmax,
    "Split": _split, "Squeeze": _squeeze, "Tile": _tile, "TopK": _top, "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}  # fmt: skip
