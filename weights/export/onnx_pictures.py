"""ONNX's operations on pictures and maps of features, in TensorFlow's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ...core.errors import LensmithError
from .onnx_values import Given, Options, Value, plain, spatial


def conv(given: Given, options: Options) -> Value:
    """A convolution of pictures, with groups as deep as the picture or any other."""
    import tensorflow as tf

    kernel = plain(given[1])
    if len(kernel.shape) != 4:
        raise LensmithError("The network convolves other things than pictures.")
    x, group = spatial(given[0]), options.get("group", 1)
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
    return Value(found if len(given) < 3 or given[2] is None else tf.nn.bias_add(found, given[2].tensor), nhwc=True)


def conv_transpose(given: Given, options: Options) -> Value:
    """A convolution that enlarges, without margins."""
    import tensorflow as tf

    x, kernel = spatial(given[0]), np.asarray(given[1].tensor)
    strides, pads = options.get("strides", [1, 1]), options.get("pads", [0, 0, 0, 0])
    if options.get("group", 1) != 1 or any(options.get("output_padding", [0])) or any(pads):
        raise LensmithError("The network has a transposed convolution of a kind that is not known here.")
    sides = [(int(n) - 1) * s + k for n, s, k in zip(x.shape[1:3], strides, kernel.shape[2:], strict=True)]
    shape = np.array([int(x.shape[0]), *sides, kernel.shape[1]])
    found = tf.nn.conv2d_transpose(x, kernel.transpose(2, 3, 1, 0), shape, strides, "VALID")
    return Value(found if len(given) < 3 else tf.nn.bias_add(found, given[2].tensor), nhwc=True)


def _padding(
    options: Options, sides: list[int], strides: list[int], dilations: list[int], given: list[int]
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
) -> tuple[Any, Literal["SAME", "VALID"]]:
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


def pool(kind: str) -> Callable[[Given, Options], Value]:
    """The highest ("MAX") or the mean ("AVG") of each window."""

    def operation(given: Given, options: Options) -> Value:
        import tensorflow as tf

        x = spatial(given[0])
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
            how: Literal["SAME", "VALID"] = "VALID"
        return Value(tf.nn.pool(x, sides, kind, strides, how), nhwc=True)

    return operation


def global_average(given: Given, _options: Options) -> Value:
    """The mean of each map."""
    import tensorflow as tf

    return Value(tf.reduce_mean(spatial(given[0]), axis=[1, 2], keepdims=True), nhwc=True)


def resize(given: Given, options: Options) -> Value:
    """A map enlarged by repetition."""
    import tensorflow as tf

    x = spatial(given[0])
    if options.get("mode", b"nearest") != b"nearest" or options.get("coordinate_transformation_mode") != b"asymmetric":
        raise LensmithError("The network enlarges its maps in a way that is not known here.")
    if len(given) > 3 and given[3] is not None:
        sides = [int(side) for side in np.asarray(given[3].tensor)[2:]]
    else:
        scales = np.asarray(given[2].tensor)[2:]
        sides = [round(int(side) * float(scale)) for side, scale in zip(x.shape[1:3], scales, strict=True)]
    return Value(tf.image.resize(x, sides, method="nearest"), nhwc=True)


def grid_sample(given: Given, options: Options) -> Value:
    """Maps read at places between their cells, by the four cells around; 0 outside."""
    import tensorflow as tf

    known = options.get("mode", b"linear") in (b"linear", b"bilinear") and not options.get("align_corners")
    if not known or options.get("padding_mode", b"zeros") != b"zeros":
        raise LensmithError("The network reads its maps in a way that is not known here.")
    x, grid = spatial(given[0]), plain(given[1])  # (n, h, w, c) and (n, out h, out w, 2) with -1..1 for x and y
    count, height, width = (int(side) for side in x.shape[:3])
    across = (grid[..., 0] + 1) * (width / 2) - 0.5
    down = (grid[..., 1] + 1) * (height / 2) - 0.5
    left, top = tf.floor(across), tf.floor(down)
    first = tf.reshape(tf.range(count) * height * width, [count, 1, 1])  # cells before each map
    flat = tf.reshape(x, [count * height * width, int(x.shape[3])])
    found: Any = 0.0
    for column, share_x in ((left, left + 1 - across), (left + 1, across - left)):
        for row, share_y in ((top, top + 1 - down), (top + 1, down - top)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            weight = share_x * share_y * tf.cast(inside, x.dtype)
            place = tf.clip_by_value(row, 0, height - 1) * width + tf.clip_by_value(column, 0, width - 1)
            found += tf.gather(flat, first + tf.cast(place, tf.int32)) * weight[..., None]
    return Value(found, nhwc=True)
