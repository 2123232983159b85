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
