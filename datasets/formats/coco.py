"""The COCO layout: one JSON file a split, beside its pictures or in `annotations/`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...core.errors import DataError
from ...core.images import ImageError, inspect_image
from ..model import SPLITS, Boxes, Dataset, Item, LabelProblem, Remark, Split
from .boxes import Rows, settle
from .coco_index import CROWD, FAULTS, POLYGON, UNKNOWN, Category, CocoIndex, read_coco
from .coco_places import Pictures, Source, find_pictures, picture_base, splits_of
from .pictures import tell_leaving_links

_CROWD_REASON = "left out: the outline of a crowd, which is no box of one object"


def open_coco(root: Path, files: Sequence[Path]) -> Dataset:
    """Open a COCO dataset. The files are read here, once; pictures are not.

    Classes are the categories in the order of their ids, without one that only groups the others. Boxes of crowds
    (`iscrowd`) are left out. A picture that no file lists has no label.

    Args:
        root: Its folder.
        files: Its COCO files, of `coco_files`.

    Raises:
        DataError: a file is damaged, there are no class names, or none of the pictures listed is there.
    """
    root = root.resolve()
    remarks: list[Remark] = []
    splits = splits_of(root, files, remarks)
    order_of_splits = sorted(range(len(files)), key=lambda number: SPLITS.index(splits[number]))
    indexes = [read_coco(files[number]) for number in order_of_splits]
    if not any(index.file_names for index in indexes):
        raise DataError(
            "The COCO file lists no pictures.",
            where=indexes[0].path,
            next_step="its `images` must be a list of entries with an `id` and a `file_name`",
        )
    names, class_of = _classes(indexes, remarks)
    sources = [
        Source(index, splits[number], picture_base(root, index, splits[number]), ids)
        for number, index, ids in zip(order_of_splits, indexes, class_of, strict=True)
    ]
    pictures, missing = find_pictures(root, sources, remarks)
    _check_pictures(pictures, indexes)
    _tell_left_out(root, sources, remarks)
    order = {split: sorted(pictures[split]) for split in SPLITS}

    def iterate(split: Split) -> Iterator[Item]:
        for name in order[split]:
            places = pictures[split][name]
            yield Item(root / name, split, sources[places[0][0]].index.path if places else None)

    def find(item: Item) -> list[tuple[Source, int]]:
        places = pictures[item.split].get(item.image.relative_to(root).as_posix(), ())
        return [(sources[number], place) for number, place in places]

    def read(item: Item) -> tuple[Boxes, list[LabelProblem]]:
        return _boxes(find(item), item)

    def stated(item: Item) -> tuple[int, int] | None:
        sizes = (source.index.size_wh[place].tolist() for source, place in find(item))
        return next(((width, height) for width, height in sizes if width and height), None)

    return Dataset(
        root.name, root, "detect", names, "coco", iterate, read, tuple(remarks), lambda: iter(missing), stated
    )


def _check_pictures(pictures: Pictures, indexes: Sequence[CocoIndex]) -> None:
    if not any(places for known in pictures.values() for places in known.values()):
        raise DataError(
            "None of the pictures that the COCO file lists is there.",
            where=indexes[0].path,
            next_step="put them beside it, under the names that it gives",
        )
    if not any(index.start[-1] for index in indexes):
        raise DataError(
            "The dataset has pictures but no labels: its COCO files hold no annotations.",
            where=indexes[0].path,
            next_step="export the dataset again, with its annotations",
        )


def _tell_left_out(root: Path, sources: Sequence[Source], remarks: list[Remark]) -> None:
    indexes = [source.index for source in sources]
    left_out = [
        (
            [int((index.verdict == CROWD).sum()) for index in indexes],
            "{} annotations outline crowds (`iscrowd`) and are left out.",
        ),
        ([index.orphans for index in indexes], "{} annotations belong to no picture of their file and are left out."),
        (
            [index.twice for index in indexes],
            "{} pictures have the id of another in the COCO file; annotations of that id count for the first.",
        ),
    ]
    for counts, what in left_out:
        files = tuple(index.path for index, count in zip(indexes, counts, strict=True) if count)
        if files:
            remarks.append(Remark("labels-left-out", what.format(sum(counts)), files))
    pointed = tuple(
        index.path for index in indexes
        if any(category and category.keypoints and category.annotations for category in index.categories)
    )  # fmt: skip
    if pointed:
        what = "The COCO file has categories with `keypoints`: boxes come with points, which are not read."
        remarks.append(Remark("labels-keypoints", what, pointed))
    tell_leaving_links(dict.fromkeys(source.base for source in sources), root, remarks)


@dataclass
class _Gathered:
    """What the files say of one picture.

    Attributes:
        rows: Those that can be used; their numbers are places in `origin`.
        origin: The file and the annotation's id of each row.
        crowds: Those that outline a crowd.
    """

    rows: Rows = field(default_factory=Rows)
    origin: list[tuple[Path, int]] = field(default_factory=list)
    problems: list[LabelProblem] = field(default_factory=list)
    crowds: list[LabelProblem] = field(default_factory=list)


def _boxes(places: Sequence[tuple[Source, int]], item: Item) -> tuple[Boxes, list[LabelProblem]]:
    found = _Gathered()
    for source, place in places:
        _gather(source, place, item, found)
    if not found.origin:
        return Boxes.empty(), found.problems + found.crowds
    settled: list[LabelProblem] = []
    boxes = settle(found.rows, places[0][0].index.path, settled)
    for problem in settled:
        path, number = found.origin[problem.row]
        found.problems.append(replace(problem, file=path, row=number))
    if not len(boxes):  # beside boxes, a crowd costs nothing that the remark does not say
        found.problems += found.crowds
    found.problems.sort(key=lambda problem: (problem.file, problem.row))
    return boxes, found.problems


def _gather(source: Source, picture: int, item: Item, found: _Gathered) -> None:
    """Take what one file says of a picture."""
    index = source.index
    span = slice(index.start[picture], index.start[picture + 1])
    if span.start == span.stop:
        return
    width, height = index.size_wh[picture].tolist()
    if not (width and height):
        try:
            info = inspect_image(item.image)
        except ImageError as error:
            reason = (
                f"left out: all boxes, the file gives no picture size, and the picture cannot be read ({error.reason})"
            )
            found.problems.append(LabelProblem(index.path, 0, reason, "unreadable"))
            return
        width, height = info.width, info.height
    x, y, w, h = index.xywh[span].T
    cxcywh = np.stack([(x + w / 2) / width, (y + h / 2) / height, w / width, h / height], axis=1).tolist()
    class_ids = source.class_of[index.category[span]].tolist()
    numbers, verdicts = index.number[span].tolist(), index.verdict[span].tolist()
    for number, class_id, box, verdict in zip(numbers, class_ids, cxcywh, verdicts, strict=True):
        fault = FAULTS.get(verdict) or (FAULTS[UNKNOWN] if class_id < 0 and verdict != CROWD else None)
        if verdict == CROWD:
            found.crowds.append(LabelProblem(index.path, number, _CROWD_REASON, "crowd"))
        elif fault:
            found.problems.append(LabelProblem(index.path, number, f"left out: {fault[1]}", fault[0]))
        else:
            found.rows.add(len(found.origin), class_id, (box[0], box[1], box[2], box[3]), polygon=verdict == POLYGON)
            found.origin.append((index.path, number))


def _classes(indexes: Sequence[CocoIndex], remarks: list[Remark]) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Class names over all files, and the class of each category of each file, -1 for none."""
    total: dict[str, list[Category]] = {}
    for index in indexes:
        for category in index.categories:
            if category is not None:
                total.setdefault(category.name, []).append(category)
    files = tuple(index.path for index in indexes)
    if group := _grouping(total):
        del total[group]
        what = f"The category '{group}' only groups the others and has no box; it is not a class."
        remarks.append(Remark("coco-category", what, files))
    for name, same in total.items():
        if len(same) > len(indexes):
            what = f"Several categories are called '{name}'; they are one class."
            remarks.append(Remark("coco-category", what, files))
    if not total:
        raise DataError(
            "The class names are missing: the COCO file has no `categories`.",
            where=files[0],
            next_step='add them: "categories": [{"id": 1, "name": "cat"}, ...]',
        )
    names = tuple(total)
    number = {name: place for place, name in enumerate(names)}
    class_of = [
        np.array([-1 if c is None else number.get(c.name, -1) for c in index.categories] or [-1], np.int64)
        for index in indexes
    ]
    return names, class_of


def _grouping(categories: dict[str, list[Category]]) -> str | None:
    """The category that Roboflow puts first and gives no box: all the others name it as their supercategory."""
    for name, same in categories.items():
        others = [category for other, found in categories.items() if other != name for category in found]
        root = all(category.parent in {"", "none"} and not category.annotations for category in same)
        if root and others and all(category.parent == name for category in others):
            return name
    return None
