"""Zips that strangers made: looked at whole before the first byte of them is unpacked.

A name that could only be meant to leave the folder refuses the whole archive, and so do links, entries that share bytes
or a place, and more than the limits allow. Every file's CRC is checked while it is read.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import DataError, LensmithError

_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
_LOCAL_HEADER_BYTES = 30
_CHUNK_BYTES = 1 << 20
_DRIVE = re.compile(r"^[A-Za-z]:")
_DEVICES = re.compile(r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]|[. ]$')
_DO_NOT_TRUST = "do not use this archive unless you know why it is so; get or export it again"


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


USUAL_LIMITS = Limits()


@contextmanager
def opened_zip(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip, and say of any damage that comes up in the block what a person can do.

    Raises:
        DataError: not a zip, or damaged.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise DataError(f"The archive is damaged: {error}", where=archive, next_step="download it again") from None


def safe_entries(
    entries: Sequence[zipfile.ZipInfo], archive: Path, limits: Limits
) -> list[tuple[str, zipfile.ZipInfo]]:
    """Look at all entries of an archive before any is unpacked.

    Args:
        entries: What `infolist` gives.
        archive: The file, for messages.
        limits: How much it may hold.

    Returns:
        Each file with the path below the target that it gets, with forward slashes; folders are left out.

    Raises:
        DataError: it is over the limits, or an entry is hostile: a name with `..`, an absolute name, a drive letter, a
            link or special file, encryption, two entries for one place (in any case), or overlapping ones.
    """
    _check_amounts(entries, archive, limits)
    _check_overlap(entries, archive)
    taken: dict[str, bool] = {}  # place, in any case -> whether it is a folder
    files = []
    for entry in entries:
        name = _safe_name(entry, limits)
        _take_place(taken, name, is_folder=entry.is_dir())
        if not entry.is_dir():
            files.append((name, entry))
    return files


def _check_amounts(entries: Sequence[zipfile.ZipInfo], archive: Path, limits: Limits) -> None:
    if len(entries) > limits.files:
        raise DataError(f"The archive has {len(entries)} entries; {limits.files} is the limit.", where=archive)
    total = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    large = next((entry for entry in entries if entry.file_size > limits.file_bytes), None)
    dense = next((entry for entry in entries if too_dense(entry.file_size, entry.compress_size, limits)), None)
    if total > limits.total_bytes or large or dense or too_dense(total, packed, limits):
        worst = large or dense
        sizes = f"{total / 1e9:.1f} GB from {packed / 1e6:.1f} MB"
        raise DataError(
            f"The archive claims to unpack to {sizes}; it looks like a zip bomb.",
            where=f"{archive}: {shown_name(worst.orig_filename)}" if worst else archive,
            next_step=_DO_NOT_TRUST,
        )


def too_dense(unpacked: int, packed: int, limits: Limits = USUAL_LIMITS) -> bool:
    """Whether so many packed bytes claim to be more than pictures and labels ever are."""
    return unpacked > limits.ratio_from_bytes and unpacked > limits.ratio * max(packed, 1)


def _check_overlap(entries: Sequence[zipfile.ZipInfo], archive: Path) -> None:
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
    elif is_encrypted(entry):
        reason = "is encrypted"
    elif not is_packed_as_we_read(entry):
        reason = f"uses the compression method {entry.compress_type}, which is not read"
    if reason:
        raise DataError(f"The archive is refused: the entry '{shown_name(raw)}' {reason}.", next_step=_DO_NOT_TRUST)
    return "/".join(parts)


def is_encrypted(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry, or its name, needs a password."""
    return bool(entry.flag_bits & _ENCRYPTED_FLAGS)


def is_packed_as_we_read(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is stored or deflated; decoders of other methods ask for memory as the archive says."""
    return entry.compress_type in _METHODS


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
            what = f"The archive is refused: two entries want the same place: '{shown_name(name)}'."
            raise DataError(what, next_step=_DO_NOT_TRUST)
        taken[place] = not last_file


def unpack_entry(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> str:
    """Unpack one entry and return its SHA-256; reading to the end checks its CRC and its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with opened.open(entry) as source, path.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        if file.tell() != entry.file_size:
            raise zipfile.BadZipFile(f"'{shown_name(entry.orig_filename)}' is shorter than it claims")
    return digest.hexdigest()


def need_room(folder: Path, needed: int, what: str) -> None:
    """Raise unless a disk has room for what is to be unpacked or fetched.

    Args:
        folder: On the disk.
        needed: Bytes.
        what: What needs them: "the dataset".

    Raises:
        LensmithError: there is not enough room.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LensmithError(
            f"The disk is too full: {what} needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free.",
            where=folder.parent,
            next_step="free some space and run the same command again; what was fetched is kept",
        )


def shown_name(name: str, most: int | None = 120) -> str:
    """A name from an archive, fit for a terminal, cut off after so many characters; None leaves it whole."""
    return "".join(character if character.isprintable() else "?" for character in name)[:most]
