"""The Pascal VOC layout: one XML file a picture, beside it or in `Annotations`, and lists of the splits if any.

VOC counts pixels from 1, and an object's last pixel belongs to it; many tools that write VOC count from 0. Which of
the two holds is read off the numbers of the whole dataset.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import DataError
from ...core.images import ImageError, inspect_image
from ..model import Boxes, Dataset, Item, LabelProblem, Remark, Split
from .boxes import BadRowError, Rows, settle
from .pictures import Inside, not_followed, tell_leaving_links
from .voc_places import Home, find_homes, labelled, picture_names
from .voc_xml import BadXmlError, VocFile, VocObject, read_voc

OUR_DATABASE = "Lensmith"
"""What our own VOC files say they are part of; they count from 1."""


@dataclass
class _Evidence:
    """What the numbers of a dataset tell about where its pixels start."""

    names: set[str] = field(default_factory=set)
    objects: int = 0
    zeros: int = 0
    ones: int = 0
    full: int = 0
    beyond: int = 0
    fractions: int = 0
    ours: int = 0
    official: int = 0

    def take(self, found: VocFile) -> None:
        for voc_object in found.objects:
            self.objects += 1
            if voc_object.name:
                self.names.add(voc_object.name)
            try:
                (x1, y1, x2, y2), _, _ = voc_object.edges()
            except BadRowError:
                continue
            self.zeros += min(x1, y1) < 1
            self.ones += x1 == 1 or y1 == 1
            self.fractions += not all(value.is_integer() for value in (x1, y1, x2, y2))
            if found.width and found.height:
                self.full += x2 == found.width or y2 == found.height
                self.beyond += x2 > found.width or y2 > found.height
            self.ours += found.database == OUR_DATABASE
            self.official += found.database.startswith("The VOC20")

    @property
    def one_based(self) -> bool:
        if self.objects and (self.ours == self.objects or self.official == self.objects):
            return True
        return bool(self.ones and self.full and not (self.zeros or self.fractions))


def open_voc(root: Path) -> Dataset:
    """Open a Pascal VOC dataset. All XML files are read once here, for the class names; pictures are not.

    Classes are the names of the objects, sorted; objects marked as difficult count like others.

    Raises:
        DataError: no pictures with XML files, or no objects in any.
    """
    root = root.resolve()
    remarks: list[Remark] = []
    homes = find_homes(root, remarks)
    inside = Inside(root)
    evidence = _Evidence()
    for _, label in labelled(homes, root):
        if inside.holds(label):
            try:
                evidence.take(read_voc(label))
            except (BadXmlError, OSError):
                continue  # named when its picture's boxes are read
    _check(root, homes, evidence)
    names = tuple(sorted(evidence.names))
    numbers = {name: number for number, name in enumerate(names)}
    tell_leaving_links((home.pictures for home in homes), root, remarks)

    def iterate(split: Split) -> Iterator[Item]:
        for home in homes:
            for name in picture_names(home.pictures, root):
                if home.split_of(name) == split:
                    yield Item(home.pictures / name, split, (home.labels / name).with_suffix(".xml"))

    def read(item: Item) -> tuple[Boxes, list[LabelProblem]]:
        if item.label is None or not inside.holds(item.label):
            return Boxes.empty(), not_followed(item.label) if item.label else []
        return _boxes(item, item.label, numbers, one_based=evidence.one_based)

    def stated(item: Item) -> tuple[int, int] | None:
        try:
            found = read_voc(item.label) if item.label and inside.holds(item.label) else VocFile()
        except (BadXmlError, OSError):
            return None
        return (found.width, found.height) if found.width and found.height else None

    def stray() -> Iterator[Path]:
        for labels in dict.fromkeys(home.labels for home in homes):
            same = [home.pictures for home in homes if home.labels == labels]
            stems = {os.path.splitext(name)[0] for folder in same for name in picture_names(folder, root)}  # noqa: PTH122
            yield from (path for path in sorted(labels.glob("*.xml")) if path.stem not in stems)

    return Dataset(root.name, root, "detect", names, "voc", iterate, read, tuple(remarks), stray, stated)


def _boxes(item: Item, path: Path, numbers: Mapping[str, int], *, one_based: bool) -> tuple[Boxes, list[LabelProblem]]:
    rows, problems = Rows(), []
    try:
        found = read_voc(path)
        width, height = found.width, found.height
        if found.objects and not (width and height):
            info = inspect_image(item.image)
            width, height = info.width, info.height
    except (FileNotFoundError, NotADirectoryError):
        return Boxes.empty(), []
    except (BadXmlError, OSError, ImageError) as error:
        reason = f"left out: the whole file, {error}"
        if isinstance(error, ImageError):
            reason = f"left out: the whole file, it states no picture size, and of the picture {error.reason}"
        elif isinstance(error, OSError):
            reason = f"left out: the whole file, it cannot be read ({error.strerror or error})"
        return Boxes.empty(), [LabelProblem(path, 0, reason, "unreadable")]
    if found.odd_encoding:
        reason = "mended: the file is not in the encoding that it declares; read as Latin-1"
        problems.append(LabelProblem(path, 0, reason, "encoding"))
    if one_based and found.objects and found.database != OUR_DATABASE:
        reason = "mended: pixels are counted from 1 in this dataset, and were moved to count from 0"
        problems.append(LabelProblem(path, 0, reason, "one-based"))
    for number, voc_object in enumerate(found.objects, 1):
        try:
            class_id = _class_id(voc_object, numbers)
            (x1, y1, x2, y2), mended, polygon = voc_object.edges()
        except BadRowError as error:
            problems.append(LabelProblem(path, number, f"left out: {error}", error.fault))
            continue
        if mended:
            problems.append(LabelProblem(path, number, f"mended: {mended}", "no-area"))
        if one_based:  # the first pixel of the picture is 1, and its edge is 0; the last pixel's edge is its number
            x1, y1 = x1 - 1, y1 - 1
        box = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        rows.add(number, class_id, box, polygon=polygon)
    return settle(rows, path, problems), problems


def _class_id(voc_object: VocObject, numbers: Mapping[str, int]) -> int:
    if voc_object.name not in numbers:
        raise BadRowError("unknown-class", "it has no name")
    return numbers[voc_object.name]


def _check(root: Path, homes: Sequence[Home], evidence: _Evidence) -> None:
    if not homes:
        raise DataError(
            "The dataset has no pictures with Pascal VOC labels.",
            where=root,
            next_step="put each XML file beside its picture, named as that is: train/a.jpg, train/a.xml",
        )
    if not evidence.names:
        raise DataError(
            "The dataset has pictures but no labels: no XML file names an object.",
            where=root,
            next_step="export the dataset again, with its annotations",
        )
