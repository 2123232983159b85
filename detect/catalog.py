"""What each detector weighs and needs, by the table of `benchmarks/detector_catalog.py`. Loads no Ultralytics.

How the memory of a training is estimated, and how far it can be trusted: see `training_bytes`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UsageError
from ..core.workspace import Workspace
from ..weights.pretrained import on_this_machine
from .catalog_table import TABLE
from .models import asset_name, detector_names

SIZES = ("n", "s", "m", "l", "x")

# Fitted to peaks that were measured, see `training_bytes`.
_START_BYTES = 770_000_000  # Python, torch and Ultralytics without a model
_BYTES_PER_PARAMETER = 23  # the weight, its gradient, the optimizer's two averages, the averaged model, and some room
_ACTIVATIONS = 1.23  # what a step needs at its peak, as a multiple of what it keeps for its backward pass
_GPU_ACTIVATIONS = 0.7  # the same in half precision, which not all of a step is


@dataclass(frozen=True)
class Card:
    """A detector in figures.

    Attributes:
        name: "yolo26n".
        family: The name without its size: "yolo26", "yolov8-p2"; for a model of one size its name.
        size: "n", "s", "m", "l", "x" or what its family has in their place; "" for a model of one size.
        parameters: How many numbers it learns, with 80 classes.
        file_bytes: What its tensors take in a half-precision file, which is how pretrained files come.
        macs: Multiply-adds of one forward pass at 640 pixels, in 1e9.
    """

    name: str
    family: str
    size: str
    parameters: int
    file_bytes: int
    macs: float


def card_of(name: str) -> Card:
    """The figures of one detector."""
    parameters, file_bytes, macs, _, _ = TABLE[name]
    family, size = family_of(name)
    return Card(name, family, size, parameters, file_bytes, macs)


def cards() -> list[Card]:
    """Every detector that the installed Ultralytics has and the table knows, families from the newest down."""
    known = [card_of(name) for name in detector_names() if name in TABLE]
    return sorted(known, key=lambda card: (_age(card.family), card.family, card.parameters))


def family_of(name: str) -> tuple[str, str]:
    """Family and size of a detector's name: "yolov8m-p2" is ("yolov8-p2", "m")."""
    if match := re.fullmatch(r"(yolov?(?:10|11|12|26|\d))([a-z])(-.+)?", name):
        return f"{match[1]}{match[3] or ''}", match[2]
    if match := re.fullmatch(r"(rtdetr)-([lx])", name):
        return match[1], match[2]
    return name, ""


def named(family: str, size: str) -> str:
    """The detector of this family and size.

    Raises:
        UsageError: the family has no such size; with those it has.
    """
    found = {card.size: card.name for card in cards() if card.family == family and card.size}
    if size not in found:
        there = ", ".join(found) if found else "one size alone"
        raise UsageError(
            f"{family} does not come in size {size}: it has {there}.",
            where="--size",
            next_step=f"use --size {next(iter(found))}" if found else f"leave --size out: --model {family}",
        )
    return found[size]


def families() -> set[str]:
    """The families that come in sizes."""
    return {card.family for card in cards() if card.size}


def training_bytes(name: str, imgsz: int, batch: int, *, gpu: bool = False) -> int:
    """About how much memory a training takes, in bytes: of the GPU, or of the process on a CPU.

    What a step keeps for its backward pass was counted exactly for every detector (`catalog_table`). On a CPU the peak
    of the process is 770 MB for the libraries, 23 bytes for each parameter, and 1.23 times what is kept: fitted to 11
    peaks of five detectors at 256 to 640 pixels and batches of 2 to 16, which it meets within 4%. Pictures kept in
    memory come on top. On a GPU what is kept is mostly in half precision; 0.7 is a cautious guess and not measured.
    """
    parameters, _, _, per_pixel, fixed = TABLE[name]
    kept = batch * (per_pixel * imgsz**2 + fixed)
    share = _GPU_ACTIVATIONS if gpu else _ACTIVATIONS
    return round(_START_BYTES + parameters * _BYTES_PER_PARAMETER + kept * share)


def pretrained_file(name: str, workspace: Workspace) -> Path | None:
    """The official pretrained file of a detector if it is on this machine already."""
    return on_this_machine(asset_name(name), workspace)


def _age(family: str) -> int:
    """Families from the newest down, RT-DETR after them."""
    match = re.match(r"yolov?(\d+)", family)
    return -int(match[1]) if match and "rtdetr" not in family else 0
