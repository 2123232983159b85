"""What stands where a new dataset or export is to go, and what of it only the person has."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from ..core.errors import DataError
from ..core.files import sha256_of
from ..core.isolation import cache_folder
from ..core.lock import only_one
from ..core.words import some
from .record import RECORD_NAME, DatasetRecord

SUMS_NAME = "SHA256SUMS"
_OF_THE_SYSTEM = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_CACHE_SUFFIX = ".cache"  # other tools leave these beside labels, and make them anew


def export_lock(target: Path) -> AbstractContextManager[None]:
    """Held by whatever exports to `target`. The lock lies in the cache: beside the target it would stay for ever."""
    name = hashlib.sha256(os.fsencode(target.resolve())).hexdigest()
    return only_one(cache_folder("locks") / f"export-{name[:32]}.lock", f"another export to {target}")


def write_sums(folder: Path) -> None:
    """List all files of a finished folder with their SHA-256, as `sha256sum --check` reads it."""
    lines = [f"{sha256_of(path)}  {name}\n" for name, path in _files(folder)]
    (folder / SUMS_NAME).write_text("".join(lines), encoding="utf-8", errors="surrogateescape", newline="\n")


def refuse_lost_export(target: Path) -> None:
    """See that an export, a folder or a zip, is as it was written.

    Raises:
        DataError: files in it were changed or came later.
    """
    if target.is_dir():
        sums = target / SUMS_NAME
        known = _read_sums(sums.read_bytes()) if sums.is_file() else {}
        lost = [name for name, path in _files(target) if name != SUMS_NAME and not _is_kept(path, known.get(name))]
    else:
        with zipfile.ZipFile(target) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            known = _read_sums(archive.read(SUMS_NAME)) if SUMS_NAME in names else {}
            lost = [name for name in names if name != SUMS_NAME and _sha256_in(archive, name) != known.get(name)]
    _refuse(lost, target, "the export was written", "give another place with --to")


def refuse_lost_dataset(folder: Path, record: DatasetRecord) -> None:
    """See that a dataset holds nothing but what its record knows; files that are missing are no loss.

    Raises:
        DataError: files in it were changed or came later.
    """
    lost = [name for name, path in _files(folder) if name != RECORD_NAME and not _is_kept(path, record.files.get(name))]
    _refuse(lost, folder, "the dataset was made", "give the new one another name with --name")


def _refuse(lost: list[str], target: Path, made: str, other: str) -> None:
    if not lost:
        return
    raise DataError(
        f"Replacing this would lose what was changed or added after {made}: {some(lost)}.",
        where=target,
        next_step=f"move these files elsewhere, or {other}",
    )


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """All files by their path below the folder with forward slashes, in order; none that the system or a tool left."""
    for directory, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name not in _OF_THE_SYSTEM and not name.endswith(_CACHE_SUFFIX):
                path = Path(directory, name)
                yield path.relative_to(folder).as_posix(), path


def _is_kept(path: Path, expected: str | None) -> bool:
    """Whether nothing is lost with a file: it is as it was written, or it has another name elsewhere."""
    if path.is_symlink() or not path.is_file():
        return False
    return path.stat().st_nlink > 1 or (expected is not None and sha256_of(path) == expected)


def _read_sums(data: bytes) -> Mapping[str, str]:
    lines = data.decode(errors="surrogateescape").split("\n")
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _sha256_in(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
