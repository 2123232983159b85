"""Every error that is meant for the person at the keyboard.

    LensmithError          1   something failed; the base of all that is shown as one message
    ├── MissingExtraError  1   a part of Lensmith that this command needs is not installed
    ├── DiskFullError      1   there is no room to write; what was there before is still there
    ├── UsageError         2   the command was asked for something that makes no sense
    ├── NotFoundError      3   a file, dataset, bundle, project or camera is not there
    ├── AuthError          4   the key is missing, wrong, or not allowed here
    └── DataError          5   a dataset, picture or model file is not what it should be

The number is the exit code. Anything else that reaches the top is a fault of ours and is reported as such.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class LensmithError(Exception):
    """One message: what is wrong, where, and what to do next.

    Args:
        what: One sentence that says what is wrong.
        where: The file, folder, address or option it is about.
        next_step: What the person can do now, in words or as a command.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str | Path | None = None, next_step: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = str(where) if where is not None else None
        self.next_step = next_step

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.next_step:
            lines.append(f"  next:  {self.next_step}")
        return "\n".join(lines)


class MissingExtraError(LensmithError):
    """A part of Lensmith that this command needs is not installed."""


class DiskFullError(LensmithError):
    """There is no room to write; what was there before is still there."""

    def __init__(self, where: str | Path | None, *, kept: str = "") -> None:
        """`kept` says what was written before and is whole: "12 pictures"."""
        rest = f"{kept} were written before and are complete; " if kept else ""
        super().__init__(
            "The disk is full.", where=where, next_step=f"{rest}free some space and run the same command again"
        )


def is_disk_full(error: OSError) -> bool:
    """Whether the system said that there is no room: a full disk, a quota, or a limit on file size."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def told_when_full(where: str | Path, *, kept: str = "") -> Iterator[None]:
    """Say where there was no room when the block met a full disk, and what is `kept`, see `DiskFullError`.

    Raises:
        DiskFullError: in place of the system's error, which may name what was read.
    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(where, kept=kept) from None
        raise


class UsageError(LensmithError):
    """The command was asked for something that makes no sense."""

    exit_code = 2


class NotFoundError(LensmithError):
    """A file, dataset, bundle, project or camera is not there."""

    exit_code = 3


class AuthError(LensmithError):
    """The key is missing, wrong, or not allowed here."""

    exit_code = 4


class DataError(LensmithError):
    """A dataset, picture or model file is not what it should be."""

    exit_code = 5
