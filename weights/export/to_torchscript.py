"""TorchScript: a detector's or a classifier's own network, traced with the picture input inside."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import DataError
from ...core.isolation import isolate_ultralytics
from ..bundle import Bundle
from ..trust import check_checkpoint
from .convert import need_file
from .formats import FORMATS

if TYPE_CHECKING:
    from .convert import Order

NATIVE = {"detect": "model.pt", "classify": "model.keras"}


def export(bundle: Bundle, order: Order) -> None:
    """Write `model.torchscript`: uint8 BGR `(1, h, w, 3)` in, float32 out; `torch.jit.load` is all it needs."""
    need_file(bundle, NATIVE[bundle.record.task])  # before the seconds that torch takes
    import torch

    size = bundle.record.preprocessing
    example = torch.zeros(1, size.height, size.width, 3, dtype=torch.uint8)
    with torch.inference_mode():
        network = network_of(bundle)
        network(example)  # what is made ready at the first call must not end up in the trace
        traced = torch.jit.trace(network, example, check_trace=False)
        torch.jit.save(torch.jit.freeze(traced), str(order.target / FORMATS["torchscript"].entry))


def network_of(bundle: Bundle) -> Any:
    """The model in torch, from uint8 BGR `(n, h, w, 3)` to what `DetectorRecord.output` says, or to probabilities.

    Raises:
        DataError: the bundle lacks its native model, or it is damaged or hostile.
    """
    if bundle.record.task == "detect":
        return _detector(need_file(bundle, NATIVE["detect"]))
    return _classifier(bundle)


def _detector(path: Path) -> Any:
    check_checkpoint(path)
    isolate_ultralytics()
    import torch
    from ultralytics.nn.tasks import load_checkpoint

    loaded, _ = load_checkpoint(path, device=torch.device("cpu"), fuse=True)

    class Network(torch.nn.Module):
        """Pictures as they are."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, pictures: Any) -> Any:
            """From uint8 BGR `(n, h, w, 3)`."""
            output = self.model(pictures.flip(-1).permute(0, 3, 1, 2).float() / 255)
            return output[0] if isinstance(output, (tuple, list)) else output

    return Network(loaded.float().eval()).eval()


def _classifier(bundle: Bundle) -> Any:
    os.environ["KERAS_BACKEND"] = "torch"
    from ..architecture import build_classifier, import_keras
    from ..keras_files import load_all_layers

    record, path = bundle.record, need_file(bundle, NATIVE["classify"])
    if record.classifier is None:
        raise DataError("This bundle does not say how its classifier is built.", where=bundle.folder)
    import_keras("cpu")
    import torch

    size = record.preprocessing
    built = build_classifier(record.classifier, size.width, size.height, len(record.names))
    load_all_layers(built, path)

    class Network(torch.nn.Module):
        """Pictures as they are."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, pictures: Any) -> Any:
            """From uint8 BGR `(n, h, w, 3)`."""
            return self.model(pictures.flip(-1).float(), training=False)

    return Network(built).eval()
