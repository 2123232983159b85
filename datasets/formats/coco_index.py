"""What one COCO file says, in arrays: a million annotations take about 60 MB."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..model import LabelFault
from .json_stream import entries

BOX, POLYGON, CROWD, NO_BOX, NOT_A_NUMBER, NAN, UNKNOWN = range(7)
FAULTS: dict[int, tuple[LabelFault, str]] = {
    NO_BOX: ("row-length", "it has no bbox of four numbers, and no polygon to take one from; masks are not read"),
    NOT_A_NUMBER: ("not-a-number", "its bbox holds something that is not a number"),
    NAN: ("nan", "its bbox holds NaN or infinity"),
    UNKNOWN: ("unknown-class", "its category_id is that of no category"),
}
"""What is wrong with an annotation, by its verdict; BOX and POLYGON are fine, CROWD is left out on purpose."""
_MOST_SIDE = 10_000_000
_MOST_CATEGORIES = 100_000
_INT64 = 1 << 63


@dataclass(frozen=True)
class Category:
    """A category of a COCO file; `annotations` is how many boxes it has there, `keypoints` whether they have points."""

    name: str
    parent: str
    keypoints: bool
    annotations: int


@dataclass
class CocoIndex:
    """One COCO file. Annotations are sorted by picture; those of picture i are `start[i]:start[i + 1]`.

    Attributes:
        path: The file.
        categories: In the order of their ids; None where annotations use an id that no category has.
        file_names: Of the pictures, as they stand in the file.
        size_wh: int64 `(pictures, 2)` in pixels; 0 where the file does not say.
        start: int64 `(pictures + 1,)`.
        number: int64 `(annotations,)`: their ids, or their places in the file counted from 1.
        category: int32 `(annotations,)`, an index into `categories`.
        xywh: float64 `(annotations, 4)`: left, top, width, height in pixels.
        verdict: uint8 `(annotations,)`: BOX, POLYGON, ...
        orphans: How many annotations belong to no picture.
        twice: How many pictures have the id of another.
        licences: What the file says about licences.
    """

    path: Path
    categories: list[Category | None]
    file_names: list[str]
    size_wh: np.ndarray
    start: np.ndarray
    number: np.ndarray
    category: np.ndarray
    xywh: np.ndarray
    verdict: np.ndarray
    orphans: int
    twice: int
    licences: tuple[str, ...]


def read_coco(path: Path) -> CocoIndex:
    """Read a COCO file, annotation by annotation.

    An entry that is not what it should be is left out or given a verdict; it never costs the others.

    Raises:
        DataError: it cannot be read as JSON.
    """
    gathered = _Gathered()
    early = False
    for key, entry in entries(path, {"images", "annotations", "categories", "licenses"}):
        if key == "annotations" and not gathered.file_names:
            early = True  # they stand before the pictures: a second reading is cheaper than keeping them
        elif not (early and key == "annotations"):
            gathered.take(key, entry)
    if early:
        for key, entry in entries(path, {"annotations"}):
            gathered.take(key, entry)
    return gathered.index(path)


@dataclass
class _Gathered:
    """What has been read so far."""

    file_names: list[str] = field(default_factory=list)
    sizes: array[int] = field(default_factory=lambda: array("q"))
    image_of: dict[Any, int] = field(default_factory=dict)
    place_of: dict[str, int] = field(default_factory=dict)
    named: dict[Any, tuple[str, str, bool]] = field(default_factory=dict)
    slot_of: dict[Any, int] = field(default_factory=dict)
    image: array[int] = field(default_factory=lambda: array("q"))
    number: array[int] = field(default_factory=lambda: array("q"))
    category: array[int] = field(default_factory=lambda: array("i"))
    xywh: array[float] = field(default_factory=lambda: array("d"))
    verdict: array[int] = field(default_factory=lambda: array("B"))
    seen: int = 0
    orphans: int = 0
    twice: int = 0
    licences: list[str] = field(default_factory=list)

    def take(self, key: str, entry: object) -> None:
        if not isinstance(entry, dict):
            if key == "annotations":
                self.orphans += 1
        elif key == "annotations":
            self.annotation(entry)
        elif key == "images":
            self.picture(entry)
        elif key == "categories":
            identity = _identity(entry.get("id"))
            if identity is not None and identity not in self.named and len(self.named) < _MOST_CATEGORIES:
                name = str(entry.get("name", "")).strip()
                parent = str(entry.get("supercategory", "")).strip()
                self.named[identity] = (name or f"category {identity}", parent, bool(entry.get("keypoints")))
        elif entry.get("name") and len(self.licences) < 10:
            self.licences.append(str(entry["name"])[:200])

    def picture(self, entry: dict[str, Any]) -> None:
        identity, name = _identity(entry.get("id")), entry.get("file_name")
        if identity is None or not isinstance(name, str) or not name or "\0" in name:
            return
        if identity in self.image_of:
            self.twice += 1
            return
        if name not in self.place_of:
            self.place_of[name] = len(self.file_names)
            self.file_names.append(name)
            self.sizes.extend((_side(entry.get("width")), _side(entry.get("height"))))
        self.image_of[identity] = self.place_of[name]

    def annotation(self, entry: dict[str, Any]) -> None:
        self.seen += 1
        place = self.image_of.get(_identity(entry.get("image_id")))
        if place is None:
            self.orphans += 1
            return
        category = _identity(entry.get("category_id"))
        slot = self.slot_of.get(category)
        if slot is None:
            if len(self.slot_of) >= _MOST_CATEGORIES:
                category = None
            slot = self.slot_of.setdefault(category, len(self.slot_of))
        verdict, xywh = _box(entry)
        own = entry.get("id")
        self.image.append(place)
        self.number.append(own if isinstance(own, int) and -_INT64 <= own < _INT64 else self.seen)
        self.category.append(slot)
        self.xywh.extend(xywh)
        self.verdict.append(verdict)

    def index(self, path: Path) -> CocoIndex:
        image = np.frombuffer(self.image, np.int64) if self.image else np.zeros(0, np.int64)
        order = np.argsort(image, kind="stable")
        category = np.frombuffer(self.category, np.int32)[order] if self.image else np.zeros(0, np.int32)
        verdict = np.frombuffer(self.verdict, np.uint8)[order] if self.image else np.zeros(0, np.uint8)
        identities = [*self.slot_of, *(identity for identity in self.named if identity not in self.slot_of)]
        usable = np.bincount(category[verdict <= POLYGON], minlength=len(identities))
        known = {identity: Category(*self.named[identity], int(usable[slot]))
                 for slot, identity in enumerate(identities) if identity in self.named}  # fmt: skip
        rank = sorted(range(len(identities)), key=lambda slot: _by_id(identities[slot]))
        to_rank = np.empty(len(identities), np.int32)
        to_rank[rank] = np.arange(len(identities), dtype=np.int32)
        return CocoIndex(
            path=path,
            categories=[known.get(identities[slot]) for slot in rank],
            file_names=self.file_names,
            size_wh=np.array(self.sizes, np.int64).reshape(-1, 2),
            start=np.searchsorted(image[order], np.arange(len(self.file_names) + 1)),
            number=np.array(self.number, np.int64)[order],
            category=to_rank[category] if len(category) else category,
            xywh=np.array(self.xywh, np.float64).reshape(-1, 4)[order],
            verdict=verdict,
            orphans=self.orphans,
            twice=self.twice,
            licences=tuple(self.licences),
        )


def _identity(value: object) -> int | str | None:
    """An id as a key: whole numbers and text; other tools write 1, 1.0 and "1" for the same."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19 else value


