"""`--model auto`, `--size auto` and `--imgsz auto`: rules by the dataset, the memory and the device, said in words.

They are rules of thumb with their reasons, not measurements on the person's data; `cv tune` and `cv compare` measure.

- **Family**: YOLO26, the newest with pretrained weights from Ultralytics. Where no file of it is on this machine and
  one of YOLO11 or YOLOv8 is, in `weights/` or our cache, that one: nothing has to be fetched. RT-DETR never: it wants
  more pictures, more epochs and several times the memory (`cv models`).
- **Size by data**: n below 200 pictures or 1,000 boxes, s below 2,000 pictures, m below 10,000, else l. A larger model
  has more to learn than a few hundred pictures teach; x pays only where time does not count: a person must ask for it.
- **Size by device**: on a CPU at most s, and n where an epoch of s would take more than ten minutes at 30e9 operations
  a second for each core. Anywhere the next smaller one while a training does not fit into 80% of the memory.
- **Picture size**: large enough for the smallest tenth of the boxes to reach 12 pixels: a detector's finest grid is 8
  pixels wide, and what is smaller than a cell is hardly found. At least 320 pixels on a CPU and 640 on a GPU, at most
  640 and 1280, for time grows with the square; never larger than the pictures are, for enlarging shows nothing new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ..core.device import usable_cores
from ..core.workspace import Workspace
from .catalog import Card, card_of, cards, pretrained_file, training_bytes
from .listing import USABLE, memory_of
from .models import grid_of
from .survey import Survey

_FAMILIES = ("yolo26", "yolo11", "yolov8")  # for which pretrained weights of all sizes are published
_BOX_PIXELS = 12
_FLOOR = {"cpu": 320, "gpu": 640}
_CAP = {"cpu": 640, "gpu": 1280}
_OPERATIONS_PER_CORE = 30e9
_SLOW_EPOCH_SECONDS = 600.0
_LEARNING_BATCH = 4  # the least that a size is chosen for; --batch auto takes more where there is room


@dataclass(frozen=True)
class Chosen:
    """A choice, and why in a sentence."""

    value: str
    why: str


def choose_imgsz(found: Survey, model: str, device: str) -> tuple[int, str]:
    """The side of the training pictures in pixels, and why; see the module.

    Args:
        found: What the dataset is like.
        model: The detector's name, for its grid.
        device: As in `core.device.parse_device`.
    """
    kind = "gpu" if memory_of(device)[2] else "cpu"
    grid = grid_of(model)
    needed = _BOX_PIXELS / found.small_box if found.small_box else _FLOOR[kind]
    side = min(max(needed, _FLOOR[kind]), _CAP[kind])
    own = found.long_side or side
    side = max(math.ceil(min(side, own) / grid) * grid, 2 * grid)
    smallest = found.small_box * side
    why = f"--imgsz auto is {side}: the longer side of the pictures is about {found.long_side} pixels"
    why += f", and the smallest tenth of the boxes then measures up to {smallest:.0f}" if found.small_box else ""
    if found.small_box and smallest < _BOX_PIXELS:
        why += f"; that is little for a detector, and {'no more is there' if own <= side else 'more costs much time'}"
    return side, why


def choose_size(family: str, found: Survey, imgsz: int, device: str) -> Chosen:
    """The detector of a family that suits the dataset and the device; see the module.

    Args:
        family: One in `catalog.families`.
        found: What the dataset is like.
        imgsz: Side of the training pictures in pixels.
        device: As in `core.device.parse_device`.
    """
    ladder = sorted((card for card in cards() if card.family == family and card.size), key=lambda card: card.parameters)
    step, why = _by_data(found)
    step = min(step, len(ladder) - 1)
    memory, where, gpu = memory_of(device)
    if not gpu and step:
        bearable = int(_epoch_seconds(ladder[1], found, imgsz) <= _SLOW_EPOCH_SECONDS)
        why += ", but on a CPU it takes too long" if bearable < step else ""
        step = min(step, bearable)
    fitting = step
    while fitting and training_bytes(ladder[fitting].name, imgsz, _LEARNING_BATCH, gpu=gpu) > memory * USABLE:
        fitting -= 1
    if fitting < step:
        why += f", but it does not fit {where}"
    return Chosen(ladder[fitting].name, f"--size auto is {ladder[fitting].size}: {why}")


def choose_family(workspace: Workspace) -> Chosen:
    """The family for `--model auto`; see the module."""
    newest, *older = _FAMILIES
    if _files_of(newest, workspace):
        return Chosen(newest, f"--model auto is {newest}: the newest, and its weights are on this machine")
    for family in older:
        # What lies about in the current folder was put there for something else, and may be gone tomorrow.
        kept = [path for path in _files_of(family, workspace) if path.parent != Path.cwd()]
        if kept:
            reason = f"{kept[0]} is here, and no weights of the newer {newest} are"
            return Chosen(family, f"--model auto is {family}: {reason} (--model {newest}n would fetch them)")
    return Chosen(_FAMILIES[0], f"--model auto is {_FAMILIES[0]}: the newest with pretrained weights")


def _files_of(family: str, workspace: Workspace) -> list[Path]:
    """The pretrained files of a family that are on this machine, the smallest model's first."""
    found = (pretrained_file(card.name, workspace) for card in cards() if card.family == family)
    return [path for path in found if path]


def _by_data(found: Survey) -> tuple[int, str]:
    """Which step of the ladder n, s, m, l the dataset asks for."""
    facts = f"{found.pictures} training pictures with {found.boxes} boxes"
    if found.pictures < 200 or found.boxes < 1_000:
        return 0, f"{facts} teach a larger one little"
    for step, (most, size) in enumerate(((2_000, "small"), (10_000, "medium")), start=1):
        if found.pictures < most:
            return step, f"{facts} are enough for a {size} one"
    return 3, f"{facts} are enough for a large one"


def _epoch_seconds(card: Card, found: Survey, imgsz: int) -> float:
    operations = card_of(card.name).macs * 1e9 * 2 * 3 * (imgsz / 640) ** 2  # backwards costs twice what forwards does
    return operations * found.pictures / (_OPERATIONS_PER_CORE * usable_cores())
