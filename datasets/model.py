"""What a dataset is to the rest of the house, whatever layout its files have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

Task = Literal["detect", "classify"]
Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Boxes:
    """The labelled boxes of one picture.

    Attributes:
        cxcywh: float32 `(n, 4)`: centre x, centre y, width, height as fractions 0..1 of the upright picture.
        class_id: int64 `(n,)`, an index into the dataset's class names.
    """

    cxcywh: np.ndarray
    class_id: np.ndarray

    @classmethod
    def empty(cls) -> Boxes:
        """No boxes."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.class_id)

    def xyxy(self, width: int, height: int) -> np.ndarray:
        """The same boxes as float32 `(n, 4)` corners in pixels of a picture of this size."""
        cx, cy, w, h = (self.cxcywh * np.array([width, height, width, height], np.float32)).T
        return np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=1).astype(np.float32).reshape(-1, 4)


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a dataset. Holds paths only: a hundred thousand of them cost little memory.

    Attributes:
        image: Absolute path of the picture.
        split: "train", "valid" or "test".
        label: Absolute path where the label file of a detection picture belongs; it need not exist.
        class_id: The class of a classification picture; None in a detection dataset.
    """

    image: Path
    split: Split
    label: Path | None = None
    class_id: int | None = None


@dataclass(frozen=True)
class LabelProblem:
    """One row of a label file that was left out or mended, and why."""

    file: Path
    row: int
    reason: str


@dataclass(frozen=True)
class Dataset:
    """An opened dataset: ordered class names, and items read lazily from disk.

    Attributes:
        name: What it is called: its folder's name.
        root: Absolute path of its folder.
        task: "detect" or "classify".
        names: The class names in order; a class id is an index into it.
        format: The layout on disk: "yolo" or "folder".
        remarks: What the reader put right by itself (paths in data.yaml, say), one sentence each.
    """

    name: str
    root: Path
    task: Task
    names: tuple[str, ...]
    format: Literal["yolo", "folder"]
    iterate: Callable[[Split], Iterator[Item]] = field(repr=False)
    read_label_file: Callable[[Path], tuple[Boxes, list[LabelProblem]]] | None = field(repr=False, default=None)
    remarks: tuple[str, ...] = ()

    def items(self, *splits: Split) -> Iterator[Item]:
        """The pictures of the splits given, of all when none is, in a fixed order (by path within a split)."""
        for split in splits or SPLITS:
            yield from self.iterate(split)

    def count(self, *splits: Split) -> int:
        """How many pictures the splits hold."""
        return sum(1 for _ in self.items(*splits))

    def boxes(self, item: Item) -> tuple[Boxes, list[LabelProblem]]:
        """The boxes of a detection picture, and the rows that could not be used as they stand.

        No label file, or an empty one, means a picture without objects: no boxes.
        """
        if self.read_label_file is None or item.label is None:
            return Boxes.empty(), []
        return self.read_label_file(item.label)
