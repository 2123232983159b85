"""What `cv models` says: every detector, and what of it this machine can train."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.device import resolve_device
from ..core.errors import NotFoundError
from ..core.extras import need_extra
from ..core.memory import gpu_memory, total_memory
from ..core.workspace import Workspace
from ..weights.checksums import PUBLISHED
from .catalog import Card, cards, pretrained_file, training_bytes
from .models import YOLOV7, YOLOV7_NEAREST, asset_name, has_pretrained

USABLE = 0.8  # of the memory; the rest is for the system and for pictures


@dataclass(frozen=True)
class Row:
    """One detector.

    Attributes:
        card: Its figures.
        memory: About how many bytes a training takes.
        fits: Whether this machine has them.
        largest_batch: The largest batch, a power of two, that fits; 0 when not even one picture does.
        pretrained: Its official file when it is on this machine.
        published: Whether there is an official file at all.
        checksum: Whether a published checksum of that file is known.
    """

    card: Card
    memory: int
    fits: bool
    largest_batch: int
    pretrained: Path | None
    published: bool
    checksum: bool

    @property
    def pretrained_words(self) -> str:
        """Whether there are weights to start from, in words."""
        if self.pretrained:
            return "here"
        if not self.published:
            return "none"
        return "official" if self.checksum else "unchecked"


@dataclass(frozen=True)
class Listing:
    """Rows, and what they hold for.

    Attributes:
        rows: The detectors, families from the newest down.
        imgsz: Pixels.
        batch: Pictures a step.
        where: "the CPU with 23.5 GB", in words.
        not_here: Detectors that people look for and that cannot be trained, with the nearest that can.
    """

    rows: tuple[Row, ...]
    imgsz: int
    batch: int
    where: str
    not_here: dict[str, str]
    why_not_here: str = YOLOV7

    def as_record(self) -> dict[str, Any]:
        """For `--json`: bytes, pixels and counts as whole numbers."""
        return {
            "imgsz": self.imgsz,
            "batch": self.batch,
            "where": self.where,
            "models": [
                {
                    "name": row.card.name, "family": row.card.family, "size": row.card.size,
                    "parameters": row.card.parameters, "file_bytes": row.card.file_bytes,
                    "macs": row.card.macs, "training_bytes": row.memory, "fits": row.fits,
                    "largest_batch": row.largest_batch, "published": row.published, "checksum": row.checksum,
                    "pretrained": str(row.pretrained) if row.pretrained else None,
                }
                for row in self.rows
            ],
            "not_here": {old: {"nearest": near, "why": self.why_not_here} for old, near in self.not_here.items()},
        }  # fmt: skip


def list_detectors(
    part: str | None, workspace: Workspace, *, imgsz: int = 640, batch: int = 16, device: str = "auto"
) -> Listing:
    """The detectors of the installed Ultralytics.

    Args:
        part: Only names with this in them; None takes all.
        workspace: Where pretrained files may lie.
        imgsz: Side of the training pictures in pixels.
        batch: Pictures a step.
        device: As in `core.device.parse_device`.

    Raises:
        MissingExtraError: Ultralytics is not installed.
        NotFoundError: no name has `part` in it.
        UsageError: a GPU was asked for that is not there.
    """
    need_extra("detect", "Listing detectors")
    wanted = (part or "").strip().lower().removesuffix(".pt")
    not_here = {old: near for old, near in YOLOV7_NEAREST.items() if wanted in old}
    found = [card for card in cards() if wanted in card.name or wanted == card.family]
    if not found and not not_here:
        near = difflib.get_close_matches(wanted, {card.family for card in cards()}, n=3, cutoff=0.6)
        raise NotFoundError(f"There is no detector with '{part}' in its name.",
                            next_step=f"try {' or '.join(near) or 'yolo26'}, or `cv models` for all")  # fmt: skip
    memory, where, gpu = memory_of(device)
    rows = tuple(_row(card, workspace, imgsz, batch, memory, gpu) for card in found)
    return Listing(rows, imgsz, batch, where, not_here)


def memory_of(device: str) -> tuple[int, str, bool]:
    """Bytes of memory that a training on this device can have, the device in words, and whether it is a GPU."""
    where = resolve_device(device)
    if not isinstance(where, str) and (found := gpu_memory(int(where[0]))):
        return found, f"GPU {where[0]} with {found / 1e9:.1f} GB", True
    return total_memory(), f"this machine's CPU and {total_memory() / 1e9:.1f} GB of memory", False


def largest_batch(name: str, imgsz: int, memory: int, *, gpu: bool, most: int = 64) -> int:
    """The largest power of two that a training of this detector has memory for, 0 for none."""
    batch = most
    while batch and training_bytes(name, imgsz, batch, gpu=gpu) > memory * USABLE:
        batch //= 2
    return batch


def _row(card: Card, workspace: Workspace, imgsz: int, batch: int, memory: int, gpu: bool) -> Row:
    needed = training_bytes(card.name, imgsz, batch, gpu=gpu)
    published = has_pretrained(card.name)
    return Row(
        card=card,
        memory=needed,
        fits=needed <= memory * USABLE,
        largest_batch=largest_batch(card.name, imgsz, memory, gpu=gpu),
        pretrained=pretrained_file(card.name, workspace) if published else None,
        published=published,
        checksum=asset_name(card.name) in PUBLISHED,
    )
