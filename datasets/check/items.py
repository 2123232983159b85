"""All the pictures of a dataset, held in little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import numpy as np

from ..model import SPLITS, Dataset, Item, Split


class Items(Sequence[Item]):
    """The items of a dataset in its own order, made anew when they are asked for.

    A hundred thousand `Item`s with their paths take some 200 MB; the paths as plain text take a tenth of it.
    """

    def __init__(self, dataset: Dataset) -> None:
        splits: list[int] = []
        classes: list[int] = []
        self._images: list[str] = []
        self._labels: list[str | None] = []
        for item in dataset.items():
            splits.append(SPLITS.index(item.split))
            classes.append(-1 if item.class_id is None else item.class_id)
            self._images.append(str(item.image))
            self._labels.append(None if item.label is None else str(item.label))
        self.split = np.array(splits, np.uint8)
        """uint8 `(n,)`: each picture's split as an index into `SPLITS`."""
        self.class_id = np.array(classes, np.int64)
        """int64 `(n,)`: each picture's class; -1 in a detection dataset."""

    def path(self, index: int) -> str:
        """The path of a picture as text."""
        return self._images[index]

    def label_path(self, index: int) -> str | None:
        """The path of a picture's label file as text."""
        return self._labels[index]

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        label, class_id = self._labels[index], int(self.class_id[index])
        return Item(
            image=Path(self._images[index]),
            split=SPLITS[self.split[index]],
            label=None if label is None else Path(label),
            class_id=None if class_id < 0 else class_id,
        )


def listed_once(dataset: Dataset) -> Dataset:
    """The same dataset with the pictures that it has now.

    What is decided about a picture by its number stays with that picture, whatever happens to the folder meanwhile.
    """
    items = Items(dataset)

    def iterate(split: Split) -> Iterator[Item]:
        return (items[number] for number in np.flatnonzero(items.split == SPLITS.index(split)).tolist())

    return replace(dataset, iterate=iterate)
