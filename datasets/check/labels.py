"""One pass over the labels: what is wrong in them, and how many objects of each class there are."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...core.images import is_image
from ...core.words import many
from ..model import SPLITS, Boxes, Dataset, Item, spoilt
from .finding import Finding, Severity
from .items import Items
from .kinds import finding
from .looks import Looks

_COVERS_ALL = 0.95  # of the picture's area
_MOST_COVERING = 0.25  # share of boxes; where more cover everything, it is meant so
_MOST_CLIPPED, _FEWEST_MISREAD = 1 / 3, 3  # share of boxes past the edge that is no accident, and more than this many
_FEW_LEANING = 0.05  # share of the polygons: so few are rectangles by chance
_SAME_PLACE = 500  # steps across the picture: boxes whose corners fall on one step are in one place


@dataclass
class Labels:
    """What one pass over the labels saw.

    Attributes:
        objects: int64 `(3, classes)`: objects of each class in train, valid and test; in classification, pictures.
        having: The numbers of the pictures that have a class, by class.
        boxes: All boxes that can be used, `polygons` of them drawn as polygons, `leaning` of these as rectangles that
            lean.
        faults: Rows left out or mended, by fault: how many, and in which files.
    """

    objects: np.ndarray
    having: dict[int, array[int]] = field(default_factory=lambda: defaultdict(lambda: array("I")))
    boxes: int = 0
    polygons: int = 0
    leaning: int = 0
    faults: dict[str, Counter[Path]] = field(default_factory=lambda: defaultdict(Counter))
    reasons: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    unlabelled: list[int] = field(default_factory=list)
    without_objects: list[int] = field(default_factory=list)
    covering: list[int] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)
    with_polygons: list[int] = field(default_factory=list)
    with_boxes: int = 0


def read_all_labels(dataset: Dataset, items: Items) -> Labels:
    """Read the labels of all pictures once; no picture is opened."""
    seen = Labels(np.zeros((len(SPLITS), len(dataset.names)), np.int64))
    if dataset.task == "classify":
        np.add.at(seen.objects, (items.split, items.class_id), 1)
        for number, class_id in enumerate(items.class_id.tolist()):
            seen.having[class_id].append(number)
        return seen
    for number in range(len(items)):
        _read_one(dataset, items[number], number, seen)
    return seen


def _read_one(dataset: Dataset, item: Item, number: int, seen: Labels) -> None:
    boxes, problems = dataset.boxes(item)
    for problem in problems:
        seen.faults[problem.fault][problem.file] += 1
        seen.reasons[problem.fault][problem.reason] += 1
    if not len(boxes):
        if spoilt(boxes, problems):
            return
        labelled = item.label is not None and item.label.is_file()
        (seen.without_objects if labelled else seen.unlabelled).append(number)
        return
    seen.objects[SPLITS.index(item.split)] += np.bincount(boxes.class_id, minlength=len(dataset.names))
    for class_id in np.unique(boxes.class_id).tolist():
        seen.having[class_id].append(number)
    seen.boxes += len(boxes)
    seen.polygons += boxes.polygons
    seen.leaning += boxes.leaning
    if boxes.polygons:
        seen.with_polygons.append(number)
    seen.with_boxes += boxes.polygons < len(boxes)
    seen.covering += [number] * int((boxes.cxcywh[:, 2] * boxes.cxcywh[:, 3] > _COVERS_ALL).sum())
    if _has_conflict(boxes):
        seen.conflicts.append(number)


def _has_conflict(boxes: Boxes) -> bool:
    """Whether two boxes of different classes lie in the same place."""
    classes = boxes.class_id.tolist()
    if len(set(classes)) < 2:
        return False
    corners = boxes.xyxy(1, 1) * _SAME_PLACE
    for shift in (0.0, 0.5):  # two grids: what one cuts apart, the other holds together
        at: dict[tuple[int, ...], int] = {}
        for place, class_id in zip(np.floor(corners + shift).astype(np.int64).tolist(), classes, strict=True):
            if at.setdefault(tuple(place), class_id) != class_id:
                return True
    return False


def label_findings(dataset: Dataset, labels: Labels, looks: Looks) -> Iterator[Finding]:
    """Findings of the kinds label-... and picture-without-..."""
    if dataset.task == "classify":
        return
    items = looks.items
    yield from _strays(dataset)
    shared = _shared(dataset, items)
    if shared:
        yield finding("label-shared", f"{many(len(shared), 'picture')} sharing a label file.", _images(items, shared))
    if labels.unlabelled:
        what = f"{many(len(labels.unlabelled), 'picture')} without a label file."
        yield finding("picture-without-label", what, _images(items, labels.unlabelled))
    if labels.without_objects:
        lost = len(labels.without_objects) * 2 > len(items)
        severity: Severity = "warning" if lost else "note"
        share = ", more than half of all" if lost else ""
        what = f"{many(len(labels.without_objects), 'picture')} labelled as showing nothing{share}."
        yield finding("picture-without-objects", what, _images(items, labels.without_objects), severity=severity)
    yield from _row_findings(labels)
    yield from _box_findings(labels, items)
    differing = _size_differs(dataset, looks)
    if differing:
        what = f"{many(len(differing), 'label file')} with another size than the picture has."
        yield finding("label-size-differs", what, _labels(items, differing), len(differing))


def _strays(dataset: Dataset) -> Iterator[Finding]:
    strays = list(dataset.stray_labels())
    misnamed = [path for path in strays if path.suffix == ".txt" and is_image(path.with_suffix(""))]
    if misnamed:
        name = misnamed[0].name
        what = (
            f"{many(len(misnamed), 'label file')} called like pictures with .txt added; rename {name} to"
            f" {Path(name).with_suffix('').stem}.txt and so on."
        )
        found = finding("label-without-picture", what, misnamed, severity="problem")
        yield replace(found, why="The labels are there, but no tool finds them under these names.", fix="")
    rest = [path for path in strays if path not in set(misnamed)] if misnamed else strays
    if rest:
        yield finding("label-without-picture", f"{many(len(rest), 'label file')} without a picture.", rest)


def _shared(dataset: Dataset, items: Items) -> list[int]:
    """Pictures whose label file another picture has too."""
    if dataset.format not in {"yolo", "voc"}:
        return []
    count = Counter(items.label_path(number) for number in range(len(items)))
    return [number for number in range(len(items)) if count[items.label_path(number)] > 1 and items.label_path(number)]


def _row_findings(labels: Labels) -> Iterator[Finding]:
    for fault, files in labels.faults.items():
        rows = files.total()
        if fault == "clipped" and rows > _FEWEST_MISREAD and rows > labels.boxes * _MOST_CLIPPED:
            what = f"{rows} of {labels.boxes} boxes reach past the edge of their picture."
            yield finding("label-misread", what, files, rows)
            continue
        reasons = [reason for reason, _ in labels.reasons[fault].most_common(2)]
        done = reasons[0].partition(": ")[0] + ": "  # "left out", "mended" or "clipped", said once
        told = "; ".join(reason.removeprefix(done) for reason in reasons)
        told = f" {done}{told}{'; ...' if len(labels.reasons[fault]) > 2 else ''}"
        where = f" in {many(len(files), 'file')}" if rows > 1 else ""
        yield finding(f"label-{fault}", f"{many(rows, 'label row')}{where}{told}.", files, rows)


def _box_findings(labels: Labels, items: Items) -> Iterator[Finding]:
    if 0 < len(labels.covering) <= labels.boxes * _MOST_COVERING:
        what = f"{many(len(labels.covering), 'box covers', 'boxes cover')} more than 95% of the picture."
        yield finding("label-covers-all", what, _labels(items, labels.covering), len(labels.covering))
    if labels.conflicts:
        what = f"{many(len(labels.conflicts), 'picture')} with boxes of two classes in the same place."
        yield finding("label-conflict", what, _labels(items, labels.conflicts))
    if labels.leaning > labels.polygons * _FEW_LEANING:
        what = f"{labels.leaning} of {labels.boxes} objects are outlined by rectangles that lean to a side."
        yield finding("label-oriented", what, _labels(items, labels.with_polygons), labels.leaning)
    elif 0 < labels.polygons == labels.boxes:
        what = f"All {labels.boxes} objects are outlined by polygons; the boxes around them are used."
        yield finding("label-polygons", what, _labels(items, labels.with_polygons), labels.polygons)
    elif labels.polygons:
        what = f"{labels.polygons} of {labels.boxes} objects are outlined by polygons, the others by boxes."
        yield finding("label-polygons-mixed", what, _labels(items, labels.with_polygons), labels.polygons)


def _size_differs(dataset: Dataset, looks: Looks) -> list[int]:
    if dataset.format not in {"coco", "voc"}:
        return []
    found: list[int] = []
    for number in range(len(looks)):
        size = (int(looks.width[number]), int(looks.height[number]))
        stated = dataset.stated_size(looks.items[number]) if size[0] else None
        if stated is not None and stated != size:
            found.append(number)
    return found


def _images(items: Items, numbers: list[int]) -> list[Path]:
    return [Path(items.path(number)) for number in numbers]


def _labels(items: Items, numbers: list[int]) -> list[Path]:
    labels = (items[number].label for number in dict.fromkeys(numbers))
    return list(dict.fromkeys(path for path in labels if path is not None))
