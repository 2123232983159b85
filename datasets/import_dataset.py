"""Bring a person's folder or zip into the workspace as a dataset; the original is only read."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import DataError, DiskFullError, NotFoundError, UsageError, is_disk_full
from ..core.files import restore_retired, scratch_folder, sha256_of, slug
from ..core.images import ImageError, inspect_image
from ..core.progress import progress
from ..core.words import many, some
from ..core.workspace import Workspace
from ..core.zips import Limits
from .archive import check_is_zip, extract_dataset
from .check.items import listed_once
from .fingerprint import Fingerprint
from .formats.layout import recognise
from .formats.picture import Picture
from .formats.unread import NOT_READ, files_with, tell_unread
from .formats.write_folder import class_folders
from .licence import stated_licence
from .model import SPLITS, Boxes, Dataset, Format, Item, Split
from .read import open_layout
from .record import DatasetRecord, FolderOrigin, read_record, verify
from .standing import refuse_lost_dataset
from .write import NewDataset, dataset_path, write_dataset

_MOST_REASONS = 20


@dataclass(frozen=True)
class ImportConfig:
    """How to import.

    Attributes:
        name: Name of the dataset; None takes that of the folder or zip.
        split: Shares such as "70/20/10" by which all pictures are split anew; None keeps the splits that are there,
            and where there are none takes 70/20/10.
        seed: Of that choice.
        link: Make hard links of the pictures, where the disk allows it, instead of copies.
        format: The layout; None recognises it.
        force: Replace what an earlier import of the same folder or zip made, as long as nothing was changed or added.
        limits: How much a zip may hold.
    """

    name: str | None = None
    split: str | None = None
    seed: int = 0
    link: bool = False
    format: Format | None = None
    force: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Imported:
    """What an import ended with; `fresh` is False when the same pictures and labels had been imported already."""

    folder: Path
    record: DatasetRecord
    fresh: bool


def import_dataset(given: str | Path, workspace: Workspace, config: ImportConfig | None = None) -> Imported:
    """Import a dataset in YOLO, COCO, Pascal VOC or folder-per-class layout, recognised by itself.

    Where nothing is split, pictures that show the same thing are kept together and the rest is shared out so that
    every split gets its part of every class.

    Args:
        given: A folder, or a zip with one in it.
        workspace: Where the dataset goes, whole or not at all.
        config: Options; the defaults otherwise.

    Raises:
        NotFoundError: there is no such folder or file.
        UsageError: the name is taken by another dataset, or the shares make no sense.
        DataError: it is no dataset, cannot be used, or the zip is not to be trusted; or what an earlier import brought
            was changed since.
        DiskFullError, OSError: as the system gave it.
    """
    config = config or ImportConfig()
    path = Path(given).expanduser()
    if not path.exists():
        raise NotFoundError(f"There is no '{given}'.", where=path.absolute(), next_step="give a folder or a zip")
    path = path.resolve()
    target = dataset_path(workspace, config.name or slug(path.stem if path.is_file() else path.name))
    if path == target.resolve() or path in target.resolve().parents:
        raise UsageError(
            "The dataset would lie in the folder that it is made from.", where=path, next_step="give --name"
        )
    if path.is_dir():
        unread = Counter(found.suffix.lower() for found in files_with(path, NOT_READ))
        return _import_folder(path, path, target, workspace, config, unread)
    check_is_zip(path)
    with scratch_folder(target) as scratch, _in_words_of(path, scratch):
        left_out = extract_dataset(path, scratch, config.limits).left_out
        return _import_folder(scratch, path, target, workspace, config, left_out)


@contextlib.contextmanager
def _in_words_of(archive: Path, scratch: Path) -> Iterator[None]:
    """Errors name places in the zip: the folder it was unpacked into is gone by the time they are read."""
    try:
        yield
    except DataError as error:
        if error.where is None or not error.where.startswith(str(scratch.resolve())):
            raise
        where = str(archive) + error.where.removeprefix(str(scratch.resolve()))
        raise DataError(error.what, where=where, next_step=error.next_step) from None
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(scratch.parent) from None
        raise


def _import_folder(
    folder: Path, given: Path, target: Path, workspace: Workspace, config: ImportConfig, others: Counter[str]
) -> Imported:
    """Import a folder; `others` counts files by suffix, those among them that are pictures of other kinds too."""
    layout = recognise(folder.resolve(), config.format)
    dataset = listed_once(open_layout(layout))
    remarks = [f"Recognised as {_LAYOUTS[dataset.format]}."]
    splits = _splits(dataset, config, remarks)
    remarks += [remark.what for remark in dataset.remarks if splits is None or remark.kind != "split-none"]
    if unread := tell_unread(others):
        remarks.append(unread)
    restore_retired(target)
    if target.exists() and (done := _already_there(dataset, splits, target, given, config)):
        return done
    unpacked = folder != given
    target.parent.mkdir(parents=True, exist_ok=True)
    linked = config.link and not unpacked and folder.stat().st_dev == target.parent.stat().st_dev
    if config.link and unpacked:
        remarks.append("A zip is always unpacked, so --link changed nothing.")
    elif config.link and not linked:
        remarks.append("The pictures were copied, because hard links cannot lead to another disk.")
    parent = read_record(dataset.root)
    licence = stated_licence(dataset.root, layout.coco) or stated_licence(folder)
    new = NewDataset(
        name=target.name,
        task=dataset.task,
        names=dataset.names,
        origin=FolderOrigin(path=_written(given), format=dataset.format, linked=linked),
        licence=parent.licence if parent else licence,
        remarks=remarks,
        link=linked or unpacked,
        replace=config.force,
    )
    total = dataset.count()
    _, record = write_dataset(workspace, new, _pictures(dataset, splits, remarks), total)
    return Imported(target, record, fresh=True)


_LAYOUTS: dict[Format, str] = {
    "yolo": "a detection dataset in YOLO layout",
    "coco": "a detection dataset in COCO layout",
    "voc": "a detection dataset in Pascal VOC layout",
    "folder": "a classification dataset with one folder per class",
}


def _written(path: Path) -> str:
    """A path as the record can hold it: a name on a disk need not be text."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _splits(dataset: Dataset, config: ImportConfig, remarks: list[str]) -> Sequence[Split] | None:
    """The split of each picture in order, where they are split anew; None where they stay."""
    there = [split for split in SPLITS if next(dataset.items(split), None) is not None]
    if config.split is None and len(there) > 1:
        return None
    from .balance import count_objects
    from .check.run import check_dataset
    from .check.twins import groups
    from .split import DEFAULT_RATIOS, parse_ratios
    from .stratify import share_out

    try:
        ratios = parse_ratios(config.split) if config.split else DEFAULT_RATIOS
    except UsageError as error:
        raise UsageError(error.what, where="--split", next_step=error.next_step) from None
    items = list(dataset.items())
    with progress("looking for pictures that show the same thing", len(items)) as advance:
        twins = check_dataset(dataset, advance=advance).twins
    bound = groups(items, twins)
    if config.split is None and len(bound) < len(ratios):
        remarks.append(f"Nothing is split, and there are too few different pictures ({len(bound)}) to do it.")
        return None
    if len(bound) < len(ratios):
        raise DataError(
            f"There are {len(bound)} pictures that show different things, too few for {len(ratios)} parts.",
            where=dataset.root,
            next_step="add pictures, or leave --split out",
        )
    parts = share_out(items, count_objects(dataset, items), bound, ratios, config.seed)
    shares = "/".join(f"{ratio:g}" for ratio in ratios)
    why = "It had no splits; its pictures were" if len(there) == 1 else "Pictures were"
    remarks.append(f"{why} shared out {shares} (seed {config.seed}), those that show the same thing together.")
    return [SPLITS[part] for part in parts.tolist()]


