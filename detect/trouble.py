"""What can go wrong while a detector trains, in words that a person can act on."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.device import is_memory_full
from ..core.errors import DataError, DiskFullError, LensmithError, is_disk_full
from .view import VIEW_NAME, read_view

_MISSING = re.compile(r"Image Not Found (.+)")
_GPU_SIGNS = ("CUDA error", "CUDA driver error", "cuDNN error", "NCCL error", "CUBLAS_STATUS")


class TooLittleMemoryError(LensmithError):
    """The memory does not suffice for a training step."""


class NotANumberError(LensmithError):
    """The loss is no longer a number, and going back to the epoch before did not help."""


@contextmanager
def told_plainly(run: Path) -> Iterator[None]:
    """Turn what a training raises in the block into one message; what is not known passes through.

    Raises:
        TooLittleMemoryError: the memory, or a GPU's, did not suffice for a step.
        DiskFullError: a checkpoint could not be written; the one before is still there.
        DataError: a picture of the run's own copy of the dataset is gone.
        LensmithError: the GPU does not answer any more, or a process of several GPUs failed.
    """
    try:
        yield
    except LensmithError:
        raise
    except Exception as error:
        if (told := in_plain_words(error, run)) is None:
            raise
        raise told from error


def is_no_room(error: BaseException) -> bool:
    """Whether the disk is full, which libraries in C++ say in words alone."""
    return (isinstance(error, OSError) and is_disk_full(error)) or "No space left on device" in str(error)


def in_plain_words(error: Exception, run: Path) -> LensmithError | None:
    """The message for an error of a training, None for one that is not known."""
    text = str(error)
    resume = f"cv resume {run.name}"
    if is_memory_full(error) or "killed by signal: Killed" in text:
        return TooLittleMemoryError("There is not enough memory for this training.", where=run,
                                    next_step="train with a smaller --batch, --imgsz or --size")  # fmt: skip
    if is_no_room(error):
        full = DiskFullError(run)
        full.next_step = f"the last good checkpoint is kept; free some space, then go on with: {resume}"
        return full
    if "Bus error" in text:
        return LensmithError("The processes that read pictures have too little shared memory.", where=run,
                             next_step="give the container more (--shm-size), or use --workers 0")  # fmt: skip
    if match := _MISSING.search(text):
        return _picture_gone(Path(match[1].strip()), run)
    if any(sign in text for sign in _GPU_SIGNS):
        first = next(line for line in text.splitlines() if any(sign in line for sign in _GPU_SIGNS))
        return LensmithError(f"The GPU does not answer any more: {first.strip()}", where=run,
                             next_step=f"see whether nvidia-smi still lists it, then go on with: {resume}")  # fmt: skip
    if isinstance(error, subprocess.CalledProcessError):
        return LensmithError("Training on several GPUs ended with an error; what it said stands above.", where=run,
                             next_step=f"mend it and go on with: {resume}")  # fmt: skip
    return None


def _picture_gone(picture: Path, run: Path) -> DataError:
    data = run / VIEW_NAME
    source: str | None = None
    if picture.is_relative_to(data) and (data / "view.json").is_file():
        source = read_view(data).sources.get(picture.relative_to(data).as_posix())
    what = f"A picture of the run's own copy of the dataset is gone or damaged{f'; it was {source}' if source else ''}."
    return DataError(what, where=picture, next_step=f"`cv resume {run.name}` copies the dataset anew, and "
                     "goes on from the last epoch")  # fmt: skip
