"""Write a dataset in a layout that other tools read, as a folder or a zip to send away."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DiskFullError, UsageError, is_disk_full
from ..core.files import partial_path, place_new, restore_retired, scratch_folder, slug, whole_folder
from ..core.images import IMAGE_SUFFIXES
from ..core.progress import progress
from ..core.words import many, some
from ..core.workspace import Workspace
from .formats.picture import LeftOut, Picture
from .formats.unread import ARCHIVES
from .formats.write_coco import write_coco
from .formats.write_folder import class_folders, write_folders
from .formats.write_voc import VocLosses, write_voc
from .formats.write_yolo import write_yolo
from .licence import stated_licence
from .model import SPLITS, Dataset, Format, Split
from .read import open_dataset
from .record import DatasetRecord, RoboflowOrigin, read_record
from .standing import export_lock, refuse_lost_export, write_sums

_README = "README.dataset.txt"
_MARK = "Exported by lensmith"


@dataclass(frozen=True)
class ExportConfig:
    """How to export.

    Attributes:
        to: The new folder, or a file ending in .zip; None makes `NAME-FORMAT` in the current folder.
        force: Replace what an earlier export wrote there, as long as nothing was changed or added since.
    """

    to: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The folder or zip.
        counts: Pictures by split.
        losses: What the layout does not hold, in sentences.
    """

    path: Path
    counts: dict[Split, int]
    losses: tuple[str, ...]


def export_dataset(
    given: str | Path, format_: Format, workspace: Workspace, config: ExportConfig | None = None
) -> Exported:
    """Export a dataset; it appears whole or not at all.

    Args:
        given: A dataset's name or folder.
        format_: "yolo", "coco" or "voc" for boxes, "folder" (one folder per class) for classes.
        workspace: Where names are looked up.
        config: Options; the defaults otherwise.

    Raises:
        NotFoundError, DataError: see `open_dataset`.
        UsageError: the layout cannot hold this kind of dataset, or something is there already.
        DataError: the export that is to be replaced was changed, or holds files that came later.
        DiskFullError, OSError: as the system gave it.
    """
    config = config or ExportConfig()
    dataset = open_dataset(given, workspace)
    _check_kind(dataset, format_)
    target = (config.to or Path(f"{slug(dataset.name)}-{format_}")).expanduser().absolute()
    if target.suffix.lower() in ARCHIVES - {".zip"}:
        raise UsageError("An export is a folder or a zip.", where="--to", next_step=f"--to {target.stem}.zip")
    losses: list[str] = []
    with export_lock(target):
        _check_target(target, dataset, config)
        try:
            if target.suffix.lower() == ".zip":
                with scratch_folder(target) as folder:
                    counts = _fill(folder, dataset, format_, losses, link=True)
                    _zip(folder, target, replace=config.force)
            else:
                with whole_folder(target, replace=config.force) as folder:
                    counts = _fill(folder, dataset, format_, losses, link=False)
        except OSError as error:
            if is_disk_full(error):
                raise DiskFullError(target.parent) from None
            raise
    return Exported(target, counts, tuple(losses))


def _check_kind(dataset: Dataset, format_: Format) -> None:
    if dataset.task == "detect" and format_ == "folder":
        raise UsageError(
            f"'{dataset.name}' has boxes, and a folder per class cannot hold them.",
            where="--format folder",
            next_step=f"cut the boxes out first: cv crops {dataset.name}; or export as yolo, coco or voc",
        )
    if dataset.task == "classify" and format_ != "folder":
        raise UsageError(
            f"'{dataset.name}' has one class per picture and no boxes, which {format_} cannot hold.",
            where=f"--format {format_}",
            next_step="export it with --format folder",
        )


def _check_target(target: Path, dataset: Dataset, config: ExportConfig) -> None:
    restore_retired(target)
    resolved = target.resolve()
    if resolved == dataset.root or dataset.root in resolved.parents or resolved in dataset.root.parents:
        raise UsageError("The export would lie in the dataset, or around it.", where=target, next_step="give --to")
    if not target.exists():
        return
    if not config.force:
        again = ", or replace that export with --force" if _is_export(target) else ""
        next_step = f"give another place with --to{again}"
        raise UsageError("There is something of this name already.", where=target, next_step=next_step)
    if not _is_export(target):
        what = "This was not written by an export; --force does not replace it."
        raise UsageError(what, where=target, next_step="give another place with --to")
    refuse_lost_export(target)


def _is_export(path: Path) -> bool:
    if path.is_dir():
        readme = path / _README
        return readme.is_file() and _MARK in readme.read_text(encoding="utf-8", errors="replace")
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return archive.comment == _MARK.encode()


