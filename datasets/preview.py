"""What a dataset holds and what an augmentation does to it, as pictures to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from ..core.draw import class_colour, draw_boxes, draw_label
from ..core.errors import DataError, UsageError
from ..core.files import slug, write_atomic
from ..core.images import ImageError, read_image
from ..core.workspace import Workspace
from ..report.page import Page
from .augment import Augmentation, check_spec, sample_seed
from .augment_spec import AugmentSpec, read_spec
from .encode import encode
from .model import Boxes, Dataset, Item, Split

NOTHING = -1
"""Stands for the class of pictures without objects."""
_LONG_SIDE = 640  # what a detector is trained on, unless told otherwise
_CELL = (300, 400)
_PAGE_WIDTH = 320  # CSS pixels: three pictures beside each other
_TEXT, _SMALL_TEXT = 20, 15  # pixels of letters at the long side above
_CROWD = 10  # from so many boxes on, letters are small
_COLUMNS = 4
_GAP = 8
_PAPER = 246  # grey of the sheet's background


@dataclass(frozen=True)
class PreviewConfig:
    """What to show.

    Attributes:
        augment: A preset or a YAML file, see `datasets.augment_spec`; None shows the pictures as they are.
        count: How many pictures.
        split: Which of "train", "valid", "test".
        seed: Chooses the pictures and what happens to them.
        views: How often each picture is changed.
        to: Folder to write into; None takes `reports/` in the workspace.

    Raises:
        UsageError: a value makes no sense.
    """

    augment: str | Path | None = None
    count: int = 12
    split: Split = "train"
    seed: int = 0
    views: int = 5
    to: Path | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 100:
            raise UsageError("A preview shows between 1 and 100 pictures.", where="--count")
        if not 1 <= self.views <= 12:
            raise UsageError("A preview shows between 1 and 12 changes of a picture.", where="--views")


@dataclass(frozen=True)
class Preview:
    """What was written.

    Attributes:
        sheet: A PNG with all of it.
        page: The same as an HTML page.
        shown: The pictures, by class.
        skipped: Pictures that could not be read, and why.
        boxes: Boxes on the pictures shown, before and after the changes, as [before, after].
    """

    sheet: Path
    page: Path
    shown: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...]
    boxes: tuple[int, int]


@dataclass(frozen=True)
class _Shown:
    """One picture with its labels drawn, and its changed views."""

    item: Item
    class_id: int
    drawn: np.ndarray
    caption: str
    views: tuple[tuple[np.ndarray, str], ...]
    boxes: tuple[int, int]


def preview(
    dataset: Dataset,
    workspace: Workspace,
    config: PreviewConfig | None = None,
    advance: Callable[[float], None] | None = None,
) -> Preview:
    """Write a sheet and a page of pictures with their labels, and of what an augmentation makes of them.

    The pictures are a balanced sample: each class in turn, the rarest first, whatever its share. The changes are made
    by the code that training uses, on pictures as large as a detector is trained on.

    Args:
        dataset: An opened dataset; its files are only read.
        workspace: Where `reports/preview-NAME.png` and `.html` go.
        config: What to show.
        advance: Called with 1 after each picture shown, for a progress bar.

    Raises:
        UsageError: the augmentation is none.
        DataError: the split has no picture that can be read, or the augmentation fails on one.
    """
    config = config or PreviewConfig()
    spec = read_spec(config.augment) if config.augment is not None else None
    if spec:
        check_spec(spec)
    painter = _Painter(dataset, spec, config)
    shown: list[_Shown] = []
    skipped: list[tuple[Path, str]] = []
    for item, class_id in balanced(dataset, config.split, config.seed):
        if len(shown) == config.count:
            break
        try:
            shown.append(painter.show(item, class_id))
        except ImageError as error:
            skipped.append((item.image, error.reason))
            continue
        if advance:
            advance(1)
    if not shown:
        reason = f" The first: {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise DataError(f"No picture of '{config.split}' can be shown.{reason}", where=dataset.root,
                        next_step="give another --split, or look with cv check-dataset")  # fmt: skip
    shown.sort(key=lambda one: (one.class_id == NOTHING, one.class_id))
    folder = config.to or workspace.root / "reports"
    stem = f"preview-{slug(dataset.name)}"
    sheet = folder / f"{stem}.png"
    write_atomic(sheet, encode(_sheet(shown), ".png"))
    page = _page(dataset, shown, spec, config).write(folder / f"{stem}.html")
    before, after = (sum(one.boxes[side] for one in shown) for side in (0, 1))
    return Preview(sheet, page, tuple(one.item.image for one in shown), tuple(skipped), (before, after))


def balanced(dataset: Dataset, split: Split, seed: int) -> Iterator[tuple[Item, int]]:
    """The pictures of a split so that each class has its turn, the rarest first, in an order drawn from the seed.

    Yields:
        Each picture once, with the class whose turn it was, `NOTHING` for a picture without objects.
    """
    by_class: dict[int, list[Item]] = defaultdict(list)
    for item in dataset.items(split):
        found = {item.class_id} if item.class_id is not None else set(dataset.boxes(item)[0].class_id.tolist())
        for class_id in found or {NOTHING}:
            by_class[class_id].append(item)
    rng = np.random.default_rng(seed)
    turns = sorted(by_class, key=lambda class_id: (class_id == NOTHING, len(by_class[class_id]), class_id))
    queues = {class_id: [by_class[class_id][i] for i in rng.permutation(len(by_class[class_id]))] for class_id in turns}
    used: set[Path] = set()
    while queues:
        for class_id in [*queues]:
            queue = queues[class_id]
            while queue and queue[-1].image in used:
                queue.pop()
            if not queue:
                del queues[class_id]
                continue
            item = queue.pop()
            used.add(item.image)
            yield item, class_id


class _Painter:
    """Draws pictures with their labels, as they are and changed."""

    def __init__(self, dataset: Dataset, spec: AugmentSpec | None, config: PreviewConfig) -> None:
        self._dataset = dataset
        self._augmentation = Augmentation(spec) if spec else None
        self._config = config
        self._number = 0

    def show(self, item: Item, class_id: int) -> _Shown:
        """Raises ImageError when the picture cannot be read."""
        bgr = _reduced(read_image(item.image), _LONG_SIDE)
        boxes = self._dataset.boxes(item)[0]
        changed = (
            []
            if self._augmentation is None
            else [
                self._augmentation(bgr, sample_seed(self._config.seed, view, self._number), boxes)
                for view in range(self._config.views)
            ]
        )
        views = [(self._draw(view, left, item), self._about(left, len(boxes))) for view, left in changed]
        self._number += 1
        caption = f"{item.image.name}{f', {self._about(boxes, None)}' if item.class_id is None else ''}"
        drawn = self._draw(bgr, boxes, item)
        return _Shown(item, class_id, drawn, caption, tuple(views), (len(boxes), sum(len(left) for _, left in changed)))

    def _draw(self, bgr: np.ndarray, boxes: Boxes, item: Item) -> np.ndarray:
        """On a copy of a size that all have, so that labels can be read in a small picture too."""
        names = self._dataset.names
        drawn = _fitted(bgr, _LONG_SIDE, _LONG_SIDE)
        if item.class_id is not None:
            draw_label(drawn, names[item.class_id], class_colour(item.class_id), text_pixels=_TEXT)
            return drawn
        height, width = drawn.shape[:2]
        labels = [names[number] for number in boxes.class_id.tolist()]
        size = _TEXT if len(labels) < _CROWD else _SMALL_TEXT
        draw_boxes(drawn, boxes.xyxy(width, height), boxes.class_id, labels, text_pixels=size)
        return drawn

    def _about(self, boxes: Boxes, before: int | None) -> str:
        if self._dataset.task == "classify":
            return ""
        if before is None or len(boxes) == before:
            return f"{len(boxes)} box{'' if len(boxes) == 1 else 'es'}"
        return f"{len(boxes)} of {before} boxes"


def _page(dataset: Dataset, shown: Sequence[_Shown], spec: AugmentSpec | None, config: PreviewConfig) -> Page:
    lead = (
        f"{len(shown)} of {dataset.count(config.split)} pictures of the split '{config.split}', "
        f"each class in turn, chosen by seed {config.seed}."
    )
    if spec:
        lead += (
            f" Each is followed by {config.views} of the random changes that training with --augment {spec.name} makes"
            f" (sha256 {spec.sha256[:8]})."
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
            page.pictures([(one.drawn, one.caption), *one.views], width=_PAGE_WIDTH)
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


def _sheet(shown: Sequence[_Shown]) -> np.ndarray:
    """All pictures in a grid; with views, a picture and its views in a row."""
    views = len(shown[0].views)
    cells = [picture for one in shown for picture in (one.drawn, *(view for view, _ in one.views))]
    columns = views + 1 if views else min(_COLUMNS, len(cells))
    height, width = _CELL
    rows = -(-len(cells) // columns)
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _PAPER, np.uint8)
    for number, picture in enumerate(cells):
        fitted = _fitted(picture, height, width)
        top = _GAP + number // columns * (height + _GAP) + (height - fitted.shape[0]) // 2
        left = _GAP + number % columns * (width + _GAP) + (width - fitted.shape[1]) // 2
        sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return sheet


def _fitted(bgr: np.ndarray, height: int, width: int) -> np.ndarray:
    scale = min(height / bgr.shape[0], width / bgr.shape[1])
    size = (max(round(bgr.shape[1] * scale), 1), max(round(bgr.shape[0] * scale), 1))
    return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _reduced(bgr: np.ndarray, long_side: int) -> np.ndarray:
    return bgr if max(bgr.shape[:2]) <= long_side else _fitted(bgr, long_side, long_side)