def _pictures(dataset: Dataset, splits: Sequence[Split] | None, remarks: list[str] | None = None) -> Iterator[Picture]:
    """All pictures; when the last is taken, what was wrong with their labels is added to the remarks."""
    reasons: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    spoilt = usable = 0
    for number, item in enumerate(dataset.items()):
        split = item.split if splits is None else splits[number]
        if item.class_id is not None:
            yield Picture(item.image, item.image.name, split, class_id=item.class_id)
            continue
        boxes, problems = dataset.label(item)
        reasons.update(problem.reason for problem in problems)
        spoilt += boxes is None and bool(problems)
        usable += 0 if boxes is None else len(boxes)
        if remarks is not None and boxes is not None and len(boxes):
            sizes.update(_size_problem(dataset, item))
        yield Picture(item.image, item.image.name, split, boxes)
    if dataset.task == "detect" and not usable:
        (reason, count), *_ = reasons.most_common(1) or [("there are none", 0)]
        raise DataError(
            f"No label row of this dataset can be used; {many(count, 'row')} {reason}.",
            where=dataset.root,
            next_step="cv check-dataset names the rows",
        )
    if remarks is not None:
        if spoilt:
            what = "came without labels, because no row of their label files can be used"
            remarks.append(f"{many(spoilt, 'picture')} {what}.")
        remarks += [f"{many(count, 'label row')} {reason}." for reason, count in reasons.most_common(_MOST_REASONS)]
        remarks += [f"{many(count, 'picture')} {what}." for what, count in sizes.most_common()]
        strays = sum(1 for _ in dataset.stray_labels())
        if strays:
            what = "pictures are listed and not there" if dataset.format == "coco" else "label files have no picture"
            remarks.append(f"{strays} {what}; they are left out.")


