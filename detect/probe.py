"""`--batch auto`: the batch size by real training steps on this machine, in seconds.

On a GPU it is Ultralytics' own measurement: the batch that takes 60% of the memory. On a CPU Ultralytics measures
nothing; there a few steps at batches of 2, 4, 8 and 16 are timed, in a process of their own that cannot take more
memory than is free. Ultralytics gathers the gradients of 64 pictures before it changes a weight, whatever the batch, so
a batch changes little of what is learned; it changes time and memory. So: the largest batch that is at most 10% slower
for each picture than the fastest one and takes at most 70% of the free memory. More than 16 makes BatchNorm hardly
steadier.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..core.child import python_command
from ..core.device import resolve_device, usable_cores
from ..core.errors import LensmithError
from ..core.memory import available_memory
from ..core.progress import say, warn
from .listing import USABLE, largest_batch, memory_of
from .survey import Survey

_BATCHES = (2, 4, 8, 16)
_SECONDS = 60.0  # for all of it, of which starting takes about ten
_SLOWER = 1.1  # two timings of the same differ by less, unless other programs run
_SHARE = 0.7


@dataclass(frozen=True)
class Step:
    """What one batch size took.

    Attributes:
        batch: Pictures.
        seconds: One training step.
        peak: Bytes of memory that the process had at most.
    """

    batch: int
    seconds: float
    peak: int

    @property
    def each(self) -> float:
        """Seconds for each picture."""
        return self.seconds / self.batch


@dataclass(frozen=True)
class Order:
    """What the process that measures needs to know: see `probe_child`."""

    model: str
    classes: int
    imgsz: int
    boxes: float
    most_boxes: int
    pictures: int
    device: str
    threads: int
    limit: int
    batches: tuple[int, ...]


def choose_batch(model: str, imgsz: int, found: Survey, device: str) -> tuple[int, str]:
    """The batch for a training, and why.

    Args:
        model: A detector's name.
        imgsz: Side of the training pictures in pixels.
        found: What the dataset is like.
        device: As in `core.device.parse_device`.

    Raises:
        LensmithError: not even two pictures a step fit into memory.
        UsageError: a GPU was asked for that is not there.
    """
    where = resolve_device(device)
    if not isinstance(where, str) and len(where) > 1:
        return 16 * len(where), f"--batch auto is {16 * len(where)}: 16 for each of {len(where)} GPUs, not measured"
    free = available_memory()
    order = Order(
        model=model, classes=max(found.classes, 1), imgsz=imgsz, boxes=found.boxes_each,
        most_boxes=max(found.most_in_one, 1), pictures=found.pictures,
        device="cpu" if isinstance(where, str) else f"cuda:{next(iter(where), 0)}", threads=usable_cores(),
        limit=round(free * USABLE), batches=tuple(b for b in _BATCHES if b <= max(found.pictures, 2)),
    )  # fmt: skip
    lines, problem = _measure(order)
    if lines and order.device != "cpu":
        batch = int(lines[-1]["batch"])
        return batch, f"--batch auto is {batch}: it takes 60% of the GPU's memory, measured"
    steps = [Step(line["batch"], line["seconds"], line["peak"]) for line in lines if "seconds" in line]
    if steps:
        return choose_step(steps, free)
    if any(line.get("full") for line in lines):
        raise LensmithError(
            f"There is not enough memory to train {model} at {imgsz} pixels, not even with two pictures a step.",
            next_step="use a smaller --imgsz or --size; `cv models` says what each takes",
        )
    memory, _, gpu = memory_of(device)
    batch = min(max(largest_batch(model, imgsz, memory, gpu=gpu), 1), 16)
    warn(f"the batch size could not be measured: {problem}")
    return batch, f"--batch auto is {batch}: estimated from the memory, for it could not be measured"


def choose_step(steps: list[Step], free: int) -> tuple[int, str]:
    """The best of the measured batch sizes, see the module.

    Args:
        steps: In the order of growing batches, at least one.
        free: Bytes of memory that are free.
    """
    fitting = [step for step in steps if step.peak <= free * _SHARE] or steps[:1]
    fastest = min(step.each for step in fitting)
    best = max((step for step in fitting if step.each <= fastest * _SLOWER), key=lambda step: step.batch)
    tried = ", ".join(f"{step.batch}: {step.each:.3f} s" for step in steps)
    return best.batch, (
        f"--batch auto is {best.batch}: seconds for each picture were {tried}; it takes about "
        f"{best.peak / 1e9:.1f} of {free / 1e9:.1f} GB of free memory; more is not faster or does not fit, and what is"
        " learned hardly changes: gradients are gathered over 64 pictures in any case"
    )


def _measure(order: Order) -> tuple[list[Mapping[str, Any]], str]:
    """The lines that the process wrote in its time, and what went wrong if it wrote none."""
    command = python_command("-m", f"{__package__}.probe_child")
    say(f"trying batch sizes for {order.model} at {order.imgsz} pixels ...")
    try:
        done = subprocess.run(
            command, input=json.dumps(asdict(order)), capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        written, problem = done.stdout, (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    except subprocess.TimeoutExpired as late:
        written, problem = late.stdout or "", "it took too long"
    text = written.decode(errors="replace") if isinstance(written, bytes) else written
    whole = text[: text.rfind("\n") + 1]  # a line may be cut off where it was stopped
    return [json.loads(line) for line in whole.splitlines()], problem
