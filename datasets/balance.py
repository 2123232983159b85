"""What is in each split: pictures, and objects of each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .check.finding import CheckReport
from .model import SPLITS, Boxes, Dataset, Item, LabelProblem, Split


@dataclass(frozen=True)
class Balance:
    """What is in each split.

    Attributes:
        pictures: Pictures by split.
        objects: Objects by split and class id; of a classification dataset pictures.
    """

    pictures: dict[Split, int]
    objects: dict[Split, tuple[int, ...]]


def count_objects(
    dataset: Dataset,
    items: Sequence[Item],
    each: Callable[[Item, Boxes, list[LabelProblem]], None] = lambda _item, _boxes, _problems: None,
) -> np.ndarray:
    """How many objects of each class each picture has.

    Args:
        dataset: Where they are from.
        items: Pictures.
        each: Called for each picture with what was read.

    Returns:
        int64 `(items, classes + 1)`. The last column is 1 for a picture without objects, so that those are shared out
        evenly as well. A classification picture has one object, its class.
    """
    counts = np.zeros((len(items), len(dataset.names) + 1), np.int64)
    for row, item in zip(counts, items, strict=True):
        boxes, problems = dataset.boxes(item)
        class_ids = boxes.class_id if item.class_id is None else np.array([item.class_id])
        row[:-1] = np.bincount(class_ids, minlength=len(dataset.names))
        row[-1] = len(class_ids) == 0
        each(item, boxes, problems)
    return counts


def balance(objects: np.ndarray, splits: Sequence[Split]) -> Balance:
    """Pictures and objects in each split.

    Args:
        objects: See `count_objects`.
        splits: The split of each picture.
    """
    where = np.array(splits)
    return Balance(
        pictures={split: int((where == split).sum()) for split in SPLITS},
        objects={split: tuple(objects[where == split, :-1].sum(axis=0).tolist()) for split in SPLITS},
    )


def without_label(report: CheckReport) -> set[Path]:
    """Pictures of a detection dataset that nobody has labelled, not even as empty."""
    return {path for finding in report.findings if finding.kind == "picture-without-label" for path in finding.files}
