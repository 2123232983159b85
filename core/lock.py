"""One process at a time works on a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UsageError

_NAME = ".lock"


@contextmanager
def sole_use(run: Path) -> Iterator[None]:
    """Hold the run while the block runs. The system lets go of it when the process ends, however it ends.

    Raises:
        UsageError: another process is at work on the run.
    """
    descriptor = os.open(run / _NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            _lock(descriptor)
        except OSError:
            raise UsageError(
                "Another process is at work on this run.", where=run, next_step="wait for it, or stop it first"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
