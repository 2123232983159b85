"""The training's own view of a dataset, so that training never touches the person's files.

data/train/images/000000.jpg   a hard link where any library decodes the file alike, else a PNG of what our decoder saw
data/train/images/000000-01.jpg   a tile of it, where tiles are trained on
data/train/labels/000000.txt   written from the dataset's boxes
data/data.yaml                 ours
data/view.json                 which picture is which, what was left out, and why
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict

from ..core.device import usable_cores
from ..core.errors import DataError
from ..core.files import whole_folder
from ..core.images import ImageError, inspect_image, read_image, write_image
from ..core.progress import progress, warn
from ..core.words import many
from ..datasets.check.remembered import Remembered
from ..datasets.holdout import training_splits
from ..datasets.model import Boxes, Dataset, Item, LabelProblem, spoilt
from ..weights.bundle import Tiles
from .sliced import cut, say_cost

VIEW_NAME = "data"
_SMALLEST_SIDE = 10  # Ultralytics drops smaller pictures without a word
_NAMED = 5  # how many files a warning names; view.json has them all


class ViewReport(BaseModel):
    """What went into the view and what did not; saved as `view.json`.

    Attributes:
        counts: Pictures by split, tiles included.
        boxes: Boxes by split, those in tiles included.
        most_boxes: The most boxes in one picture.
        converted: Pictures that were decoded and written as PNG, because libraries read the file differently.
        skipped: Pictures left out: path and reason.
        label_problems: Rows of label files left out or mended: path, row, reason.
        held_out: How many pictures of "train" stand in for the missing "valid".
        sources: The person's picture behind each file of the view.
        tiles: How pictures were cut, None when they were not.
        parts: How many of the pictures are tiles.
        polygons: How many boxes were taken around polygons.
    """

    model_config = ConfigDict(extra="forbid")

    counts: dict[str, int]
    boxes: dict[str, int]
    most_boxes: int = 0
    converted: int = 0
    skipped: list[tuple[str, str]] = []
    label_problems: list[tuple[str, int, str]] = []
    held_out: int = 0
    sources: dict[str, str] = {}
    tiles: Tiles | None = None
    parts: int = 0
    polygons: int = 0


class _Done(NamedTuple):
    """What became of a picture: its files in the view with their numbers of boxes, the whole picture first."""

    item: Item
    files: list[tuple[str, int]]
    problems: list[LabelProblem]
    converted: bool = False
    polygons: int = 0
    skipped: str | None = None


def build_view(dataset: Dataset, target: Path, seed: int, tiles: Tiles | None = None) -> ViewReport:
    """Write the view, whole or not at all; the dataset's own files are only read.

    Args:
        dataset: A detection dataset.
        target: The folder to make, `runs/<run>/data`.
        seed: Decides which pictures are held out, see `datasets.holdout`.
        tiles: Cut the pictures into tiles, beside the whole ones.

    Raises:
        DataError: nothing usable to train or validate on, or no box in all of the training pictures.
        LensmithError: no room for the tiles.
    """
    splits = training_splits(dataset, seed)
    report = ViewReport(counts={}, boxes={}, held_out=len(splits.valid) if splits.held_out else 0, tiles=tiles)
    if tiles:
        say_cost(dataset, [*splits.train, *splits.valid], tiles, target.parent)
    with whole_folder(target) as folder, Remembered() as seen:
        _write_split(dataset, splits.train, folder / "train", report, seen)
        _write_split(dataset, splits.valid, folder / "valid", report, seen)
        _check(report, dataset)
        _write_data_yaml(folder / "data.yaml", target, dataset.names)
        (folder / "view.json").write_text(report.model_dump_json(indent=1), encoding="utf-8")
    _warn(report)
    return report


def read_view(target: Path) -> ViewReport:
    """The report of a view that was built before."""
    return ViewReport.model_validate(json.loads((target / "view.json").read_text(encoding="utf-8")))


def view_stands(target: Path, dataset: Dataset) -> bool:
    """Whether a view that was built before can be used as it is: not if it, or the dataset, was moved or lost files."""
    try:
        report = read_view(target)
        data = yaml.safe_load((target / "data.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    if not isinstance(data, dict) or data.get("path") != str(target.resolve()):
        return False
    pictures = {str(item.image) for item in dataset.items()}
    return all(source in pictures and (target / name).is_file() for name, source in report.sources.items())


def _write_split(
    dataset: Dataset, items: Sequence[Item], folder: Path, report: ViewReport, seen: Remembered
) -> None:  # fmt: skip
    split = folder.name
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)

    def write(numbered: tuple[int, Item]) -> _Done:
        return _write_item(dataset, numbered[1], folder, numbered[0], report.tiles, seen)

    results: list[_Done] = []
    with (
        ThreadPoolExecutor(usable_cores()) as pool,
        progress(f"looking at the {split} pictures", len(items)) as advance,
    ):
        for done in pool.map(write, enumerate(items)):
            results.append(done)
            advance(1)
    used = [done for done in results if done.skipped is None]
    files = [(name, boxes, done.item) for done in used for name, boxes in done.files]
    report.counts[split] = len(files)
    report.boxes[split] = sum(boxes for _, boxes, _ in files)
    report.most_boxes = max([report.most_boxes, *(done.files[0][1] for done in used)])
    report.parts += len(files) - len(used)
    report.converted += sum(done.converted for done in used)
    report.polygons += sum(done.polygons for done in used)
    report.skipped += [(str(done.item.image), done.skipped) for done in results if done.skipped is not None]
    report.label_problems += [(str(p.file), p.row, p.reason) for done in results for p in done.problems]
    report.sources |= {f"{split}/images/{name}": str(item.image) for name, _, item in files}


def _write_item(
    dataset: Dataset, item: Item, folder: Path, number: int, tiles: Tiles | None, seen: Remembered
) -> _Done:
    bgr = None
    try:
        sound = seen.sound(item.image)
        info = inspect_image(item.image)
        if tiles or not info.plain or not sound:  # a header may be fine and the pixels damaged
            bgr = read_image(item.image)
    except ImageError as error:
        return _Done(item, [], [], skipped=error.reason)
    if min(info.width, info.height) < _SMALLEST_SIDE:
        reason = f"it is smaller than {_SMALLEST_SIDE} x {_SMALLEST_SIDE} pixels"
        return _Done(item, [], [], skipped=reason)
    boxes, problems = dataset.boxes(item)
    if spoilt(boxes, problems):
        reason = "no row of its label file can be used, so nobody knows what is on it"
        return _Done(item, [], problems, skipped=reason)
    rows, lost = _label_rows(boxes)
    if lost and item.label:
        reason = f"{lost} boxes lie outside the picture or have no area"
        problems = [*problems, LabelProblem(item.label, 0, reason, "no-area")]
    stem = f"{number:06d}"
    name = f"{stem}{item.image.suffix.lower()}" if info.plain else f"{stem}.png"
    if bgr is None or info.plain:
        _link(item.image.resolve(), folder / "images" / name)
    else:
        write_image(folder / "images" / name, bgr)
    _write_rows(folder, stem, rows)
    files = [(name, len(rows))]
    if tiles and bgr is not None:
        for part, ((x1, y1, x2, y2), inside) in enumerate(cut(info.width, info.height, boxes, tiles, number), 1):
            name = f"{stem}-{part:02d}"
            write_image(folder / "images" / f"{name}.jpg", bgr[y1:y2, x1:x2])
            rows, _ = _label_rows(inside)
            _write_rows(folder, name, rows)
            files.append((f"{name}.jpg", len(rows)))
    return _Done(item, files, problems, converted=not info.plain, polygons=boxes.polygons)


def _write_rows(folder: Path, stem: str, rows: Sequence[str]) -> None:
    (folder / "labels" / f"{stem}.txt").write_text("".join(rows), encoding="utf-8")


def _label_rows(boxes: Boxes) -> tuple[list[str], int]:
    """Rows that Ultralytics accepts, clipped to the picture; and how many boxes had nothing left.

    One row past the edge would make it drop the whole picture without a word.
    """
    corners = np.clip(boxes.xyxy(1, 1).astype(np.float64), 0, 1)
    sizes = corners[:, 2:] - corners[:, :2]
    usable = np.isfinite(corners).all(axis=1) & (sizes > 0).all(axis=1)
    rows = [
        f"{class_id} {(a + c) / 2:.7f} {(b + d) / 2:.7f} {c - a:.7f} {d - b:.7f}\n"
        for class_id, (a, b, c, d) in zip(boxes.class_id[usable], corners[usable], strict=True)
    ]
    return rows, int((~usable).sum())


def _link(source: Path, target: Path) -> None:
    """A hard link costs no space; where the disk has none, or it is another disk, a copy.

    Ultralytics never writes into a picture that it trains on: it swaps in a new file, and that only for files which
    `plain` leaves out.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _check(report: ViewReport, dataset: Dataset) -> None:
    for split in ("train", "valid"):
        if not report.counts[split]:
            path, reason = report.skipped[0] if report.skipped else (str(dataset.root), "no pictures")
            raise DataError(f"No picture of the '{split}' split can be used; the first: {reason}.", where=path,
                            next_step="replace the pictures, or export the dataset again")  # fmt: skip
    if not report.boxes["train"]:
        hint = f" {many(len(report.label_problems), 'label row')} cannot be used." if report.label_problems else ""
        raise DataError(
            f"No training picture has a labelled box, so there is nothing to learn.{hint}",
            where=dataset.root / "train",
            next_step="label the pictures, or look whether the label files have the names of the pictures",
        )


