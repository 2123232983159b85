"""TensorRT: an engine file for the kind of GPU that this machine has, built from the portable model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import LensmithError
from ..bundle import PORTABLE_NAME, Bundle
from ..portable import INPUT_NAME
from .convert import need_file
from .formats import FORMATS

if TYPE_CHECKING:
    from .convert import Order

_MOST_AT_ONCE = 16
_USUAL = 8


def export(bundle: Bundle, order: Order) -> None:
    """Write `model.engine`: uint8 BGR `(n, h, w, 3)`, n from 1 to 16, and best for 8; float32 out.

    Raises:
        LensmithError: TensorRT does not take the network, or cannot build it.
    """
    import tensorrt  # pyright: ignore[reportMissingImports] - only where a GPU is

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network()
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(_cast_first(need_file(bundle, PORTABLE_NAME))):
        said = "; ".join(str(parser.get_error(number).desc()) for number in range(parser.num_errors))
        raise LensmithError(f"TensorRT does not take this network: {said}")
    size = bundle.record.preprocessing
    profile, config = builder.create_optimization_profile(), builder.create_builder_config()
    shapes = [(count, size.height, size.width, 3) for count in (1, _USUAL, _MOST_AT_ONCE)]
    profile.set_shape(INPUT_NAME, *shapes)
    config.add_optimization_profile(profile)
    if order.precision == "fp16":
        config.set_flag(tensorrt.BuilderFlag.FP16)
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise LensmithError("TensorRT could not build this network on this GPU.")
    (order.target / FORMATS["tensorrt"].entry).write_bytes(built)


def _cast_first(path: Path) -> bytes:
    """The ONNX file with the cast to floating point as its very first node: TensorRT takes 8 bits for nothing else."""
    import onnx

    model: Any = onnx.load(str(path))
    nodes = [node for node in model.graph.node if node.name.startswith("lensmith_")]
    casts = [place for place, node in enumerate(nodes) if node.op_type == "Cast"]
    if casts and casts[0] > 0:
        cast, before = nodes[casts[0]], nodes[: casts[0]]
        ended = cast.output[0]
        cast.input[0], cast.output[0] = INPUT_NAME, "lensmith_floating"
        before[0].input[0] = "lensmith_floating"
        before[-1].output[0] = ended
        model.graph.node.remove(cast)
        model.graph.node.insert(0, cast)
    return model.SerializeToString()
