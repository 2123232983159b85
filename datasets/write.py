"""Write a new dataset into the workspace, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import UsageError
from ..core.workspace import Workspace
from .formats.picture import Picture
from .model import Task
from .record import DatasetRecord, Origin


@dataclass(frozen=True)
class NewDataset:
    """What a new dataset is, apart from its pictures.

    Attributes:
        name: Its folder's name.
        names: Class names in order.
        extra: Further files to put into the folder: content by name.
        remarks: What was changed or left out on the way.
        link: Make hard links of the pictures where the disk allows it, instead of copies.
        replace: Replace a dataset of this name; without it that is an error.
    """

    name: str
    task: Task
    names: tuple[str, ...]
    origin: Origin
    licence: str | None = None
    remarks: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
    link: bool = False
    replace: bool = False


def write_dataset(
    workspace: Workspace, new: NewDataset, pictures: Iterable[Picture], total: int | None = None
) -> tuple[Path, DatasetRecord]:
    """Write a dataset with its record and return its folder: the YOLO layout for boxes, else a folder per class."""
    raise UsageError("not yet")
