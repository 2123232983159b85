"""Which bundles this installation wrote, and which engines have tried out the others here: those open without a trial.

What stands in a bundle's own files cannot tell, for whoever made it could have written anything. So it is kept in our
cache, by the SHA-256 of `bundle.json`, which holds those of all other files. A trial speaks for its engine alone:
another one opens another file, or reads the same one with other code.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..core.files import sha256_of, write_atomic
from ..core.isolation import cache_folder
from .record import BUNDLE_NAME

WRITTEN = "written"


def marks_of(folder: Path) -> set[str]:
    """What is known of the bundle in this folder: the engines that tried it out here, and `WRITTEN` if we made it."""
    sha256 = sha256_of(folder / BUNDLE_NAME)
    return {note.suffix[1:] for note in cache_folder("known").glob(f"{sha256}.*")}


def note_marks(folder: Path, marks: Iterable[str]) -> None:
    """Remember of a bundle that these engines tried it out here and found it right, or that it is `WRITTEN` here."""
    sha256 = sha256_of(folder / BUNDLE_NAME)
    for mark in marks:
        write_atomic(cache_folder("known") / f"{sha256}.{mark}", "")
