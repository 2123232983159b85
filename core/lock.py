"""Locks between processes. The system takes them back when a process ends, however it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import LensmithError, UsageError
from .progress import say

_NAME = ".lock"
_LOOK_AGAIN_SECONDS = 0.2
_GLANCES, _GLANCE_SECONDS = 10, 0.02  # `is_in_use` holds a lock for a moment, which is not work


@contextmanager
def sole_use(run: Path) -> Iterator[None]:
    """Hold a run while the block runs.

    Raises:
        UsageError: another process is at work on the run.
        LensmithError: the run's folder cannot be locked.
    """
    try:
        file = (run / _NAME).open("a+b")
    except OSError as error:
        raise _cannot_lock(run, error) from None
    with file:
        try:
            free = _try_again(lambda: _try_lock(file))
        except OSError as error:
            raise _cannot_lock(run, error) from None
        if not free:
            raise UsageError(
                "Another process is at work on this run.", where=run, next_step="wait for it, or stop it first"
            )
        try:
            yield
        finally:
            _unlock(file)


@contextmanager
def marked(run: Path) -> Iterator[None]:
    """Let `is_held` say yes of a run while the block runs, for work that nobody could do twice at once."""
    path = run / _NAME
    try:
        with path.open("a+b") as file:
            mark_in_use(file.fileno())
            yield
    finally:
        path.unlink(missing_ok=True)


def is_held(run: Path) -> bool:
    """Whether a process is at work on a run, see `sole_use` and `marked`; changes nothing."""
    return is_in_use(run / _NAME)


@contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` while the block runs, after waiting for whoever holds it.

    The file itself stays: removing it would let two processes hold two files of one name.

    Args:
        path: The lock file; made if needed.
        what: What is being waited for, to say so: "another command that writes chess-v2".

    Raises:
        LensmithError: the file cannot be made or locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise _cannot_lock(path, error) from None
    with file:
        try:
            if not _try_lock(file):
                say(f"waiting for {what} ...")
                while not _try_lock(file):
                    time.sleep(_LOOK_AGAIN_SECONDS)
        except OSError as error:
            raise _cannot_lock(path, error) from None
        try:
            yield
        finally:
            _unlock(file)


def _try_again(locked: Callable[[], bool]) -> bool:
    for _ in range(_GLANCES):
        if locked():
            return True
        time.sleep(_GLANCE_SECONDS)
    return False


def _cannot_lock(path: Path, error: OSError) -> LensmithError:
    return LensmithError(
        f"This cannot be locked against other commands: {error.strerror or error}.",
        where=path,
        next_step="see that you may write there, and that the disk allows locks (some network disks do not)",
    )


if os.name == "nt":
    import msvcrt

    def mark_in_use(descriptor: int) -> None:
        """Nothing to do: on Windows an open file cannot be removed."""

    def is_in_use(path: Path) -> bool:
        """See the other system's; renaming an open file to its own name fails on Windows."""
        try:
            path.rename(path)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except PermissionError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]

else:
    import fcntl

    def mark_in_use(descriptor: int) -> None:
        """Let `is_in_use` say yes as long as this open file, which others may read too, is not closed.

        Where the disk allows no locks nothing is marked.
        """

        def shared() -> bool:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:
                pass
            return True

        _try_again(shared)

    def is_in_use(path: Path) -> bool:
        """Whether somebody has marked this file, see `mark_in_use`, and not closed it; a file must be there."""
        for mode in ("r+b", "rb"):  # the second for what may only be read
            try:
                with path.open(mode) as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except OSError:
                continue
            break
        return False

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
