"""How much of the disk the features may take, and which of them go when there is no room."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from ...core.errors import LensmithError, is_disk_full
from ...core.isolation import cache_folder
from ...core.lock import is_in_use
from ...core.progress import say
from ..positioned import SharedFile

MOST_BYTES = 10 << 30
DATA, INDEX, JOURNAL = "features.bin", "index.json", "journal.jsonl"
"""The files of an entry, see `store`."""

_SPARE_BYTES = 256 << 20  # left free on the disk for everything else
_OLD_SECONDS = 24 * 3600.0
_INSTEAD = "free some space, set CV_CACHE to a folder on another disk, or use --no-cache, which takes longer"


def make_room(needed: int) -> None:
    """Remove the least recently used features until those of this size fit in.

    What was kept from before goes until all features together take no more than 10 GB or a quarter of the disk's free
    space, whichever is less. Those that some process has open stay, and those asked for are larger than that limit
    where they need to be and the disk has room.

    Args:
        needed: Bytes.

    Raises:
        LensmithError: the disk has no room even then.
    """
    home = cache_folder("features")
    entries = _entries(home)
    sizes = {entry: _size(entry) for entry in entries}
    free = shutil.disk_usage(home).free
    limit = min(MOST_BYTES, (free + sum(sizes.values())) // 4)
    removed = 0
    for entry in sorted(entries, key=_last_used):
        held = sum(sizes.values())
        if held + needed <= limit:
            break
        if is_in_use(entry / DATA):
            continue
        shutil.rmtree(entry, ignore_errors=True)
        removed += sizes.pop(entry)
    if removed:
        say(f"removed features that were not used for the longest time: {in_words(removed)} in {home}")
    if needed + _SPARE_BYTES > shutil.disk_usage(home).free:
        raise no_room(home, needed)


def has_room(needed: int) -> bool:
    """Whether so many bytes fit on the disk as it is."""
    return needed + 2 * _SPARE_BYTES <= shutil.disk_usage(cache_folder("features")).free


def reserve(file: SharedFile, size: int) -> None:
    """Take the room on the disk now, so that a full disk is found before the work and not in the middle of it."""
    if hasattr(os, "posix_fallocate") and size:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if is_disk_full(error):  # some file systems cannot reserve; there, writing finds it
                raise


def no_room(home: Path, needed: int) -> LensmithError:
    """The error for a disk that cannot hold features of this size in bytes."""
    free = shutil.disk_usage(home).free
    return LensmithError(
        f"The disk has no room for the features: they need {in_words(needed)}, and {in_words(free)} are free.",
        where=home,
        next_step=_INSTEAD,
    )


def in_words(size: int) -> str:
    """Bytes as a person reads them: "3.2 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size, 0) / 1e6:.0f} MB"


def _entries(home: Path) -> list[Path]:
    """What may be removed: whole features, and what a killed process left and nobody went on with for a day."""
    found = []
    for path in home.iterdir():
        whole = not path.name.startswith(".") and (path / INDEX).is_file()
        left = path.name.endswith(".part") and time.time() - _last_used(path) > _OLD_SECONDS
        if whole or left:
            found.append(path)
    return found


def _last_used(entry: Path) -> float:
    """When features were last read, or last written while they are being computed."""
    for name in (INDEX, JOURNAL, DATA):
        with contextlib.suppress(OSError):
            return (entry / name).stat().st_mtime
    return 0.0


def _size(entry: Path) -> int:
    with contextlib.suppress(OSError):
        return (entry / DATA).stat().st_size
    return 0
