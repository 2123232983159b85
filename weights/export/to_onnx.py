"""ONNX: the portable model as it is, with weights in 16 bits, or with convolutions in 8."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import DataError
from ..bundle import PORTABLE_NAME, Bundle
from ..portable import INPUT_NAME
from .convert import need_file
from .formats import FORMATS

if TYPE_CHECKING:
    from .convert import Order

HEAVY = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})


def export(bundle: Bundle, order: Order) -> None:
    """Write `model.onnx`.

    In 16 and in 8 bits what comes after the last layers with weights stays in 32: box corners up to the input's size,
    and confidences beside them, are what coarse numbers spoil, and they cost next to nothing.
    """
    source, target = need_file(bundle, PORTABLE_NAME), order.target / FORMATS["onnx"].entry
    if order.precision == "fp32":
        shutil.copyfile(source, target)
    elif order.precision == "fp16":
        _halve(source, target)
    else:
        quantise(source, target, order)


def _halve(source: Path, target: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = onnx.load(str(source))
    names_for_nodes(model)
    block = tail(model) | {node.name for node in model.graph.node if node.name.startswith("lensmith_")}
    half = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=DEFAULT_OP_BLOCK_LIST, node_block_list=sorted(block)
    )
    _mend(half)
    OnnxModel(half).topological_sort()
    onnx.checker.check_model(half)
    onnx.save(half, str(target))


def _mend(model: Any) -> None:
    """Where two nodes that stay in 32 bits read one in 16, the converter puts the same cast in twice."""
    seen: dict[str, Any] = {}
    for node in list(model.graph.node):
        if node.op_type == "Cast" and node.output[0] in seen and seen[node.output[0]].input == node.input:
            model.graph.node.remove(node)
            continue
        seen.update(dict.fromkeys(node.output, node))


def quantise(source: Path, target: Path, order: Order) -> None:
    """Convolutions and matrix products in 8 bits, each channel with a scale of its own; activations by calibration.

    Raises:
        DataError: there are no pictures to calibrate with.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Pictures(CalibrationDataReader):
        """One picture at a time."""

        def __init__(self, path: Path) -> None:
            self._left = _one_by_one(path)

        def get_next(self) -> Any:
            """See the base."""
            picture = next(self._left, None)
            return None if picture is None else {INPUT_NAME: picture}

    model = onnx.load(str(source))
    names_for_nodes(model)
    named = order.target / "named.onnx"
    onnx.save(model, str(named))
    quantize_static(
        str(named), str(target), Pictures(pictures_of(order)),
        quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        per_channel=True, op_types_to_quantize=sorted(HEAVY), nodes_to_exclude=sorted(tail(model)),
    )  # fmt: skip
    named.unlink()


def pictures_of(order: Order) -> Path:
    """The file of calibration pictures.

    Raises:
        DataError: there is none.
    """
    if order.pictures is None:
        raise DataError("A model in int8 is calibrated with pictures, and there are none.")
    return order.pictures


def _one_by_one(path: Path) -> Iterator[np.ndarray]:
    pictures = np.load(path, mmap_mode="r", allow_pickle=False)
    for number in range(len(pictures)):
        yield np.array(pictures[number : number + 1])


def names_for_nodes(model: Any) -> None:
    """Give each node a name of its own, by which it can be left out."""
    taken: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"node_of_export_{number}"
        taken.add(node.name)


def tail(model: Any) -> set[str]:
    """Names of the nodes between the last layers with weights and the outputs: what turns answers into boxes."""
    by_output = {output: node for node in model.graph.node for output in node.output}
    waiting = [output.name for output in model.graph.output]
    found: set[str] = set()
    while waiting:
        node = by_output.get(waiting.pop())
        if node is None or node.op_type in HEAVY or node.name in found:
            continue
        found.add(node.name)
        waiting.extend(node.input)
    return found
