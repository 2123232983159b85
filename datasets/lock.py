"""One process at a time for one dataset; a killed one holds nobody up."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from ..core.progress import say
from ..core.workspace import Workspace

_LOOK_AGAIN_SECONDS = 0.2


def dataset_lock(workspace: Workspace, name: str) -> AbstractContextManager[None]:
    """Held by whatever writes the dataset of this name: a pull, an import, a repair."""
    return only_one(workspace.datasets / ".locks" / f"{name}.lock", f"another command that writes {name}")


@contextlib.contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` while the block runs, after waiting for whoever holds it.

    The system gives the lock back when a process ends, however it ends. The file itself stays: removing it would let
    two processes hold two files of one name.

    Args:
        path: The lock file; made if needed.
        what: What is being waited for, to say so: "another command that writes chess-v2".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if not _try_lock(file):
            say(f"waiting for {what} ...")
            while not _try_lock(file):
                time.sleep(_LOOK_AGAIN_SECONDS)
        try:
            yield
        finally:
            _unlock(file)


if os.name == "nt":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
