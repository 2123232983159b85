"""Unpack a dataset's zip: pictures, labels and descriptions, and nothing else, into one folder and nowhere else.

A name that could only be meant to leave the folder refuses the whole archive; what a dataset simply does not need
(caches, scripts, programs) is left out and counted. Every file's CRC is checked while it is written.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..core.errors import DataError, LensmithError
from ..core.images import IMAGE_SUFFIXES
from ..core.progress import progress
from .formats.unread import ARCHIVES

_WANTED_SUFFIXES = IMAGE_SUFFIXES | {".txt", ".json", ".xml"}
_WANTED_NAMES = frozenset({"data.yaml", "data.yml", "_classes.csv"})
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
_LOCAL_HEADER_BYTES = 30
_CHUNK_BYTES = 1 << 20
_DRIVE = re.compile(r"^[A-Za-z]:")
_DEVICES = re.compile(r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]|[. ]$')
_DO_NOT_TRUST = "do not use this archive unless you know why it is so; export the dataset again"


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold; a zip of 100 KB can claim 20 GB.

    Attributes:
        files: Entries of any kind.
        total_bytes: Unpacked size of everything.
        file_bytes: Unpacked size of one file.
        ratio: Unpacked size per packed byte, of the whole archive and of each file over `ratio_from_bytes`.
        ratio_from_bytes: Below this unpacked size the ratio does not matter: a few equal label rows pack well.
        name_bytes: Length of an entry's path, in UTF-8.
    """

    files: int = 1_000_000
    total_bytes: int = 200 << 30
    file_bytes: int = 1 << 30
    ratio: float = 100.0
    ratio_from_bytes: int = 10 << 20
    name_bytes: int = 1024


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
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            wanted, left_out = _plan(entries, archive, limits or Limits())
            _need_room(target, sum(entry.file_size for entry in wanted.values()))
            files = {}
            with progress("extracting", len(wanted)) as advance:
                for name, entry in wanted.items():
                    files[name] = _write(opened, entry, target / name)
                    advance(1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise DataError(f"The archive is damaged: {error}", where=archive, next_step="download it again") from None
    return Extracted(files, left_out)


def _plan(
    entries: list[zipfile.ZipInfo], archive: Path, limits: Limits
) -> tuple[dict[str, zipfile.ZipInfo], Counter[str]]:
    """The entries to unpack by the name they get, and what is left out."""
    _check_amounts(entries, archive, limits)
    _check_overlap(entries, archive)
    wanted: dict[str, zipfile.ZipInfo] = {}
    left_out: Counter[str] = Counter()
    taken: dict[str, bool] = {}  # place, in any case -> whether it is a folder
    for entry in entries:
        name = _safe_name(entry, limits)
        _take_place(taken, name, is_folder=entry.is_dir())
        if entry.is_dir():
            continue
        if _is_wanted(PurePosixPath(name)):
            wanted[name] = entry
        else:
            left_out[PurePosixPath(name).suffix.lower() or PurePosixPath(name).name] += 1
    if not wanted:
        raise DataError("The archive holds no pictures and no labels.", where=archive)
    return wanted, left_out


def _check_amounts(entries: list[zipfile.ZipInfo], archive: Path, limits: Limits) -> None:
    if len(entries) > limits.files:
        raise DataError(f"The archive has {len(entries)} entries; {limits.files} is the limit.", where=archive)
    total = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    large = next((entry for entry in entries if entry.file_size > limits.file_bytes), None)
    dense = next((entry for entry in entries if _too_dense(entry.file_size, entry.compress_size, limits)), None)
    if total > limits.total_bytes or large or dense or _too_dense(total, packed, limits):
        worst = large or dense
        sizes = f"{total / 1e9:.1f} GB from {packed / 1e6:.1f} MB"
        raise DataError(
            f"The archive claims to unpack to {sizes}; it looks like a zip bomb.",
            where=f"{archive}: {_shown(worst.orig_filename)}" if worst else archive,
            next_step=_DO_NOT_TRUST,
        )


def _too_dense(unpacked: int, packed: int, limits: Limits) -> bool:
    return unpacked > limits.ratio_from_bytes and unpacked > limits.ratio * max(packed, 1)


def _check_overlap(entries: list[zipfile.ZipInfo], archive: Path) -> None:
    """Refuse entries that share bytes: so a small file can unpack to a huge one, file by file."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise DataError("Entries of the archive overlap.", where=archive, next_step=_DO_NOT_TRUST)
        end = entry.header_offset + _LOCAL_HEADER_BYTES + len(entry.orig_filename) + entry.compress_size


def _safe_name(entry: zipfile.ZipInfo, limits: Limits) -> str:
    """The path below the target that an entry gets, or a DataError when it is not to be trusted."""
    raw = entry.orig_filename  # `filename` was cut at a NUL already
    name = unicodedata.normalize("NFC", raw.replace("\\", "/"))
    parts = [part for part in name.split("/") if part not in {"", "."}]
    mode = stat.S_IFMT(entry.external_attr >> 16)
    reason = None
    if name.startswith("/") or _DRIVE.match(name):
        reason = "has an absolute name"
    elif ".." in parts:
        reason = "has a name that leads out of the folder"
    elif not parts or any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        reason = "has a name with control characters, or none"
    elif len(name.encode()) > limits.name_bytes or any(len(part.encode()) > 255 for part in parts):
        reason = "has a name that is too long"
    elif not name_fits_system(parts, windows=os.name == "nt"):
        reason = "has a name that Windows reserves"
    elif mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        reason = "is a link or a special file"
    elif entry.flag_bits & _ENCRYPTED_FLAGS:
        reason = "is encrypted"
    elif entry.compress_type not in _METHODS:
        reason = f"uses the compression method {entry.compress_type}, which is not read"
    if reason:
        raise DataError(f"The archive is refused: the entry '{_shown(raw)}' {reason}.", next_step=_DO_NOT_TRUST)
    return "/".join(parts)


def name_fits_system(parts: list[str], *, windows: bool) -> bool:
    """Whether file names can stand on this system; `aux` or `what?` are names of real classes elsewhere."""
    return not windows or not any(_DEVICES.match(part) or _NOT_ON_WINDOWS.search(part) for part in parts)


def _take_place(taken: dict[str, bool], name: str, *, is_folder: bool) -> None:
    """Note where an entry will lie; refuse two in one place, on systems that ignore case too."""
    parts = name.casefold().split("/")
    for depth in range(1, len(parts) + 1):
        place = "/".join(parts[:depth])
        last_file = depth == len(parts) and not is_folder
        known = taken.get(place)
        if known is not None and (last_file or not known):
            raise DataError(
                f"The archive is refused: two entries want the same place: '{_shown(name)}'.", next_step=_DO_NOT_TRUST
            )
        taken[place] = not last_file


def _is_wanted(path: PurePosixPath) -> bool:
    if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
        return False
    return path.suffix.lower() in _WANTED_SUFFIXES or path.name.lower() in _WANTED_NAMES


def _need_room(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target).free
    if needed > free:
        raise LensmithError(
            f"The disk is too full: the dataset needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free.",
            where=target.parent,
            next_step="free some space and run the same command again; the download is kept",
        )


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> str:
    """Unpack one entry and return its SHA-256; reading to the end checks its CRC and its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with opened.open(entry) as source, path.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        if file.tell() != entry.file_size:
            raise zipfile.BadZipFile(f"'{_shown(entry.orig_filename)}' is shorter than it claims")
    return digest.hexdigest()


def _shown(name: str) -> str:
    """A name from an archive, fit for a terminal."""
    return "".join(character if character.isprintable() else "?" for character in name)[:120]
