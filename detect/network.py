"""A detector's network from its packaged description, ready for a training step. Loads torch and Ultralytics."""

from __future__ import annotations

from typing import Any

from .models import is_transformer, load_architecture


def build_network(name: str, classes: int) -> Any:
    """A detector with random weights, as Ultralytics' trainer builds it; `isolate_ultralytics` must have been called.

    Args:
        name: A name in `models.detector_names`.
        classes: How many classes it tells apart.

    Returns:
        The `torch.nn.Module`; `loss(batch)` takes `img` float32 `(n, 3, h, w)` RGB in 0..1, `cls` `(boxes, 1)`,
        `bboxes` `(boxes, 4)` cxcywh in shares of the picture, and `batch_idx` `(boxes,)`.
    """
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel
    from ultralytics.utils import DEFAULT_CFG

    kind: Any = RTDETRDetectionModel if is_transformer(name) else DetectionModel
    network: Any = kind(load_architecture(name), nc=classes, verbose=False)
    network.nc, network.args = classes, get_cfg(DEFAULT_CFG)
    return network
