"""Pictures in formats that are not read: telephones and the web make them, and nobody should lose them unawares."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...core.words import many

NOT_READ = frozenset({
    ".arw", ".avif", ".cr2", ".dng", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jxl", ".nef", ".orf", ".pbm",
    ".pgm", ".ppm", ".psd", ".raw", ".rw2", ".svg", ".tga",
})  # fmt: skip
ARCHIVES = frozenset({".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"})


def files_with(root: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    """Files in a folder and below, sorted within each, whose names end so; hidden folders are passed over."""
    for directory, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122 - a hundred thousand names
                yield Path(directory, name)


def tell_unread(counts: Mapping[str, int]) -> str | None:
    """One sentence about pictures that are not read, from how many there are by suffix; None when there are none."""
    unread = {suffix: count for suffix, count in sorted(counts.items()) if suffix in NOT_READ}
    if not unread:
        return None
    total = sum(unread.values())
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in unread.items())
    verb = "is in a format that is" if total == 1 else "are in formats that are"
    return f"{many(total, 'picture')} {verb} not read ({kinds}); save them as JPEG or PNG."


def what_is_there_instead(root: Path) -> str | None:
    """What to do about a folder without a picture that is read: its pictures are of other kinds, or still packed."""
    if unread := tell_unread(Counter(path.suffix.lower() for path in files_with(root, NOT_READ))):
        return unread
    packed = next(files_with(root, ARCHIVES), None)
    if packed is None:
        return None
    return f"it holds {packed.name}: {'import that' if packed.suffix.lower() == '.zip' else 'unpack that first'}"
