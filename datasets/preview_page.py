"""The page and the sheet of a preview."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np

from ..report.page import Page
from .augment_spec import AugmentSpec
from .model import Dataset, Item

NOTHING = -1
"""Stands for the class of pictures without objects."""
AS_IT_IS = "as it is"
"""What the caption says of a picture that nothing has changed."""
_CELL = (300, 400)
_PAGE_WIDTH = 320  # CSS pixels: three pictures beside each other
_ROW_WIDTH = 900  # CSS pixels of a picture with its views
_COLUMNS = 4
_GAP = 8
_PAPER = 246  # grey of the sheet's background


@dataclass(frozen=True)
class Shown:
    """One picture with its labels drawn, and its changed views."""

    item: Item
    class_id: int
    drawn: np.ndarray
    caption: str
    views: tuple[tuple[np.ndarray, str], ...]
    boxes: tuple[int, int]


def make_page(dataset: Dataset, shown: Sequence[Shown], spec: AugmentSpec | None, lead: str) -> Page:
    """The pictures as a page; with an augmentation a row for each, the picture as it is first.

    Args:
        dataset: For its class names.
        shown: The pictures, by class.
        spec: What changed the views; None when there are none.
        lead: What pictures these are, for the top of the page.
    """
    if spec:
        lead += (
            f" Each is followed by {len(shown[0].views)} of the random changes that training with --augment"
            f" {spec.name} makes (sha256 {spec.sha256[:8]})."
        )
        if dataset.task == "detect":
            lead += f" A box of which a change leaves less than {spec.min_visibility:.0%} is dropped."
    page = Page(f"Preview of {dataset.name}", lead)
    if not spec:
        names = [_class_name(dataset, one.class_id) for one in shown]
        pictures = [(one.drawn, f"{name}: {one.caption}") for name, one in zip(names, shown, strict=True)]
        page.pictures(pictures, width=_PAGE_WIDTH)
        return page
    for class_id, of_class in groupby(shown, key=lambda one: one.class_id):
        page.section(_class_name(dataset, class_id))
        for one in of_class:
            whole = (one.drawn, f"{AS_IT_IS}: {one.caption}")
            page.pictures([whole, *one.views], width=_ROW_WIDTH // (len(one.views) + 1))
    page.section("What is done", "In this order; p is how often.")
    page.table(("change", "arguments"), [(f"{'- ' * depth}{name}", text) for name, text, depth in _steps(spec)])
    return page


def _class_name(dataset: Dataset, class_id: int) -> str:
    return "no objects" if class_id == NOTHING else dataset.names[class_id]


def _steps(spec: AugmentSpec) -> Iterator[tuple[str, str, int]]:
    stack = [(transform, 0) for transform in reversed(spec.transforms)]
    while stack:
        transform, depth = stack.pop()
        yield transform.name, ", ".join(f"{key} {value}" for key, value in transform.arguments.items()), depth
        stack += [(inner, depth + 1) for inner in reversed(transform.inside)]


def make_sheet(shown: Sequence[Shown]) -> np.ndarray:
    """All pictures in a grid; with views, a picture and its views in a row."""
    views = len(shown[0].views)
    cells = [picture for one in shown for picture in (one.drawn, *(view for view, _ in one.views))]
    columns = views + 1 if views else min(_COLUMNS, len(cells))
    height, width = _CELL
    rows = -(-len(cells) // columns)
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _PAPER, np.uint8)
    for number, picture in enumerate(cells):
        cell = fitted(picture, height, width)
        top = _GAP + number // columns * (height + _GAP) + (height - cell.shape[0]) // 2
        left = _GAP + number % columns * (width + _GAP) + (width - cell.shape[1]) // 2
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return sheet


def fitted(bgr: np.ndarray, height: int, width: int) -> np.ndarray:
    """As large as it fits into so many pixels, larger or smaller; the shape stays."""
    scale = min(height / bgr.shape[0], width / bgr.shape[1])
    size = (max(round(bgr.shape[1] * scale), 1), max(round(bgr.shape[0] * scale), 1))
    return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def reduced(bgr: np.ndarray, long_side: int) -> np.ndarray:
    """At most so many pixels on its longer side."""
    return bgr if max(bgr.shape[:2]) <= long_side else fitted(bgr, long_side, long_side)