def _write_data_yaml(path: Path, final: Path, names: Iterable[str]) -> None:
    data = {"path": str(final.resolve()), "train": "train/images", "val": "valid/images",
            "names": dict(enumerate(names))}  # fmt: skip
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _warn(report: ViewReport) -> None:
    if report.held_out:
        warn(f"the dataset has no 'valid' split: {report.held_out} training pictures are held out to validate on")
    if report.skipped:
        named = "; ".join(f"{path} ({reason})" for path, reason in report.skipped[:_NAMED])
        rest = len(report.skipped) - _NAMED
        pictures = many(len(report.skipped), "picture")
        warn(f"{pictures} cannot be used: {named}{f'; and {rest} more' if rest > 0 else ''}")
    if report.label_problems:
        path, row, reason = report.label_problems[0]
        rows = many(len(report.label_problems), "label row")
        verb = "was" if len(report.label_problems) == 1 else "were"
        warn(f"{rows} {verb} left out or mended; the first: {path}, row {row}: {reason}")
    if report.polygons:
        warn(f"{many(report.polygons, 'object is', 'objects are')} outlined by polygons: a detector learns the boxes "
             "around them, which hold background too")  # fmt: skip
    if not report.boxes["valid"]:
        warn("no validation picture has a labelled box, so training cannot tell which epoch was the best")
