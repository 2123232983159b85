"""What each detector of the installed Ultralytics weighs: writes the table that `cv models` and `--size auto` read.

    python benchmarks/detector_catalog.py > detect/catalog_table.py

Every detector is built for 80 classes with random weights. Counted, not timed, so that the table is the same on every
machine: parameters; the bytes of a half-precision checkpoint's tensors, which is how pretrained files come; operations
of one forward pass; and what a training step keeps for its backward pass, by hooks on the tensors that autograd saves,
at two picture sizes, which gives a share that grows with the picture and one that does not (RT-DETR's queries).
"""

from __future__ import annotations

import gc
import resource
import sys
from typing import Any

from lensmith.core.isolation import isolate_ultralytics
from lensmith.detect.models import detector_names
from lensmith.detect.network import build_network

_CLASSES = 80
_SIDES = (128, 256)
_HEAD = '''"""What each detector weighs, written by benchmarks/detector_catalog.py with Ultralytics {version}."""

from __future__ import annotations

# name: (parameters, bytes of its half-precision checkpoint, 1e9 multiply-adds in a forward pass at 640 px,
#        bytes that a training step keeps for each input pixel, bytes that it keeps for each picture of any size)
TABLE: dict[str, tuple[int, int, float, int, int]] = {{'''


def main() -> None:
    """Write the table to stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (10 << 30, 10 << 30))
    isolate_ultralytics()
    import ultralytics

    lines = [_HEAD.format(version=ultralytics.__version__)]
    for name in detector_names():
        row = weigh(name)
        gc.collect()  # what autograd keeps holds the model in a circle
        lines.append(
            f'    "{name}": ({", ".join(f"{value:_}" if isinstance(value, int) else str(value) for value in row)}),'
        )
        sys.stderr.write(lines[-1] + "\n")
    lines.append("}  # fmt: skip")
    sys.stdout.write("\n".join(lines) + "\n")


def weigh(name: str) -> tuple[int, int, float, int, int]:
    """One row of the table, see there."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(0)
    model = build_network(name, _CLASSES)
    parameters = sum(p.numel() for p in model.parameters())
    tensors = [*model.parameters(), *model.buffers()]
    stored = sum(t.numel() * (2 if t.is_floating_point() else t.element_size()) for t in tensors)
    small, large = (_kept_for_backward(model, side) for side in _SIDES)
    per_pixel = (large - small) / (_SIDES[1] ** 2 - _SIDES[0] ** 2)
    fixed = max(small - per_pixel * _SIDES[0] ** 2, 0)
    model.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 640, 640))
    return parameters, stored, round(counter.get_total_flops() / 2e9, 2), round(per_pixel), round(fixed)


def _kept_for_backward(model: Any, side: int) -> int:
    """Bytes of the tensors that autograd keeps for one picture with two boxes, each storage counted once."""
    import torch

    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, Any] = {}

    def note(tensor: Any) -> Any:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()  # held, so that no address is used twice
        return tensor.detach()  # the tensor itself would keep the graph, and the graph the tensor, for ever

    model.train()
    batch = {
        "img": torch.rand(1, 3, side, side),
        "cls": torch.tensor([[0.0], [1.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.3, 0.3], [0.4, 0.4, 0.2, 0.2]]),
        "batch_idx": torch.zeros(2),
    }
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss, _ = model.loss(batch)
    del loss
    return sum(storage.nbytes() for address, storage in kept.items() if address not in own)


if __name__ == "__main__":
    main()
