"""Unpack a dataset's zip: pictures, labels and descriptions, and nothing else, into one folder and nowhere else.

A name that could only be meant to leave the folder refuses the whole archive; what a dataset simply does not need
(caches, scripts, programs) is left out and counted. Every file's CRC is checked while it is written.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..core.errors import DataError
from ..core.images import IMAGE_SUFFIXES
from ..core.progress import progress
from ..core.zips import Limits, need_room, opened_zip, safe_entries, unpack_entry
from .formats.unread import ARCHIVES

_WANTED_SUFFIXES = IMAGE_SUFFIXES | {".txt", ".json", ".xml"}
_WANTED_NAMES = frozenset({"data.yaml", "data.yml", "_classes.csv"})


@dataclass(frozen=True)
class Extracted:
    """What came out of an archive.

    Attributes:
        files: SHA-256 of each file by its path in the folder, with forward slashes.
        left_out: How many entries were not wanted, by suffix.
    """

    files: dict[str, str]
    left_out: Counter[str] = field(default_factory=Counter)


def check_is_zip(path: Path) -> None:
    """Raise a DataError that says what to do when a file is no whole zip."""
    if zipfile.is_zipfile(path):
        return
    if path.suffix.lower() == ".zip":
        raise DataError("This zip is damaged or incomplete.", where=path, next_step="download or copy it again")
    hint = "unpack it, and give the folder" if path.suffix.lower() in ARCHIVES else "give the dataset's folder"
    raise DataError("Only a folder or a zip can be imported.", where=path, next_step=hint)


def extract_dataset(archive: Path, target: Path, limits: Limits | None = None) -> Extracted:
    """Unpack the files of a dataset into `target`, an existing empty folder.

    Everything is looked at before the first byte is written. If the call fails, `target` may hold some of the files;
    use it within `core.files.whole_folder`.

    Raises:
        DataError: not a zip, damaged, over the limits, or with an entry that is hostile: a name with `..`, an absolute
            name, a drive letter, a link or special file, encryption, two entries for one place (in any case), or
            overlapping ones.
        LensmithError: there is not enough room on the disk.
    """
    with opened_zip(archive) as opened:
        entries = opened.infolist()
        wanted, left_out = _plan(entries, archive, limits or Limits())
        need_room(target, sum(entry.file_size for entry in wanted.values()), "the dataset")
        files = {}
        with progress("extracting", len(wanted)) as advance:
            for name, entry in wanted.items():
                files[name] = unpack_entry(opened, entry, target / name)
                advance(1)
    return Extracted(files, left_out)


def _plan(
    entries: list[zipfile.ZipInfo], archive: Path, limits: Limits
) -> tuple[dict[str, zipfile.ZipInfo], Counter[str]]:
    """The entries to unpack by the name they get, and what is left out."""
    wanted: dict[str, zipfile.ZipInfo] = {}
    left_out: Counter[str] = Counter()
    for name, entry in safe_entries(entries, archive, limits):
        if _is_wanted(PurePosixPath(name)):
            wanted[name] = entry
        else:
            left_out[PurePosixPath(name).suffix.lower() or PurePosixPath(name).name] += 1
    if not wanted:
        raise DataError("The archive holds no pictures and no labels.", where=archive)
    return wanted, left_out


def _is_wanted(path: PurePosixPath) -> bool:
    if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
        return False
    return path.suffix.lower() in _WANTED_SUFFIXES or path.name.lower() in _WANTED_NAMES