def _by_id(identity: int | str | None) -> tuple[int, int, str]:
    return (0, identity, "") if isinstance(identity, int) else (1, 0, str(identity))


def _side(value: object) -> int:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= _MOST_SIDE
    return int(value) if usable else 0  # type: ignore[call-overload]


def _box(entry: dict[str, Any]) -> tuple[int, tuple[float, float, float, float]]:
    """The verdict on an annotation, and its left, top, width, height in pixels (zeros when it has none)."""
    nothing = (0.0, 0.0, 0.0, 0.0)
    if entry.get("iscrowd") in (1, True, "1"):
        return CROWD, nothing
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        polygon = list(_points(entry.get("segmentation")))
        if len(polygon) < 3:
            return NO_BOX, nothing
        xs, ys = zip(*polygon, strict=True)
        left, top = min(xs), min(ys)
        return POLYGON, (left, top, max(xs) - left, max(ys) - top)
    try:
        x, y, w, h = map(float, box)
    except (TypeError, ValueError, OverflowError):
        return NOT_A_NUMBER, nothing
    return (BOX if math.isfinite(x + y + w + h) else NAN), (x, y, w, h)


def _points(segmentation: object) -> Iterator[tuple[float, float]]:
    """The finite corners of all the polygons of an annotation."""
    for polygon in segmentation if isinstance(segmentation, list) else ():
        if not isinstance(polygon, list):
            continue
        for pair in zip(polygon[0::2], polygon[1::2], strict=False):
            if all(isinstance(value, (int, float)) and abs(value) < 1e9 for value in pair):
                yield float(pair[0]), float(pair[1])
