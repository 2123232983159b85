"""The portable model: an ONNX file that takes pictures as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from ..core.errors import DataError

INPUT_NAME = "pictures"


def add_picture_input(
    source: Path,
    target: Path,
    *,
    layout: Literal["nchw", "nhwc"],
    scale: float | Sequence[float],
    channels: Literal["rgb", "bgr"],
    shift: Sequence[float] = (),
) -> None:
    """Put the conversion from a picture to the model's own input into the model itself.

    The result takes `pictures`, uint8 BGR `(n, h, w, 3)`, where `source` took one float32 tensor; no program that runs
    it can get channel order or scaling wrong. Resizing stays outside.

    Args:
        source: An ONNX file with exactly one input.
        target: Where to write the new file.
        layout: The order of axes that `source` expects.
        scale: Factor that brings 0..255 to the range `source` expects; or one for each channel, in the model's order.
        channels: The channel order that `source` expects.
        shift: What is added after that, for each channel in the model's order.

    Raises:
        DataError: `source` has another number of inputs, or the result does not pass ONNX's own check.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(source))
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise DataError(f"The exported model has {len(inputs)} inputs, not one.", where=source)
    old = inputs[0]
    batch, height, width = _axes(old, layout)
    new = helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, [batch, height, width, 3])
    floating = old.name
    if floating == INPUT_NAME:  # as in models of our own that come back
        floating = "lensmith_floating"
        for node in model.graph.node:
            node.input[:] = [floating if name == INPUT_NAME else name for name in node.input]
    nodes, constants = _conversion(floating, layout, scale, channels, shift)
    model.graph.input.remove(old)
    model.graph.input.insert(0, new)
    model.graph.initializer.extend(constants)
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise DataError(f"The exported model is not valid ONNX: {error}", where=source) from None
    onnx.save(model, str(target))


def takes_any_size(path: Path) -> bool:
    """Whether a portable model's pictures may be of any height and width.

    Raises:
        DataError: it is no portable model.
    """
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    taken = [value for value in model.graph.input if value.name == INPUT_NAME]
    if len(taken) != 1:
        raise DataError(f"The portable model does not take '{INPUT_NAME}'.", where=path)
    _, height, width, _ = taken[0].type.tensor_type.shape.dim
    return not height.HasField("dim_value") and not width.HasField("dim_value")


def _axes(value: Any, layout: Literal["nchw", "nhwc"]) -> tuple[int | str, int | str, int | str]:
    """Batch, height and width of the old input: a number, or a name where it is free."""
    dims = [d.dim_param or d.dim_value or f"axis{i}" for i, d in enumerate(value.type.tensor_type.shape.dim)]
    return (dims[0], dims[2], dims[3]) if layout == "nchw" else (dims[0], dims[1], dims[2])


def _conversion(
    output: str,
    layout: Literal["nchw", "nhwc"],
    scale: float | Sequence[float],
    channels: Literal["rgb", "bgr"],
    shift: Sequence[float],
) -> tuple[list[Any], list[Any]]:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    constants = []
    if channels == "rgb":
        constants.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), "lensmith_rgb"))
        steps.append(("Gather", ["lensmith_rgb"], {"axis": 3}))
    if layout == "nchw":
        steps.append(("Transpose", [], {"perm": [0, 3, 1, 2]}))
    steps.append(("Cast", [], {"to": TensorProto.FLOAT}))
    for name, kind, values, neutral in (("scale", "Mul", scale, 1), ("shift", "Add", shift or 0, 0)):
        numbers = np.array(values, np.float32)
        if (numbers == neutral).all():
            continue
        if numbers.ndim and layout == "nchw":
            numbers = numbers[:, None, None]
        constants.append(numpy_helper.from_array(numbers, f"lensmith_{name}"))
        steps.append((kind, [f"lensmith_{name}"], {}))
    nodes, current = [], INPUT_NAME
    for number, (kind, extra, attributes) in enumerate(steps):
        result = output if number == len(steps) - 1 else f"lensmith_{number}"
        nodes.append(helper.make_node(kind, [current, *extra], [result], name=f"lensmith_{kind.lower()}", **attributes))
        current = result
    return nodes, constants


def add_probabilities(path: Path, answers: Literal["logits", "one", "one-logit"]) -> None:
    """Let a classifier's first output be the probabilities of its classes, `(n, classes)`; changes the file in place.

    Args:
        path: An ONNX file.
        answers: What its first output is: "logits" of all classes; "one" probability, of the second of two classes; or
            the "one-logit" of that.
    """
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(path))
    old = model.graph.output[0]
    current, nodes, constants = old.name, [], []
    if answers == "logits":
        nodes.append(helper.make_node("Softmax", [current], ["lensmith_probabilities"], axis=-1))
    else:
        if answers == "one-logit":
            nodes.append(helper.make_node("Sigmoid", [current], ["lensmith_second"]))
            current = "lensmith_second"
        constants.append(numpy_helper.from_array(np.array(1, np.float32), "lensmith_one"))
        nodes.append(helper.make_node("Sub", ["lensmith_one", current], ["lensmith_first"]))
        nodes.append(helper.make_node("Concat", ["lensmith_first", current], ["lensmith_probabilities"], axis=-1))
    new = helper.make_tensor_value_info("lensmith_probabilities", onnx.TensorProto.FLOAT, None)
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(constants)
    model.graph.output.remove(old)
    model.graph.output.insert(0, new)
    onnx.save(model, str(path))
