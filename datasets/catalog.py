"""The datasets of a workspace: which there are, and what is in one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from ..core.errors import DataError
from ..core.images import is_image
from ..core.workspace import Workspace
from .contents import Content, read_contents
from .fingerprint import Fingerprint
from .formats.data_yaml import YAML_NAMES
from .model import SPLITS, Boxes, Dataset, Item, Split, Task
from .read import open_dataset
from .record import RECORD_NAME, DatasetRecord, read_record, verify

SMALL, LARGE = 32**2, 96**2
"""Areas in pixels between small, medium and large boxes, as the COCO evaluation has them."""


@dataclass(frozen=True)
class Entry:
    """One dataset in the list.

    Attributes:
        name: Its folder's name.
        folder: Its folder.
        task: "detect" or "classify"; None when it cannot be opened.
        counts: Pictures by split, as recorded; counted where there is no record.
        names: The class names.
        bytes: What its files take.
        source: Where it came from, in words.
        licence: None when nobody stated one.
        created: When it was made; None for a folder without a record.
        recorded: Whether it has a dataset.json.
        problem: Why it cannot be opened; empty when it can.
    """

    name: str
    folder: Path
    task: Task | None
    counts: dict[str, int]
    names: tuple[str, ...]
    bytes: int
    source: str
    licence: str | None
    created: datetime | None
    recorded: bool
    problem: str = ""


@dataclass(frozen=True)
class ClassCount:
    """How often a class occurs in a split: in how many pictures, and how many boxes it has there.

    In a classification no class has boxes.
    """

    pictures: int
    boxes: int


@dataclass(frozen=True)
class BoxSizes:
    """How large the boxes are.

    Attributes:
        small, medium, large: How many, by their area in pixels of the picture as it is on disk, parted at 32 x 32 and
            96 x 96.
        median_side: Square root of the median area, in pixels.
        median_share: Median share of the picture's area, 0..1.
        most: The most boxes on one picture.
    """

    small: int
    medium: int
    large: int
    median_side: float
    median_share: float
    most: int


@dataclass(frozen=True)
class Details:
    """All about one dataset.

    Attributes:
        entry: What the list says.
        counts: Pictures by split, as they are on disk.
        classes: By split, one for each class name in order.
        empty: Pictures without objects by split.
        sizes: Picture sizes in pixels (width, height) and how many have them, the most frequent first.
        boxes: None for a classification, or when there is no box.
        label_problems: How many label rows are left out or mended.
        unreadable: Pictures that cannot be used, and why.
        fingerprint: As it is on disk; empty when a picture cannot be read at all.
        record: Its dataset.json.
        changed: Files that are missing or changed since they were recorded; None without a record.
        unrecorded: Pictures that came after the record; none without one.
        remarks: What the reader put right, and what was noted when the dataset was made.
    """

    entry: Entry
    counts: dict[Split, int]
    classes: dict[Split, tuple[ClassCount, ...]]
    empty: dict[Split, int]
    sizes: tuple[tuple[tuple[int, int], int], ...]
    boxes: BoxSizes | None
    label_problems: int
    unreadable: tuple[tuple[Path, str], ...]
    fingerprint: str
    record: DatasetRecord | None
    changed: tuple[str, ...] | None
    unrecorded: tuple[Path, ...]
    remarks: tuple[str, ...]


def list_datasets(workspace: Workspace) -> tuple[list[Entry], list[Path]]:
    """The datasets in `datasets/`, by name, also those without a record and those that cannot be opened.

    Returns:
        The datasets, and the folders that hold none: neither a record nor a data.yaml nor a picture.
    """
    found: list[Entry] = []
    others: list[Path] = []
    for folder in sorted(workspace.datasets.iterdir()) if workspace.datasets.is_dir() else ():
        if folder.is_dir() and not folder.name.startswith("."):
            if _could_be_dataset(folder):
                found.append(describe_folder(folder, workspace))
            else:
                others.append(folder)
    return found, others


def _could_be_dataset(folder: Path) -> bool:
    return any(
        name in {RECORD_NAME, *YAML_NAMES} or is_image(Path(name)) for _, _, files in os.walk(folder) for name in files
    )


def describe_folder(folder: Path, workspace: Workspace) -> Entry:
    """What the list says about one dataset; takes its record's word for what the folder holds."""
    size = _bytes_of(folder)
    try:
        record = read_record(folder)
        if record is not None:
            return Entry(folder.name, folder, record.task, record.counts, record.names, size, str(record.origin),
                         record.licence, record.created, recorded=True)  # fmt: skip
        dataset = open_dataset(folder, workspace)
    except DataError as error:
        return Entry(folder.name, folder, None, {}, (), size, "", None, None, (folder / RECORD_NAME).exists(),
                     error.what)  # fmt: skip
    counts = {split: count for split in SPLITS if (count := dataset.count(split))}
    return Entry(folder.name, folder, dataset.task, counts, dataset.names, size, "a folder, no record", None,
                 None, recorded=False)  # fmt: skip


