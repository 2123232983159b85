"""A bundle as one zip: to give away, and to take in from strangers.

The zip holds one folder with the bundle's files, bundle.json first, packed without compression (weights hardly shrink)
and with the same date on each: the same model always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ..core.errors import DataError, UsageError, told_when_full
from ..core.files import place_new, scratch_folder
from ..core.progress import progress, say
from ..core.words import many
from ..core.workspace import Workspace
from ..core.zips import Limits, need_room, opened_zip, safe_entries, unpack_entry
from .bundle import BUNDLE_NAME, LARGEST_RECORD_BYTES, Bundle, BundleRecord
from .shelf import take_in

LIMITS = Limits(files=10_000, total_bytes=20 << 30, file_bytes=8 << 30)
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_CHUNK_BYTES = 1 << 20


def export_zip(bundle: Bundle, target: Path) -> Path:
    """Write a bundle as one zip, whole or not at all.

    Args:
        bundle: An opened bundle; only the files that its record names are packed.
        target: The file to make, ending in ".zip".

    Raises:
        UsageError: the file exists, or does not end so.
        DataError: a file of the bundle changed meanwhile.
        LensmithError: there is not enough room on the disk.
    """
    target = target.expanduser().resolve()
    if target.suffix.lower() != ".zip":
        raise UsageError("A model is exported to a zip.", where=target, next_step="give --to a name that ends in .zip")
    if target.exists():
        raise UsageError("There is something of this name already.", where=target, next_step="choose another --to")
    names = [BUNDLE_NAME, *sorted(bundle.record.files)]
    with told_when_full(target.parent), scratch_folder(target) as scratch:
        need_room(scratch, sum((bundle.folder / name).stat().st_size for name in names), "the zip")
        packed = scratch / "model.zip"
        with zipfile.ZipFile(packed, "x", zipfile.ZIP_STORED) as archive, progress("packing", len(names)) as advance:
            for name in names:
                _pack(archive, bundle, name)
                advance(1)
        place_new(packed, target)
    return target


def _pack(archive: zipfile.ZipFile, bundle: Bundle, name: str) -> None:
    entry = zipfile.ZipInfo(f"{bundle.name}/{name}", _DATE)
    entry.external_attr = _MODE
    entry.create_system = 3  # or its name would be told by the system that packs
    path = bundle.folder / name
    entry.file_size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as source, archive.open(entry, "w") as packed:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            packed.write(chunk)
    if name != BUNDLE_NAME and digest.hexdigest() != bundle.record.files[name]:
        raise DataError("A file of this model changed while it was packed.", where=path, next_step="run this again")


def import_zip(archive: Path, name: str | None, workspace: Workspace, prove: Callable[[Path], object]) -> Bundle:
    """Take a bundle in from a zip; it appears only when every hash is right and `prove` did not object.

    Args:
        archive: What `export_zip` made; or the same files packed by another program, at the top or in one folder.
        name: What it is to be called; None: what its record says.
        workspace: Where it goes.
        prove: Looks at a folder with the whole bundle, and raises when it should not be used.

    Raises:
        UsageError: the name is taken.
        DataError: no zip of a bundle, damaged, hostile (see `core.zips.safe_entries`), or with a changed file.
        LensmithError: there is not enough room on the disk.
    """
    if not zipfile.is_zipfile(archive):
        raise DataError("This file is no zip, or it is cut short.", where=archive, next_step="get it again")
    with opened_zip(archive) as opened:
        entries = dict(safe_entries(opened.infolist(), archive, LIMITS))
        top = _top(entries, archive)

        text = opened.read(entries[top + BUNDLE_NAME])

        def fetch(folder: Path, record: BundleRecord) -> None:
            _unpack(opened, entries, top, folder, record)

        return take_in(text, fetch, name, workspace, prove)


def _top(entries: dict[str, zipfile.ZipInfo], archive: Path) -> str:
    """Where in the archive the bundle lies: "" or "NAME/"."""
    records = [path for path in entries if PurePosixPath(path).name == BUNDLE_NAME]
    tops = [path.removesuffix(BUNDLE_NAME) for path in records if path.count("/") < 2 and not path.startswith(".")]
    if len(tops) != 1 or entries[tops[0] + BUNDLE_NAME].file_size > LARGEST_RECORD_BYTES:
        what = "This zip holds no model of Lensmith" if not tops else "This zip holds more than one model"
        raise DataError(
            f"{what}: one bundle.json is looked for, at its top or in a folder there.",
            where=archive,
            next_step="use a zip that `cv weights export` made; for a dataset: cv import-dataset",
        )
    return tops[0]


def _unpack(
    opened: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], top: str, folder: Path, record: BundleRecord
) -> None:
    missing = [name for name in record.files if top + name not in entries]
    if missing:
        raise DataError(f"The zip lacks a file of the model: {missing[0]}", next_step="get it again")
    wanted = {name: entries[top + name] for name in record.files}
    need_room(folder, sum(entry.file_size for entry in wanted.values()), "the model")
    with progress("extracting", len(wanted)) as advance:
        for name, entry in wanted.items():
            unpack_entry(opened, entry, folder / name)
            advance(1)
    if others := len(entries) - len(wanted) - 1:
        say(f"{many(others, 'other file')} in the zip left out")
