"""What goes wrong while a detector trains is one message with the next step."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from lensmith.core.errors import DataError, DiskFullError, LensmithError
from lensmith.detect.trouble import TooLittleMemoryError, in_plain_words, told_plainly

_CUDA = (
    "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported at some other API call"
)
_WORKER = "DataLoader worker (pid 4711) is killed by signal: "


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 20 MiB"), TooLittleMemoryError, "smaller --batch"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), TooLittleMemoryError, "not enough memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), TooLittleMemoryError,
         "smaller --batch"),
        (MemoryError(), TooLittleMemoryError, "not enough memory"),
        (RuntimeError(f"{_WORKER}Killed."), TooLittleMemoryError, "not enough memory"),
        (RuntimeError(f"{_WORKER}Bus error. It is possible that ..."), LensmithError, "--workers 0"),
        (OSError(errno.ENOSPC, "No space left on device"), DiskFullError, "last good checkpoint is kept"),
        (OSError(errno.EFBIG, "File too large"), DiskFullError, "cv resume run-1"),
        (RuntimeError("[enforce fail] . : No space left on device"), DiskFullError, "cv resume run-1"),
        (RuntimeError(_CUDA), LensmithError, "GPU does not answer any more: CUDA error: unspecified launch failure"),
        (FileNotFoundError("Image Not Found /x/0.jpg"), DataError, "gone or damaged"),
        (RuntimeError("Caught FileNotFoundError in a worker\nImage Not Found /x/0.jpg\n"), DataError, "/x/0.jpg"),
        (subprocess.CalledProcessError(1, ["python"]), LensmithError, "several GPUs"),
    ],
)  # fmt: skip
def test_what_is_known_is_told(error: Exception, kind: type[LensmithError], says: str, tmp_path: Path) -> None:
    told = in_plain_words(error, tmp_path / "run-1")
    assert type(told) is kind
    assert says in str(told)
    assert told.next_step


def test_what_is_not_known_passes_through(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), told_plainly(tmp_path):
        raise ZeroDivisionError
    said = LensmithError("already one message")
    with pytest.raises(LensmithError) as raised, told_plainly(tmp_path):
        raise said
    assert raised.value is said