def _size_problem(dataset: Dataset, item: Item) -> list[str]:
    if dataset.format not in {"coco", "voc"} or (stated := dataset.stated_size(item)) is None:
        return []
    try:
        info = inspect_image(item.image)
    except ImageError:
        return []  # copied as it is; the check names it
    if stated == (info.width, info.height):
        return []
    if stated == (info.height, info.width):
        return ["with width and height swapped in the label file, as an EXIF rotation does; look at the boxes"]
    return ["of another size than the label file states; boxes are taken as shares of the stated size"]


def _already_there(
    dataset: Dataset, splits: Sequence[Split] | None, target: Path, given: Path, config: ImportConfig
) -> Imported | None:
    """What an earlier import of the same made, if nothing has changed; None when it is to be replaced.

    Raises:
        UsageError: another dataset has the name, or the source has changed.
        DataError: the dataset was changed since.
    """
    record = read_record(target)
    other = "give this one another name with --name NAME"
    if record is None or not isinstance(record.origin, FolderOrigin) or record.origin.path != _written(given):
        made = "a dataset of your own" if record is None else f"made from {record.origin}"
        replaced = "; --force does not replace it" if config.force else ""
        what = f"There is a dataset called '{target.name}' already, and it is {made}{replaced}."
        raise UsageError(what, where=target, next_step=other)
    if config.force:
        refuse_lost_dataset(target, record)
        return None
    if record.fingerprint != _fingerprint(dataset, splits):
        raise UsageError(
            f"There is a dataset called '{target.name}' already, imported from here, but what would be imported now"
            " differs in pictures, labels or splits.",
            where=target,
            next_step=f"{other}, or replace it with --force",
        )
    if changed := verify(target, record):
        raise DataError(
            f"This dataset is no longer as it was imported; missing or changed: {some(changed)}.",
            where=target,
            next_step=f"{other}; or move your changes elsewhere, then import it anew with --force",
        )
    return Imported(target, record, fresh=False)


def _fingerprint(dataset: Dataset, splits: Sequence[Split] | None) -> str:
    """The fingerprint that the dataset will have once it is written."""
    homes = class_folders(dataset.names)
    used = sorted({homes[item.class_id] for item in dataset.items() if item.class_id is not None})
    whole = Fingerprint(dataset.task, used or dataset.names)
    for item, picture in zip(dataset.items(), _pictures(dataset, splits), strict=True):
        label = Boxes.empty() if picture.boxes is None else picture.boxes
        class_id = item.class_id
        whole.add(picture.split, sha256_of(item.image), label if class_id is None else used.index(homes[class_id]))
    return whole.hexdigest()
