"""A detector with weights: `make_detector`'s network with a convolution in place of its average."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lensmith.weights.bundle import PORTABLE_NAME, Bundle, write_bundle
from tests.predict.make_bundle import CELL, COLOURS, make_detector


def make_weighted_detector(folder: Path, names: tuple[str, ...] = COLOURS) -> Bundle:
    """Gives what `make_detector` gives; its average of each cell is a convolution."""
    plain = make_detector(folder.with_name(f"{folder.name}-plain"), names)
    model = onnx.load(str(plain.folder / PORTABLE_NAME))
    weights = np.zeros((3, 3, CELL, CELL), np.float32)
    weights[range(3), range(3)] = 1 / CELL**2
    model.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    place = next(number for number, node in enumerate(model.graph.node) if node.op_type == "AveragePool")
    old = model.graph.node[place]
    model.graph.node.remove(old)
    model.graph.node.insert(place, helper.make_node("Conv", [*old.input, "weights"], old.output, strides=[CELL, CELL]))
    onnx.checker.check_model(model)
    return write_bundle(
        folder,
        plain.record.model_copy(update={"name": folder.name, "files": {}}),
        lambda place: onnx.save(model, str(place / PORTABLE_NAME)),
        golden=plain.golden(),
    )


def make_detector_of_any_size(folder: Path, names: tuple[str, ...] = COLOURS) -> Bundle:
    """As `make_weighted_detector`, for pictures of any sides that are multiples of 32, with little padding."""
    plain = make_detector(folder.with_name(f"{folder.name}-plain"), names)
    weights = np.eye(3, dtype=np.float32)[:, :, None, None]
    constants = {
        "zero": np.float32(0), "full": np.float32(1), "scale": np.float32(1 / 255), "weights": weights,
        "cell": np.float32(CELL), "half": np.float32(CELL / 2),
        "down": np.int64(2), "across": np.int64(3), "flat": np.array([0, 7, -1], np.int64),
    }  # fmt: skip
    steps = [
        ("Cast", ["pictures"], "float", {"to": onnx.TensorProto.FLOAT}),
        ("Transpose", ["float"], "nchw", {"perm": [0, 3, 1, 2]}),
        ("AveragePool", ["nchw"], "means", {"kernel_shape": [CELL, CELL], "strides": [CELL, CELL]}),
        ("Conv", ["means", "weights"], "pooled", {}),
        ("Mul", ["pooled", "scale"], "unit", {}),
        ("ReduceMean", ["unit"], "grey", {"axes": [1], "keepdims": 1}),
        ("Sub", ["unit", "grey"], "outstanding", {}),
        ("Relu", ["outstanding"], "positive", {}),
        ("Add", ["positive", "positive"], "cells", {}),
        ("Clip", ["cells", "zero", "full"], "scores", {}),
        ("Mul", ["grey", "zero"], "nothing", {}),
        ("Add", ["nothing", "full"], "ones", {}),
        ("Mul", ["ones", "cell"], "sides", {}),
        ("CumSum", ["sides", "across"], "right", {}),
        ("Sub", ["right", "half"], "cx", {}),
        ("CumSum", ["sides", "down"], "bottom", {}),
        ("Sub", ["bottom", "half"], "cy", {}),
        ("Concat", ["cx", "cy", "sides", "sides", "scores"], "map", {"axis": 1}),
        ("Reshape", ["map", "flat"], "output", {}),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, given, [made], **options) for kind, given, made, options in steps],
        "any size",
        [helper.make_tensor_value_info("pictures", onnx.TensorProto.UINT8, ["n", "height", "width", 3])],
        [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, ["n", 7, "anchors"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    preprocessing = plain.record.preprocessing.model_copy(update={"stride": 32})
    return write_bundle(
        folder,
        plain.record.model_copy(update={"name": folder.name, "files": {}, "preprocessing": preprocessing}),
        lambda place: onnx.save(model, str(place / PORTABLE_NAME)),
        golden=plain.golden(),
    )
