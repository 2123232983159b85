"""Tiny real models with known answers, as real bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lensmith.weights.bundle import (
    PORTABLE_NAME,
    Bundle,
    BundleRecord,
    ClassifierRecord,
    DetectorRecord,
    Preprocessing,
    write_bundle,
)

SIZE = 128
CELL = 16
COLOURS = ("blue", "green", "red")


def make_detector(
    folder: Path,
    names: tuple[str, ...] = COLOURS,
    *,
    family: str = "cells",
    golden_shift: float = 0.0,
    stride: int | None = None,
) -> Bundle:
    """Finds coloured blocks: each cell of 16 x 16 input pixels is an anchor, and the confidence of a class is how much
    its channel stands out. Names stand for blue, green, red, in this order. With a stride the network takes any size.
    """
    record = BundleRecord(
        name=folder.name,
        task="detect",
        names=names,
        preprocessing=Preprocessing(width=SIZE, height=SIZE, resize="letterbox", stride=stride),
        detector=DetectorRecord(family=family, output="raw"),
    )
    return _write(folder, record, _detector_model() if stride is None else _any_size_model(), golden_shift)


def make_follower(folder: Path, names: tuple[str, ...] = COLOURS) -> Bundle:
    """Finds the one block of each full colour wherever it is, to the pixel; its confidence is its visible area over
    that of 20 x 20 pixels, 0.9 at most. Input 128 x 128; names stand for blue, green, red.
    """
    record = BundleRecord(
        name=folder.name,
        task="detect",
        names=names,
        preprocessing=Preprocessing(width=SIZE, height=SIZE, resize="letterbox"),
        detector=DetectorRecord(family="follower", output="raw"),
        confidence=0.5,
    )
    return _write(folder, record, _follower_model(), 0.0)


def make_classifier(folder: Path, names: tuple[str, ...] = COLOURS, *, golden_shift: float = 0.0) -> Bundle:
    """Tells the colour of a picture by its mean; names stand for blue, green, red."""
    record = BundleRecord(
        name=folder.name,
        task="classify",
        names=names,
        preprocessing=Preprocessing(width=32, height=32, resize="stretch", interpolation="area"),
        classifier=ClassifierRecord(backbone="xception", units=8, dropout=0.0),
        confidence=0.5,
    )
    return _write(folder, record, _classifier_model(), golden_shift)


def blocks(width: int, height: int, *rectangles: tuple[int, int, int, int, int]) -> np.ndarray:
    """A grey picture with full-colour rectangles `(x1, y1, x2, y2, channel)`, BGR uint8."""
    bgr = np.full((height, width, 3), 128, np.uint8)
    for x1, y1, x2, y2, channel in rectangles:
        bgr[y1:y2, x1:x2] = 0
        bgr[y1:y2, x1:x2, channel] = 255
    return bgr


def _write(folder: Path, record: BundleRecord, model: Any, golden_shift: float) -> Bundle:
    import onnx
    import onnxruntime

    size = record.preprocessing
    inputs = np.stack([blocks(size.width, size.height, (0, 0, CELL, CELL, channel)) for channel in range(3)])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = np.asarray(session.run(None, {"pictures": inputs})[0], np.float32)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return write_bundle(
        folder,
        record,
        lambda place: onnx.save(model, str(place / PORTABLE_NAME)),
        golden=(inputs, outputs + golden_shift),
    )


def _cell_scores() -> list[Any]:
    """From "pictures" to "scores": how much each channel stands out in each cell; "grey" is what it stands out of."""
    from onnx import TensorProto, helper

    return [
        helper.make_node("Cast", ["pictures"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["nchw"], ["pooled"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Mul", ["pooled", "scale"], ["unit"]),
        helper.make_node("ReduceMean", ["unit"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["unit", "grey"], ["outstanding"]),
        helper.make_node("Relu", ["outstanding"], ["positive"]),
        helper.make_node("Add", ["positive", "positive"], ["cells"]),
        helper.make_node("Clip", ["cells", "zero", "full"], ["clipped"]),
        helper.make_node("Reshape", ["clipped", "flat"], ["scores"]),
    ]


def _detector_model() -> Any:
    from onnx import helper

    cells = SIZE // CELL
    centres = np.arange(cells, dtype=np.float32) * CELL + CELL / 2
    cy, cx = np.meshgrid(centres, centres, indexing="ij")
    sides = np.full(cells * cells, CELL, np.float32)
    anchors = np.stack([cx.ravel(), cy.ravel(), sides, sides])[None]
    constants = {
        "zero": np.float32(0), "anchors": anchors, "scale": np.float32(1 / 255), "flat": np.array([0, 3, -1], np.int64),
        "one": np.array([1], np.int64), "full": np.float32(1),
    }  # fmt: skip
    nodes = [
        *_cell_scores(),
        helper.make_node("ReduceSum", ["scores", "one"], ["any"], keepdims=1),
        helper.make_node("Mul", ["any", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "anchors"], ["boxes"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output"], axis=1),
    ]
    return _model(nodes, constants, SIZE, ["n", 7, cells * cells])


def _any_size_model() -> Any:
    """As `_detector_model`, with the anchors counted out of whatever is there."""
    from onnx import helper

    constants = {
        "zero": np.float32(0), "scale": np.float32(1 / 255), "flat": np.array([0, 3, -1], np.int64),
        "four": np.array([0, 4, -1], np.int64), "full": np.float32(1), "cell": np.float32(CELL),
        "half": np.float32(CELL / 2), "down": np.array(2, np.int64), "across": np.array(3, np.int64),
    }  # fmt: skip
    nodes = [
        *_cell_scores(),
        helper.make_node("Mul", ["grey", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "cell"], ["sides"]),
    ]
    for axis in ("across", "down"):
        nodes += [
            helper.make_node("CumSum", ["sides", axis], [f"{axis}_end"]),
            helper.make_node("Sub", [f"{axis}_end", "half"], [f"{axis}_middle"]),
        ]
    nodes += [
        helper.make_node("Concat", ["across_middle", "down_middle", "sides", "sides"], ["grid"], axis=1),
        helper.make_node("Reshape", ["grid", "four"], ["boxes"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output"], axis=1),
    ]
    return _model(nodes, constants, None, ["n", 7, "cells"])


def _follower_model() -> Any:
    """A block is where its pixels are in the mean, and its side the square root of 12 times their variance."""
    from onnx import TensorProto, helper

    middles = np.arange(SIZE, dtype=np.float32) + 0.5
    y, x = (grid.reshape(1, 1, -1) for grid in np.meshgrid(middles, middles, indexing="ij"))
    constants = {
        "scale": np.float32(1 / 255), "flat": np.array([0, 3, -1], np.int64), "last": np.array([2], np.int64),
        "least": np.float32(0.3), "tiny": np.float32(1e-6), "twelve": np.float32(12), "zero": np.float32(0),
        "area": np.float32(0.9 / 400), "most": np.float32(0.9), "x": x, "y": y,
        "own": np.eye(3, dtype=np.float32)[None],
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["pictures"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["nchw", "scale"], ["unit"]),
        helper.make_node("ReduceMean", ["unit"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["unit", "grey"], ["outstanding"]),
        helper.make_node("Greater", ["outstanding", "least"], ["is_block"]),
        helper.make_node("Cast", ["is_block"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["ones", "flat"], ["block"]),
        helper.make_node("ReduceSum", ["block", "last"], ["pixels"], keepdims=1),
        helper.make_node("Max", ["pixels", "tiny"], ["some"]),
    ]
    for axis in "xy":
        nodes += [
            helper.make_node("Mul", ["block", axis], [f"{axis}_of"]),
            helper.make_node("ReduceSum", [f"{axis}_of", "last"], [f"{axis}_sum"], keepdims=1),
            helper.make_node("Div", [f"{axis}_sum", "some"], [f"{axis}_mean"]),
            helper.make_node("Sub", [axis, f"{axis}_mean"], [f"{axis}_off"]),
            helper.make_node("Mul", [f"{axis}_off", f"{axis}_off"], [f"{axis}_square"]),
            helper.make_node("Mul", [f"{axis}_square", "block"], [f"{axis}_own"]),
            helper.make_node("ReduceSum", [f"{axis}_own", "last"], [f"{axis}_total"], keepdims=1),
            helper.make_node("Div", [f"{axis}_total", "some"], [f"{axis}_variance"]),
            helper.make_node("Mul", [f"{axis}_variance", "twelve"], [f"{axis}_times"]),
            helper.make_node("Sqrt", [f"{axis}_times"], [f"{axis}_side"]),
        ]
    nodes += [
        helper.make_node("Mul", ["pixels", "area"], ["sure"]),
        helper.make_node("Clip", ["sure", "zero", "most"], ["score"]),
        helper.make_node("Mul", ["score", "own"], ["scores"]),  # each row is sure of its own class alone
        helper.make_node("Concat", ["x_mean", "y_mean", "x_side", "y_side", "scores"], ["rows"], axis=2),
        helper.make_node("Transpose", ["rows"], ["output"], perm=[0, 2, 1]),
    ]
    return _model(nodes, constants, SIZE, ["n", 7, 3])


def _classifier_model() -> Any:
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["pictures"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["output"], axis=1),
    ]
    return _model(nodes, {"scale": np.float32(0.05)}, 32, ["n", 3])


def _model(nodes: list[Any], constants: dict[str, np.ndarray], size: int | None, output: list[Any]) -> Any:
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", size or "height", size or "width", 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    return model