def _fill(folder: Path, dataset: Dataset, format_: Format, losses: list[str], *, link: bool) -> dict[Split, int]:
    """Write everything; returns how many pictures of each split were written."""
    record = read_record(dataset.root)
    licence = record.licence if record else stated_licence(dataset.root)
    with progress(f"writing {dataset.name} as {format_}", dataset.count()) as advance:
        seen: Counter[str] = Counter()
        pictures = _pictures(dataset, seen)
        left_out: list[LeftOut] = []
        match format_:
            case "yolo":
                for _ in write_yolo(folder, None, pictures, dataset.names, link=link, advance=advance):
                    pass
            case "coco":
                left_out = write_coco(folder, pictures, dataset.names, licence=licence, link=link, advance=advance)
            case "voc":
                voc = write_voc(folder, pictures, dataset.names, link=link, advance=advance)
                left_out = voc.left_out
                losses += _voc_losses(voc, dataset)
            case "folder":
                losses += _write_classes(folder, pictures, dataset, link=link, advance=advance)
    for reason in dict.fromkeys(lost.reason for lost in left_out):
        same = [lost.picture.name for lost in left_out if lost.reason == reason]
        losses.append(f"{many(len(same), 'picture')} left out, {reason}: {some(same)}.")
    if seen["spoilt"]:
        what = "without labels, because no row of their label files can be used"
        losses.append(f"{many(seen['spoilt'], 'picture')} {what}; cv check-dataset names them.")
    (folder / _README).write_text(_readme(dataset, record, licence), encoding="utf-8")
    write_sums(folder)
    return {split: seen[split] - sum(lost.picture.split == split for lost in left_out) for split in SPLITS}


def _pictures(dataset: Dataset, seen: Counter[str]) -> Iterator[Picture]:
    """All pictures; counts them by split, and those whose labels are all lost as "spoilt"."""
    for item in dataset.items():
        seen[item.split] += 1
        if item.class_id is not None:
            yield Picture(item.image, item.image.name, item.split, class_id=item.class_id)
            continue
        boxes, problems = dataset.label(item)
        seen["spoilt"] += boxes is None and bool(problems)
        yield Picture(item.image, item.image.name, item.split, boxes)


def _write_classes(
    folder: Path, pictures: Iterator[Picture], dataset: Dataset, *, link: bool, advance: Callable[[float], None]
) -> list[str]:
    for _ in write_folders(folder, pictures, dataset.names, link=link, advance=advance):
        pass
    homes = class_folders(dataset.names)
    renamed = [f"{name} is {home}" for name, home in zip(dataset.names, homes, strict=True) if name != home]
    return [f"Classes whose names cannot be folders: {', '.join(renamed)}."] if renamed else []


def _voc_losses(voc: VocLosses, dataset: Dataset) -> list[str]:
    losses = []
    if voc.moved:
        how_far = f"by {voc.farthest:.2f} pixels at most"
        losses.append(f"Pascal VOC holds whole pixels: {voc.moved} of {voc.boxes} boxes were moved, {how_far}.")
    if voc.unused:
        losses.append(f"Pascal VOC keeps no list of classes; without a box, these are lost: {', '.join(voc.unused)}.")
    if list(dataset.names) != sorted(dataset.names):
        losses.append("Pascal VOC keeps no list of classes: whoever reads it will sort them by name.")
    return losses


def _readme(dataset: Dataset, record: DatasetRecord | None, licence: str | None) -> str:
    lines = [dataset.name, "", _MARK, f"Classes: {', '.join(dataset.names)}"]
    if record and isinstance(record.origin, RoboflowOrigin):  # a person's own folders are nobody else's business
        lines.append(f"Source: {record.origin.url}")
    if licence:
        lines.append(f"License: {licence}")
    return "\n".join(lines) + "\n"


def _zip(folder: Path, target: Path, *, replace: bool) -> None:
    """Pack a folder. Pictures are packed already and only stored."""
    partial = partial_path(target)
    with contextlib.ExitStack() as stack:
        stack.callback(partial.unlink, missing_ok=True)
        with zipfile.ZipFile(partial, "x", zipfile.ZIP_DEFLATED) as archive:
            archive.comment = _MARK.encode()
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    method = zipfile.ZIP_STORED if path.suffix.lower() in IMAGE_SUFFIXES else zipfile.ZIP_DEFLATED
                    archive.write(path, path.relative_to(folder).as_posix(), compress_type=method)
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        if replace and target.exists():
            partial.replace(target)
        else:
            place_new(partial, target)
