"""What a dataset holds and what an augmentation does to it, as pictures to look at."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.draw import class_colour, draw_boxes, draw_label
from ..core.errors import DataError, UsageError
from ..core.files import slug, write_atomic
from ..core.images import ImageError, read_image
from ..core.words import many
from ..core.workspace import Workspace
from .augment import Augmentation, check_spec, sample_seed
from .augment_spec import AugmentSpec, read_spec
from .encode import encode
from .model import SPLITS, Boxes, Dataset, Item, Split
from .preview_page import NOTHING, Shown, fitted, make_page, make_sheet, reduced

_LONG_SIDE = 640  # what a detector is trained on, unless told otherwise
_TEXT, _SMALL_TEXT = 20, 15  # pixels of letters at the long side above
_CROWD = 10  # from so many boxes on, letters are small


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
        workspace: Where `reports/preview-NAME.png` and `.html` go; with an augmentation `preview-NAME-AUGMENTATION`.
        config: What to show.
        advance: Called with 1 after each picture shown, for a progress bar.

    Raises:
        UsageError: the augmentation is none, the dataset has no such split, or nothing can be written there.
        DataError: the split has no picture that can be read, or the augmentation fails on one.
    """
    config = config or PreviewConfig()
    spec = read_spec(config.augment) if config.augment is not None else None
    if spec:
        check_spec(spec)
    if not dataset.count(config.split):
        there = [split for split in SPLITS if dataset.count(split)]
        raise UsageError(f"'{dataset.name}' has no '{config.split}' split.", where="--split",
                         next_step=f"it has {' and '.join(there)}" if there else "add pictures first")  # fmt: skip
    folder = _ready(config.to or workspace.root / "reports")
    painter = _Painter(dataset, spec, config)
    shown: list[Shown] = []
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
    stem = f"preview-{slug(dataset.name)}" + (f"-{slug(Path(spec.name).stem)}" if spec else "")
    sheet = folder / f"{stem}.png"
    write_atomic(sheet, encode(make_sheet(shown), ".png"))
    lead = f"{many(len(shown), 'picture')} of {dataset.count(config.split)} in the split '{config.split}',"
    lead += f" each class in turn, chosen by seed {config.seed}."
    page = make_page(dataset, shown, spec, lead).write(folder / f"{stem}.html")
    before, after = (sum(one.boxes[side] for one in shown) for side in (0, 1))
    return Preview(sheet, page, tuple(one.item.image for one in shown), tuple(skipped), (before, after))


def _ready(folder: Path) -> Path:
    """Make the folder for the page if need be.

    Raises:
        UsageError: nothing can be written there.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError("This is a file, and a preview is written into a folder.", where=folder,
                         next_step="give a folder with --to, or leave --to out")  # fmt: skip
    reason = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f": {error.strerror}"
    if reason or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"Nothing can be written into this folder{reason}.", where=folder,
                         next_step="give another folder with --to")  # fmt: skip
    return folder


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

    def show(self, item: Item, class_id: int) -> Shown:
        """Raises ImageError when the picture cannot be read."""
        bgr = reduced(read_image(item.image), _LONG_SIDE)
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
        return Shown(item, class_id, drawn, caption, tuple(views), (len(boxes), sum(len(left) for _, left in changed)))

    def _draw(self, bgr: np.ndarray, boxes: Boxes, item: Item) -> np.ndarray:
        """On a copy of a size that all have, so that labels can be read in a small picture too."""
        names = self._dataset.names
        drawn = fitted(bgr, _LONG_SIDE, _LONG_SIDE)
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
            return many(len(boxes), "box", "boxes")
        return f"{len(boxes)} of {before} boxes"
