"""Write a new dataset into the workspace, whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import DataError, DiskFullError, LensmithError, UsageError, is_disk_full
from ..core.files import restore_retired, sha256_of, slug, whole_folder
from ..core.progress import progress
from ..core.workspace import Workspace
from .fingerprint import Fingerprint
from .formats.picture import Picture
from .formats.write_folder import class_folders, write_folders
from .formats.write_yolo import write_yolo
from .lock import dataset_lock
from .model import SPLITS, Boxes, Split, Task
from .record import DatasetRecord, Origin


@dataclass(frozen=True)
class NewDataset:
    """What a new dataset is, apart from its pictures.

    Attributes:
        name: Its folder's name.
        names: Class names in order.
        extra: Further files to put into the folder: content by name. Looked at after the pictures, so a log that is
            filled while they are written can go here.
        remarks: What was changed or left out on the way. Looked at after the pictures, as `extra` is.
        link: Make hard links of the pictures where the disk allows it, instead of copies.
        replace: Replace a dataset of this name; without it that is an error.
    """

    name: str
    task: Task
    names: tuple[str, ...]
    origin: Origin
    licence: str | None = None
    remarks: Sequence[str] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
    link: bool = False
    replace: bool = False


@dataclass(frozen=True)
class _Written:
    """What was written: SHA-256 by path, pictures by split, and the class names as a reader will find them."""

    files: dict[str, str]
    counts: Counter[Split]
    names: tuple[str, ...]
    fingerprint: str
    remarks: tuple[str, ...] = ()


def write_dataset(
    workspace: Workspace, new: NewDataset, pictures: Iterable[Picture], total: int | None = None
) -> tuple[Path, DatasetRecord]:
    """Write a dataset with its record: the YOLO layout for boxes, a folder per class for classes.

    The folder appears when everything is in it; whatever goes wrong before leaves what was there. A second process
    that writes a dataset of this name waits for the first.

    Args:
        workspace: Where it goes.
        new: What it is. In a folder-per-class dataset the class names become what folders can be called, sorted, and a
            class without a picture cannot be kept; the record says so.
        pictures: Its pictures, consumed step by step. Sources are only read.
        total: How many they are, for the progress bar.

    Returns:
        Its folder and its record.

    Raises:
        UsageError: the name cannot be a folder's, or is taken.
        DataError: there is no picture, or one has no class.
        DiskFullError, OSError: as the system gave it.
    """
    return write_datasets(workspace, [(new, pictures, total)])[0]


def write_datasets(
    workspace: Workspace, wanted: Sequence[tuple[NewDataset, Iterable[Picture], int | None]]
) -> list[tuple[Path, DatasetRecord]]:
    """Write several datasets, the folds of one say; none appears before all are written. Else as `write_dataset`."""
    for new, _, _ in wanted:
        dataset_path(workspace, new.name)
    with contextlib.ExitStack() as stack:
        for name in sorted(new.name for new, _, _ in wanted):  # in one order: two commands never wait for each other
            stack.enter_context(dataset_lock(workspace, name))
        try:
            with contextlib.ExitStack() as folders:
                return [_write(workspace, new, pictures, total, folders) for new, pictures, total in wanted]
        except OSError as error:
            if is_disk_full(error):
                raise DiskFullError(workspace.datasets) from None
            raise


def _write(
    workspace: Workspace,
    new: NewDataset,
    pictures: Iterable[Picture],
    total: int | None,
    folders: contextlib.ExitStack,
) -> tuple[Path, DatasetRecord]:
    """Fill the folder of a dataset, which gets its name when `folders` closes."""
    target = dataset_path(workspace, new.name)
    restore_retired(target)
    if target.exists() and not new.replace:
        raise UsageError(
            f"There is a dataset called '{new.name}' already.",
            where=target,
            next_step="give the new one another name with --name NAME",
        )
    folder = folders.enter_context(whole_folder(target, replace=new.replace))
    with progress(f"writing {new.name}", total) as advance:
        write = _write_boxes if new.task == "detect" else _write_classes
        return target, _record(folder, new, write(folder, target, new, pictures, advance))


def dataset_path(workspace: Workspace, name: str) -> Path:
    """The folder of a dataset of this name, there or not.

    Raises:
        UsageError: it cannot be the name of a folder.
    """
    if slug(name) != name:
        raise UsageError(
            f"'{name}' cannot be the name of a dataset.",
            where="--name",
            next_step=f"use letters and digits: {slug(name)}",
        )
    return workspace.datasets / name


def ensure_writable(workspace: Workspace) -> None:
    """Look whether a dataset can be written here, before the work for it begins.

    Raises:
        LensmithError: the folder does not let this person write.
    """
    folder = workspace.datasets
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise LensmithError(
            "Nothing can be written into this folder.",
            where=folder,
            next_step="choose another with --workspace, or change who may write to this one",
        )


def _write_boxes(
    folder: Path, target: Path, new: NewDataset, pictures: Iterable[Picture], advance: Callable[[float], None]
) -> _Written:
    files: dict[str, str] = {}
    whole = Fingerprint("detect", new.names)
    counts: Counter[Split] = Counter()
    for picture, name, digest in write_yolo(folder, target, pictures, new.names, link=new.link, advance=advance):
        files[name] = digest
        if name.startswith(f"{picture.split}/images/"):
            counts[picture.split] += 1
            whole.add(picture.split, digest, picture.boxes or Boxes.empty())
    files["data.yaml"] = sha256_of(folder / "data.yaml")
    return _Written(files, counts, new.names, whole.hexdigest())


def _write_classes(
    folder: Path, _target: Path, new: NewDataset, pictures: Iterable[Picture], advance: Callable[[float], None]
) -> _Written:
    homes = class_folders(new.names)
    files: dict[str, str] = {}
    written: list[tuple[Split, str, str]] = []
    for picture, name, digest in write_folders(folder, pictures, new.names, link=new.link, advance=advance):
        files[name] = digest
        written.append((picture.split, digest, name.split("/")[1]))
    names = tuple(sorted({home for _, _, home in written}))
    whole = Fingerprint("classify", names)
    for split, digest, home in written:
        whole.add(split, digest, names.index(home))
    remarks = []
    if lost := [name for name, home in zip(new.names, homes, strict=True) if home not in names]:
        remarks.append(f"Without a picture, and so no longer a class: {', '.join(lost)}.")
    if renamed := [f"{name} is {home}" for name, home in zip(new.names, homes, strict=True) if name != home]:
        remarks.append(f"Classes whose names cannot be folders: {', '.join(renamed)}.")
    return _Written(files, Counter(split for split, _, _ in written), names, whole.hexdigest(), tuple(remarks))


def _record(folder: Path, new: NewDataset, written: _Written) -> DatasetRecord:
    if not written.counts:
        raise DataError("There is no picture to write.", where=new.name)
    files = dict(written.files)
    for name, text in new.extra.items():
        (folder / name).write_text(text, encoding="utf-8")
        files[name] = sha256_of(folder / name)
    record = DatasetRecord(
        origin=new.origin,
        licence=new.licence,
        task=new.task,
        names=written.names,
        counts={split: written.counts[split] for split in SPLITS},
        fingerprint=written.fingerprint,
        files=files,
        remarks=(*new.remarks, *written.remarks),
    )
    record.save(folder)
    return record
