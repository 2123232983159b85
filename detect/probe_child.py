"""A few real training steps at growing batch sizes, in a process of its own: prints a line of JSON for each.

Run by `detect.probe`, which stops it when it takes too long; memory that it asks for beyond its limit ends it alone.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..core.device import is_memory_full
from ..core.isolation import isolate_ultralytics
from ..core.memory import peak_memory


def main() -> None:
    """Read the order from standard input, see `probe.Order`."""
    order = json.loads(sys.stdin.read())
    if order["device"] == "cpu":  # on a GPU nothing is measured of it, and CUDA's start may want more than is free
        _limit_memory(order["limit"])
    isolate_ultralytics()
    import torch

    from .network import build_network

    torch.manual_seed(0)
    torch.set_num_threads(order["threads"])
    network = build_network(order["model"], order["classes"])
    if order["device"] != "cpu":
        _say({"batch": _autobatch(network, order)})
        return
    for batch in order["batches"]:
        try:
            seconds = _steps(network, batch, order)
        except Exception as error:
            if not is_memory_full(error) and "allocate memory" not in str(error):
                raise
            _say({"batch": batch, "full": True})
            return
        _say({"batch": batch, "seconds": seconds, "peak": peak_memory()})


def _steps(network: Any, batch: int, order: Mapping[str, Any]) -> float:
    """Seconds of one training step, the quicker of two, after one that makes everything ready."""
    import torch

    network.train()
    # As many numbers per weight as training keeps: AdamW's two averages here, the averaged model in `average`.
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)
    average = [parameter.detach().clone() for parameter in network.parameters()]
    pictures = _pictures(batch, order)
    took = []
    for _ in range(3):
        start = time.perf_counter()
        loss, _items = network.loss(pictures)
        loss.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        took.append(time.perf_counter() - start)
    del average
    return min(took[1:])


def _pictures(batch: int, order: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    side, count = order["imgsz"], max(round(order["boxes"]), 1)
    generator = torch.Generator().manual_seed(0)
    return {
        "img": torch.rand(batch, 3, side, side, generator=generator),
        "cls": torch.randint(order["classes"], (batch * count, 1), generator=generator).float(),
        "bboxes": torch.rand(batch * count, 4, generator=generator) * 0.4 + 0.1,
        "batch_idx": torch.arange(batch).repeat_interleave(count).float(),
    }


def _autobatch(network: Any, order: Mapping[str, Any]) -> int:
    """Ultralytics' own measurement on a GPU: the batch that takes 60% of its memory.

    Raises:
        SystemExit: it could not measure; by default it would go on with 16, and say so in its log alone.
    """
    import torch
    from ultralytics.utils.autobatch import autobatch

    failed, device = 0, torch.device(order["device"])
    with torch.autocast(device.type), _last_remark() as remarks:
        batch = autobatch(network.to(device).train(), order["imgsz"], batch_size=failed,
                          max_num_obj=round(order["most_boxes"]), dataset_size=order["pictures"])  # fmt: skip
    if batch == failed:
        raise SystemExit(remarks[-1] if remarks else "Ultralytics could not measure it")
    return int(batch)


@contextmanager
def _last_remark() -> Iterator[list[str]]:
    """What Ultralytics warns of while the block runs, in one line each; nothing of it is printed."""
    from ultralytics.utils import LOGGER, remove_colorstr

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            remarks.append(" ".join(remove_colorstr(record.getMessage()).split()))

    remarks: list[str] = []
    before, level = LOGGER.handlers, LOGGER.level
    LOGGER.handlers = [Ear(logging.WARNING)]
    LOGGER.setLevel(logging.WARNING)
    try:
        yield remarks
    finally:
        LOGGER.handlers = before
        LOGGER.setLevel(level)


def _limit_memory(limit: int) -> None:
    """Memory beyond this is refused to this process, so that it and not the person's other programs pays for it."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _say(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
