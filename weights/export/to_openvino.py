"""OpenVINO: the portable model read once and for all, with weights in 32, 16 or 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.isolation import hidden
from ..bundle import PORTABLE_NAME, Bundle
from .convert import need_file
from .formats import FORMATS
from .to_onnx import pictures_of

if TYPE_CHECKING:
    from .convert import Order

_HEAVY = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"})


def export(bundle: Bundle, order: Order) -> None:
    """Write `model.xml` and `model.bin`.

    16 bits are how weights lie on the disk, half as large; what is computed in is chosen by who runs it. In 8 bits the
    nodes after the last layers with weights stay in 32, as in `to_onnx.export`.
    """
    with hidden("openvino_telemetry"):
        import openvino
    graph = openvino.Core().read_model(str(need_file(bundle, PORTABLE_NAME)))
    if order.precision == "int8":
        graph = _quantise(graph, pictures_of(order))
    openvino.save_model(
        graph, str(order.target / FORMATS["openvino"].entry), compress_to_fp16=order.precision != "fp32"
    )


def _quantise(graph: Any, pictures: Path) -> Any:
    # It loads whatever framework is there, and would report how it is used.
    with hidden("openvino_telemetry"), hidden("torch"), hidden("tensorflow"):
        import nncf
    shown = np.load(pictures, mmap_mode="r", allow_pickle=False)
    numbers = nncf.Dataset(range(len(shown)), lambda number: np.array(shown[number : number + 1]))
    return nncf.quantize(
        graph, numbers, subset_size=len(shown), preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=sorted(_tail(graph)), validate=False),
    )  # fmt: skip


def _tail(graph: Any) -> set[str]:
    """As `to_onnx.tail`."""
    waiting = [result.input_value(0).get_node() for result in graph.get_results()]
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        if node.get_type_name() in _HEAVY or name in found or node.get_type_name() in {"Constant", "Parameter"}:
            continue
        found.add(name)
        waiting.extend(value.get_node() for value in node.input_values())
    return found
