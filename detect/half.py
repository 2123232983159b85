"""Whether a GPU's half precision can be trusted."""

from __future__ import annotations

from typing import Any

import torch  # noqa: TID253 - only the trainer imports this module, and it needs torch too

from ..core.progress import warn

_SHARE = 0.1  # of a number's mean size; half precision itself is off by less than a hundredth of it
_LEAST = 0.005  # confidences of untrained models are near 0, where a share says nothing


def half_precision_works(model: torch.nn.Module) -> bool:
    """Whether this GPU's half precision gives what full precision gives, tried on the model itself.

    Some GPUs (the GTX 16 series) answer with NaN. The library tries it on a model that it would download.
    """
    device = next(model.parameters()).device
    if device.type != "cuda":
        return False
    pictures = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0)).to(device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            full = _first(model(pictures))
            with torch.autocast("cuda"):
                half = _first(model(pictures))
    finally:
        model.train(was_training)
    works = agree(full, half)
    if not works:
        warn("this GPU's half precision gives wrong numbers, so training uses full precision and is slower")
    return works


def agree(full: torch.Tensor, half: torch.Tensor) -> bool:
    """Whether two answers of a model are the same but for what half precision costs, whatever the order of the boxes.

    The order differs where a model picks its best candidates, as RT-DETR and YOLO26 do, and two are nearly the same.

    Args:
        full: Float32 `(pictures, numbers, boxes)` or `(pictures, boxes, numbers)`, the longer one being the boxes.
        half: The same in any precision.
    """
    if not bool(torch.isfinite(half).all()):
        return False
    boxes = -1 if full.shape[-1] >= full.shape[-2] else -2
    expected, given = (answer.float().sort(dim=boxes).values for answer in (full, half))
    apart = (expected - given).abs().mean(dim=boxes)
    return bool((apart <= _SHARE * expected.abs().mean(dim=boxes) + _LEAST).all())


def _first(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, (tuple, list)) else output
