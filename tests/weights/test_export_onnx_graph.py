"""Each ONNX operation that is turned into TensorFlow gives what ONNX Runtime gives, in either order of axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lensmith.core.errors import LensmithError
from lensmith.weights.export.onnx_graph import OnnxGraph

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
F = np.float32


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


CONV = RNG.normal(size=(6, 4, 3, 3)).astype(F)
# What is done with a map of (1, 4, 9, 12) that a convolution made, so that it is held in TensorFlow's order, and with
# the same map as it is: (operation, constants, attributes).
CASES: dict[str, tuple[str, list[np.ndarray], dict[str, Any]]] = {
    "same padding": ("Conv", [CONV, RNG.normal(size=6).astype(F)], {"pads": [1, 1, 1, 1]}),
    "stride 2, even": ("Conv", [CONV], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "lopsided padding": ("Conv", [CONV], {"pads": [0, 1, 2, 1]}),
    "auto_pad": ("Conv", [CONV], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "dilated": ("Conv", [CONV], {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
    "groups": ("Conv", [RNG.normal(size=(6, 2, 3, 3)).astype(F)], {"group": 2, "pads": [1, 1, 1, 1]}),
    "depthwise": ("Conv", [RNG.normal(size=(8, 1, 3, 3)).astype(F)], {"group": 4, "strides": [2, 2], "pads": [1] * 4}),
    "transposed": ("ConvTranspose", [RNG.normal(size=(4, 5, 2, 2)).astype(F)], {"strides": [2, 2]}),
    "max pool": ("MaxPool", [], {"kernel_shape": [5, 5], "pads": [2, 2, 2, 2]}),
    "max pool, ceil": ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    "mean pool": ("AveragePool", [], {"kernel_shape": [3, 3], "strides": [3, 3]}),
    "global mean": ("GlobalAveragePool", [], {}),
    "add a scalar": ("Add", [np.array(2, F)], {}),
    "multiply channels": ("Mul", [RNG.normal(size=(4, 1, 1)).astype(F)], {}),
    "subtract a row": ("Sub", [RNG.normal(size=12).astype(F)], {}),
    "concat channels": ("Concat", [RNG.normal(size=(1, 2, 9, 12)).astype(F)], {"axis": 1}),
    "concat width": ("Concat", [RNG.normal(size=(1, 4, 9, 3)).astype(F)], {"axis": -1}),
    "softmax channels": ("Softmax", [], {"axis": 1}),
    "softmax last": ("Softmax", [], {"axis": -1}),
    "reshape": ("Reshape", [_ints(0, 2, -1)], {}),
    "transpose": ("Transpose", [], {"perm": [0, 2, 1, 3]}),
    "to nhwc": ("Transpose", [], {"perm": [0, 2, 3, 1]}),
    "slice": ("Slice", [_ints(1, 0), _ints(3, 2**62), _ints(1, 3), _ints(1, 2)], {}),
    "slice backwards": ("Slice", [_ints(-1), _ints(-(2**62)), _ints(2), _ints(-1)], {}),
    "slice the end": ("Slice", [_ints(-3), _ints(-1), _ints(3)], {}),
    "gather": ("Gather", [_ints(2, 0)], {"axis": 1}),
    "gather all backwards": ("Gather", [_ints(3, 2, 1, 0)], {"axis": 1}),
    "gather one": ("Gather", [np.array(1, np.int64)], {"axis": 2}),
    "leaky": ("LeakyRelu", [], {"alpha": 0.2}),
    "clip": ("Clip", [np.array(-0.5, F), np.array(0.5, F)], {}),
    "norm": ("BatchNormalization", [RNG.random(4).astype(F) + 0.5 for _ in range(4)], {"epsilon": 0.01}),
    "layer norm": ("LayerNormalization", [RNG.random(12).astype(F), RNG.random(12).astype(F)], {"axis": -1}),
    "pad": ("Pad", [_ints(0, 1, 0, 2, 0, 0, 3, 1), np.array(7, F)], {}),
    "expand": ("Expand", [_ints(2, 4, 9, 12)], {}),
    "tile": ("Tile", [_ints(1, 2, 1, 3)], {}),
    "flatten": ("Flatten", [], {"axis": 2}),
    "mean": ("ReduceMean", [_ints(2, 3)], {"keepdims": 0}),
    "max": ("ReduceMax", [_ints(1)], {"keepdims": 1}),
    "squeeze": ("Squeeze", [_ints(0)], {}),
    "unsqueeze": ("Unsqueeze", [_ints(1, -1)], {}),
    "matmul": ("MatMul", [RNG.normal(size=(12, 5)).astype(F)], {}),
    "enlarge": ("Resize", [np.array([], F), np.array([1, 1, 2, 2], F)],
                {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
    "grid": ("GridSample", [RNG.uniform(-1.3, 1.3, (1, 5, 6, 2)).astype(F)],
             {"mode": "linear", "padding_mode": "zeros", "align_corners": 0}),
    "sigmoid": ("Sigmoid", [], {}),
    "erf": ("Erf", [], {}),
}  # fmt: skip


def _graph(path: Path, name: str, *, held: bool) -> np.ndarray:
    """Write the graph, and give what ONNX Runtime says for the picture of `_picture`."""
    operation, constants, attributes = CASES[name]
    names = [f"c{number}" for number in range(len(constants))]
    initializers = [numpy_helper.from_array(one, key) for one, key in zip(constants, names, strict=True)]
    nodes = [
        helper.make_node("Cast", ["pictures"], ["floating"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floating"], ["planes"], perm=[0, 3, 1, 2]),
    ]
    if held:
        kernel = np.random.default_rng(1).normal(size=(4, 3, 1, 1)).astype(F) / 100
        initializers.append(numpy_helper.from_array(kernel, "kernel"))
        nodes.append(helper.make_node("Conv", ["planes", "kernel"], ["x"]))
    else:
        initializers.append(numpy_helper.from_array(_ints(1, 4, 9, 12), "shape"))
        initializers.append(numpy_helper.from_array(np.array(0.01, F), "hundredth"))
        nodes += [
            helper.make_node("Reshape", ["floating", "shape"], ["whole"]),
            helper.make_node("Mul", ["whole", "hundredth"], ["x"]),
        ]
    nodes.append(helper.make_node(operation, ["x", *names], ["output"], **attributes))
    height, width = (9, 12) if held else (12, 12)
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", height, width, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(model, str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"pictures": _picture(held=held)})[0])


def _picture(*, held: bool) -> np.ndarray:
    shape = (1, 9, 12, 3) if held else (1, 12, 12, 3)
    return np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("held", [True, False], ids=["held as nhwc", "as it is"])
@pytest.mark.parametrize("name", CASES)
def test_an_operation(name: str, held: bool, tmp_path: Path) -> None:
    from lensmith.core.isolation import isolate_keras

    isolate_keras("tensorflow")
    expected = _graph(tmp_path / "one.onnx", name, held=held)
    picture = _picture(held=held)
    found = OnnxGraph(tmp_path / "one.onnx", picture.shape)(picture).numpy()  # pyright: ignore[reportArgumentType]
    assert found.shape == expected.shape
    assert np.allclose(found, expected, atol=1e-4, rtol=1e-4)


def test_an_unknown_operation_is_named(tmp_path: Path) -> None:
    CASES["strange"] = ("Celu", [], {})
    try:
        _graph(tmp_path / "one.onnx", "strange", held=True)
    finally:
        del CASES["strange"]
    with pytest.raises(LensmithError, match="Celu"):
        OnnxGraph(tmp_path / "one.onnx", (1, 9, 12, 3))
