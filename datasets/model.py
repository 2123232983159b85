"""What a dataset is to the rest of the house, whatever layout its files have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

Task = Literal["detect", "classify"]
Format = Literal["yolo", "coco", "voc", "folder"]
Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Boxes:
    """The labelled boxes of one picture.

    Attributes:
        cxcywh: float32 `(n, 4)`: centre x, centre y, width, height as fractions 0..1 of the upright picture.
        class_id: int64 `(n,)`, an index into the dataset's class names.
        polygons: How many of them were polygons on disk, of which the boxes around them are taken.
        leaning: How many of these polygons are rectangles that lean to a side, as an oriented box is written.
    """

    cxcywh: np.ndarray
    class_id: np.ndarray
    polygons: int = 0
    leaning: int = 0

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
        label: Absolute path where the label file of a detection picture belongs; it need not exist. In COCO the
            file that lists the picture, None when none does.
        class_id: The class of a classification picture; None in a detection dataset.
    """

    image: Path
    split: Split
    label: Path | None = None
    class_id: int | None = None


LabelFault = Literal[
    "unreadable",  # the whole label file
    "encoding",  # UTF-16, or bytes that are no text
    "not-a-number",
    "decimal-comma",
    "nan",
    "row-length",
    "unknown-class",
    "out-of-range",
    "no-area",
    "duplicate",
    "clipped",
    "one-based",  # Pascal VOC pixel coordinates that start at 1
    "size-differs",  # the label file says another picture size than the picture has
    "crowd",  # nothing but the outline of a crowd
]


@dataclass(frozen=True)
class LabelProblem:
    """One row of a label file that was left out or mended, and why.

    Attributes:
        file: The label file.
        row: Counted from 1; 0 for the whole file. In COCO the id of the annotation.
        reason: "left out: ..." or "clipped: ..." or "mended: ...", for a person.
        fault: The same for a program.
    """

    file: Path
    row: int
    reason: str
    fault: LabelFault

    @property
    def left_out(self) -> bool:
        """Whether the row is lost, not just mended or clipped."""
        return self.reason.startswith("left out")


def spoilt(boxes: Boxes, problems: Iterable[LabelProblem]) -> bool:
    """Whether a picture has labels of which none can be used: nobody knows what is on it, unlike an empty label file.

    Args:
        boxes: What `Dataset.boxes` gave.
        problems: The same.
    """
    return not len(boxes) and any(problem.left_out for problem in problems)


RemarkKind = Literal[
    "yaml-path",  # data.yaml names a folder that is elsewhere or not there
    "yaml-names",  # nc and names disagree
    "split-shared",  # two splits name one folder
    "split-none",  # nothing is split
    "links-leaving",  # links that lead out of the dataset
    "loose-pictures",  # pictures in no class folder
    "coco-category",  # a COCO category that groups others, or that nothing has
    "other-format",  # labels of a second format lie there too
    "coco-merged",  # several COCO files of one split list the same pictures
    "labels-left-out",  # annotations of crowds, or of no picture
    "labels-keypoints",  # boxes that come with points, which are not read
    "nested-folders",  # the dataset lies deeper in the folder than it was said to
]


@dataclass(frozen=True)
class Remark:
    """What a reader put right by itself, or left out, while it opened a dataset.

    Attributes:
        kind: For a program.
        what: One sentence for a person.
        files: What it is about.
    """

    kind: RemarkKind
    what: str
    files: tuple[Path, ...] = ()

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True)
class Dataset:
    """An opened dataset: ordered class names, and items read lazily from disk.

    Attributes:
        name: What it is called: its folder's name.
        root: Absolute path of its folder.
        task: "detect" or "classify".
        names: The class names in order; a class id is an index into it.
        format: The layout on disk.
        remarks: What the reader put right by itself: paths in data.yaml, say.
        stray_labels: Lists label files that belong to no picture; in COCO the pictures that are listed and not there.
        stated_size: The width and height in pixels that a picture's label file states, to be held against the
            picture's own; None where it states none, as in YOLO.
    """

    name: str
    root: Path
    task: Task
    names: tuple[str, ...]
    format: Format
    iterate: Callable[[Split], Iterator[Item]] = field(repr=False)
    read_boxes: Callable[[Item], tuple[Boxes, list[LabelProblem]]] | None = field(repr=False, default=None)
    remarks: tuple[Remark, ...] = ()
    stray_labels: Callable[[], Iterator[Path]] = field(repr=False, default=lambda: iter(()))
    stated_size: Callable[[Item], tuple[int, int] | None] = field(repr=False, default=lambda _item: None)

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
        return (Boxes.empty(), []) if self.read_boxes is None else self.read_boxes(item)

    def label(self, item: Item) -> tuple[Boxes | None, list[LabelProblem]]:
        """As `boxes`, but None where nobody knows what is on the picture: it has no label file, or one that is spoilt.

        Whoever writes a picture on must not make an empty label of these: that would say that nothing is on it.
        """
        boxes, problems = self.boxes(item)
        known = item.label is not None and item.label.is_file() and not spoilt(boxes, problems)
        return boxes if known else None, problems
