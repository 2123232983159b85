"""Labels that lie in a table beside the pictures: they are not read, and a person should hear why and what to do."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from ...core.errors import DataError
from ...core.words import many, some
from .unread import files_with

CLASSES_NAME = (
    "_classes.csv"  # Roboflow's "multiclass" export: a row for each picture, a column of 0 and 1 for each class
)
_TABLES = frozenset({".csv", ".json", ".jsonl", ".tsv", ".parquet"})
_MOST_BYTES = 50_000_000


def refuse_tables(root: Path, pictures: int) -> DataError | None:
    """The error about pictures without class folders whose labels are in a table; None when there is no table.

    Args:
        root: The dataset's folder.
        pictures: How many there are.
    """
    tables = list(files_with(root, _TABLES))
    classes = [path for path in tables if path.name == CLASSES_NAME]
    if classes:
        return _about_classes(root, classes)
    if not tables:
        return None
    shown = some([path.relative_to(root).as_posix() for path in tables])
    return DataError(
        f"The dataset has {many(pictures, 'picture')} in no class folder; labels may be in {shown}, which is not read.",
        where=root,
        next_step="lay pictures out as train/CLASS/picture.jpg; each picture has one class",
    )


def _about_classes(root: Path, tables: list[Path]) -> DataError:
    mask = next((path for path in files_with(root, frozenset({".png"})) if path.stem.endswith("_mask")), None)
    if mask:
        return DataError(
            "This is an export of masks, with a picture beside each picture that colours its objects; they are not"
            " read.",
            where=mask,
            next_step="export the project from Roboflow as YOLOv8 or COCO: for a detector, of boxes or outlines",
        )
    for table in tables:
        for row, picture, names in _rows(table):
            if len(names) > 1:
                return DataError(
                    f"This is a multi-label dataset, which no classifier here learns from: in line {row},"
                    f" {picture} is {' and '.join(names)}. A picture has one class.",
                    where=table,
                    next_step="give each picture one class in Roboflow and export it as 'Folder Structure', "
                    "or train a detector with boxes around each thing",
                )
    return DataError(
        f"The labels are in a table ({some([table.relative_to(root).as_posix() for table in tables])}), which is not"
        " read.",
        where=root,
        next_step="export the project from Roboflow as 'Folder Structure' (one folder per class)",
    )


def _rows(table: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Line, picture and the names of its classes; nothing where the file is not such a table."""
    if table.stat().st_size > _MOST_BYTES:
        return
    rows = csv.reader(io.StringIO(table.read_bytes().decode("utf-8-sig", "replace"), newline=""))
    heads = [head.strip() for head in next(rows, [])]
    for number, row in enumerate(rows, 2):
        if row:
            marks = zip(heads[1:], row[1:], strict=False)
            yield number, row[0].strip(), [head for head, mark in marks if mark.strip() not in {"", "0", "0.0"}]