def show_dataset(dataset: Dataset, workspace: Workspace, advance: Callable[[float], None] | None = None) -> Details:
    """Go through a dataset and count; compare its files with its record.

    Every file is read once and hashed, but for pictures that `cv check-dataset` has seen and that did not change since.

    Args:
        dataset: An opened dataset; its files are only read.
        workspace: For the names in the list.
        advance: Called with 1 after each picture, for a progress bar.

    Raises:
        DataError: its record is damaged.
    """
    record = read_record(dataset.root)
    tally = _Tally(dataset)
    for item, content in read_contents(dataset, advance):
        tally.add(item, content)
    told = [str(remark) for remark in dataset.remarks]
    return Details(
        entry=describe_folder(dataset.root, workspace),
        counts=tally.counts,
        classes={split: tally.classes(split) for split in SPLITS if tally.counts[split]},
        empty=tally.empty,
        sizes=tuple(tally.sizes.most_common()),
        boxes=tally.box_sizes(),
        label_problems=tally.label_problems,
        unreadable=tuple(tally.unreadable),
        fingerprint="" if tally.unread else tally.fingerprint.hexdigest(),
        record=record,
        changed=None if record is None else tuple(verify(dataset.root, record, tally.hashes)),
        unrecorded=tuple(tally.not_in(record)) if record else (),
        remarks=(*told, *(remark for remark in (record.remarks if record else ()) if remark not in told)),
    )


class _Tally:
    """What is counted while the pictures go by."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._with: dict[Split, np.ndarray] = {split: np.zeros(len(dataset.names), np.int64) for split in SPLITS}
        self._boxes: dict[Split, np.ndarray] = {split: np.zeros(len(dataset.names), np.int64) for split in SPLITS}
        self._areas: list[np.ndarray] = []
        self._shares: list[np.ndarray] = []
        self._most = 0
        self.fingerprint = Fingerprint(dataset.task, dataset.names)
        self.hashes: dict[Path, str] = {}
        self.counts: dict[Split, int] = dict.fromkeys(SPLITS, 0)
        self.empty: dict[Split, int] = dict.fromkeys(SPLITS, 0)
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.unreadable: list[tuple[Path, str]] = []
        self.unread = 0
        self.label_problems = 0

    def add(self, item: Item, content: Content) -> None:
        self.counts[item.split] += 1
        if content.reason:
            self.unreadable.append((item.image, content.reason))
        else:
            self.sizes[content.width, content.height] += 1
        label: Boxes | int | None = item.class_id
        if item.class_id is not None:
            self._with[item.split][item.class_id] += 1
        else:
            label, problems = self._dataset.boxes(item)
            self.label_problems += len(problems)
            self._add_boxes(item.split, label, content)
        if content.sha256:
            self.hashes[item.image] = content.sha256
            self.fingerprint.add(item.split, content.sha256, label)
        else:
            self.unread += 1

    def _add_boxes(self, split: Split, boxes: Boxes, content: Content) -> None:
        self.empty[split] += not len(boxes)
        self._most = max(self._most, len(boxes))
        np.add.at(self._boxes[split], boxes.class_id, 1)
        self._with[split][np.unique(boxes.class_id)] += 1
        shares = boxes.cxcywh[:, 2] * boxes.cxcywh[:, 3]
        self._shares.append(shares)
        if content.width:
            self._areas.append(shares * np.float32(content.width * content.height))

    def not_in(self, record: DatasetRecord) -> Iterator[Path]:
        for path in self.hashes:
            if path.relative_to(self._dataset.root).as_posix() not in record.files:
                yield path

    def classes(self, split: Split) -> tuple[ClassCount, ...]:
        pairs = zip(self._with[split].tolist(), self._boxes[split].tolist(), strict=True)
        return tuple(ClassCount(pictures, boxes) for pictures, boxes in pairs)

    def box_sizes(self) -> BoxSizes | None:
        areas = np.concatenate(self._areas) if self._areas else np.zeros(0)
        if not len(areas):
            return None
        small, large = int((areas < SMALL).sum()), int((areas >= LARGE).sum())
        return BoxSizes(
            small=small, medium=len(areas) - small - large, large=large, median_side=float(np.sqrt(np.median(areas))),
            median_share=float(np.median(np.concatenate(self._shares))), most=self._most,
        )  # fmt: skip


def _bytes_of(folder: Path) -> int:
    total = 0
    for directory, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(f"{directory}/{name}").st_size
            except OSError:  # removed meanwhile
                continue
    return total
