"""The portable model takes pictures as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lensmith.core.errors import DataError
from lensmith.weights.portable import add_picture_input


def _identity_model(path: Path, axes: list[str | int], inputs: int = 1) -> Path:
    import onnx
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, axes) for i in range(inputs)]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, axes)
    graph = helper.make_graph([helper.make_node("Identity", ["x0"], ["y"])], "g", values, [result])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(path))
    return path


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("scale", [1.0, 1 / 255])
def test_conversion(
    tmp_path: Path, layout: Literal["nchw", "nhwc"], channels: Literal["rgb", "bgr"], scale: float
) -> None:
    import onnxruntime

    axes: list[str | int] = ["n", 3, "h", "w"] if layout == "nchw" else ["n", "h", "w", 3]
    source = _identity_model(tmp_path / "a.onnx", axes)
    add_picture_input(source, tmp_path / "b.onnx", layout=layout, scale=scale, channels=channels)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(tmp_path / "b.onnx"), providers=["CPUExecutionProvider"])
    got = np.asarray(session.run(None, {"pictures": pictures})[0])
    expected = (pictures[..., ::-1] if channels == "rgb" else pictures).astype(np.float32) * np.float32(scale)
    np.testing.assert_allclose(got, expected.transpose(0, 3, 1, 2) if layout == "nchw" else expected, rtol=1e-6)


def test_a_model_with_two_inputs_is_refused(tmp_path: Path) -> None:
    source = _identity_model(tmp_path / "a.onnx", ["n", 3, "h", "w"], inputs=2)
    with pytest.raises(DataError, match="2 inputs"):
        add_picture_input(source, tmp_path / "b.onnx", layout="nchw", scale=1, channels="rgb")


def test_a_model_whose_own_input_is_called_pictures_takes_pictures_too(tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    source = _identity_model(tmp_path / "a.onnx", ["n", 3, "h", "w"])
    model = onnx.load(str(source))
    old = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["pictures" if name == old else name for name in node.input]
    model.graph.input[0].name = "pictures"
    onnx.save(model, str(source))
    add_picture_input(source, tmp_path / "b.onnx", layout="nchw", scale=1, channels="bgr")
    session = onnxruntime.InferenceSession(str(tmp_path / "b.onnx"), providers=["CPUExecutionProvider"])
    pictures = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3), dtype=np.uint8)
    (got,) = session.run(None, {"pictures": pictures})
    np.testing.assert_array_equal(np.asarray(got), pictures.astype(np.float32).transpose(0, 3, 1, 2))
