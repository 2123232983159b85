"""How a run ends: what run.json says of it, and what the person is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import DiskFullError, LensmithError, is_disk_full
from .interrupt import kept_interrupts
from .manifest import RunManifest
from .progress import say_resume


@contextmanager
def told_in(run: Path, manifest: RunManifest) -> Iterator[None]:
    """Note in run.json how the block ended, if it was not done.

    Raises:
        LensmithError: the disk was full, whoever noticed it; with how to go on.
    """
    manifest.result.pop("error", None)
    try:
        with kept_interrupts():
            yield
    except KeyboardInterrupt:
        manifest.end(run, "interrupted")
        say_resume(run.name)
        raise
    except BaseException as error:
        if full := of_full_disk(error):
            error = LensmithError(
                "The disk is full.", where=run, next_step=f"free some space, then go on with: cv resume {run.name}"
            )
        manifest.result["error"] = str(error)[:1000]
        try:
            manifest.end(run, "failed")
        except OSError as also:  # run.json says "running" then, as after a kill
            if not full:
                raise also from error
        if full:
            raise error from None
        raise


def of_full_disk(error: BaseException | None) -> bool:
    """Whether an error came from a full disk; SQLite, what stands on it, and HDF5 say so in words of their own."""
    while error is not None:
        if isinstance(error, DiskFullError) or (isinstance(error, OSError) and is_disk_full(error)):
            return True
        if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
            return True
        if "No space left on device" in str(error):
            return True
        error = error.__cause__
    return False
