"""Which bundles this installation wrote or has tried out before: those may be opened without another trial.

What stands in a bundle's own files cannot tell, for whoever made it could have written anything. So it is kept in our
cache, by the SHA-256 of `bundle.json`, which holds those of all other files.
"""

from __future__ import annotations

from pathlib import Path

from ..core.files import sha256_of, write_atomic
from ..core.isolation import cache_folder
from .record import BUNDLE_NAME


def is_known(folder: Path) -> bool:
    """Whether the bundle in this folder was written, or tried out, on this machine."""
    return _note(folder).is_file()


def note_known(folder: Path) -> None:
    """Remember that this bundle was written, or tried out, on this machine."""
    write_atomic(_note(folder), "")


def _note(folder: Path) -> Path:
    return cache_folder("known") / sha256_of(folder / BUNDLE_NAME)
