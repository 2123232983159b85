"""Core ML: a network traced in torch, as an ML program. Made on macOS alone, where it can be run and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..bundle import Bundle
from ..portable import INPUT_NAME
from .convert import need_file
from .formats import FORMATS
from .to_torchscript import NATIVE, network_of

if TYPE_CHECKING:
    from .convert import Order


def export(bundle: Bundle, order: Order) -> None:
    """Write `model.mlpackage`: `pictures` is an image of the input's size, and `output` is float32.

    Core ML brings an image to the colour order that the network says, so no program can get that wrong either.
    """
    need_file(bundle, NATIVE[bundle.record.task])
    import coremltools  # pyright: ignore[reportMissingImports] - installed on macOS alone
    import torch

    size = bundle.record.preprocessing
    network = network_of(bundle)

    class FromPlanes(torch.nn.Module):
        """Core ML hands over float32 `(1, 3, h, w)`, BGR."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, planes: Any) -> Any:
            """To the pictures that the network takes."""
            return self.network(planes.permute(0, 2, 3, 1))

    example = torch.zeros(1, 3, size.height, size.width)
    with torch.inference_mode():
        traced = torch.jit.trace(FromPlanes().eval(), example, check_trace=False)
    half = order.precision == "fp16"
    made = coremltools.convert(
        traced,
        inputs=[coremltools.ImageType(name=INPUT_NAME, shape=example.shape, color_layout=coremltools.colorlayout.BGR)],
        outputs=[coremltools.TensorType(name="output")],
        convert_to="mlprogram",
        compute_precision=coremltools.precision.FLOAT16 if half else coremltools.precision.FLOAT32,
    )
    made.save(str(order.target / FORMATS["coreml"].entry))
