"""Which processor does the work: one word for every framework.

auto      the GPU where the framework really sees one, else the CPU
cpu       the CPU
gpu       the first GPU; an error where there is none, because a GPU silently unused costs hours
0   0,1   these GPUs by number
"""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .child import python_command
from .errors import LensmithError, UsageError

_PROBE_TORCH = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
_NO_GPU = "`cv doctor` shows what each framework sees; `--device cpu` runs on the CPU"


@cache
def torch_gpu_count() -> int:
    """How many GPUs torch sees, asked in a process of its own so that torch is not loaded into this one."""
    if find_spec("torch") is None or not _may_have_gpu():
        return 0
    command = python_command("-c", _PROBE_TORCH)
    try:
        probe = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return 0
    return int(probe.stdout.strip() or 0) if probe.returncode == 0 else 0


def parse_device(spec: str) -> str | tuple[int, ...]:
    """Read a `--device` option: "auto", "cpu", or the GPU numbers ("gpu" is GPU 0).

    Raises:
        UsageError: anything else.
    """
    word = spec.strip().lower()
    if word in {"auto", "cpu"}:
        return word
    if word in {"gpu", "cuda"}:
        return (0,)
    numbers = [part.strip() for part in word.split(",")]
    if all(part.isdigit() for part in numbers) and len(set(numbers)) == len(numbers):
        return tuple(int(part) for part in numbers)
    raise UsageError(
        f"'{spec}' is not a device.", where="--device", next_step="use auto, cpu, gpu, or GPU numbers such as 0 or 0,1"
    )


def resolve_device(spec: str) -> str | tuple[int, ...]:
    """What `spec` means on this machine for torch: "cpu", or GPU numbers that exist.

    Raises:
        UsageError: a GPU was asked for that torch does not see.
    """
    wanted = parse_device(spec)
    if wanted == "cpu":
        return "cpu"
    count = torch_gpu_count()
    if wanted == "auto":
        return (0,) if count else "cpu"
    if missing := [number for number in wanted if int(number) >= count]:
        seen = f"torch sees {count} GPU{'s' if count != 1 else ''} here"
        raise UsageError(f"There is no GPU {missing[0]} for torch: {seen}.", where="--device", next_step=_NO_GPU)
    return wanted


def keras_backend(spec: str) -> str:
    """Keras' backend: torch where a GPU is to be used, else TensorFlow (about 1.7 times faster on a CPU).

    `KERAS_BACKEND` in the environment wins, so that a person with another set-up can have it their way.

    Raises:
        UsageError: a GPU was asked for that torch does not see.
    """
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen
    if resolve_device(spec) == "cpu":
        return "tensorflow" if find_spec("tensorflow") else "torch"
    return "torch"


@contextmanager
def told_when_memory_is_full(next_step: str) -> Iterator[None]:
    """Turn a framework's error for memory that ran out into one message.

    Raises:
        LensmithError: the block ran out of the GPU's memory, or of the machine's.
    """
    try:
        yield
    except Exception as error:
        if is_memory_full(error):
            raise LensmithError("There is not enough memory for this.", next_step=next_step) from error
        raise


def is_memory_full(error: Exception) -> bool:
    """Whether a framework says that the GPU's memory, or the machine's, ran out."""
    kinds = {"OutOfMemoryError", "ResourceExhaustedError", "MemoryError"}
    text = str(error).lower()
    # The last is cuBLAS without room for its own workspace, which comes first on a GPU that is almost full.
    signs = ("out of memory", "allocate memory", "cublas_status_alloc_failed")
    return type(error).__name__ in kinds or any(sign in text for sign in signs)


def usable_cores() -> int:
    """How many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> None:
    """Give back what nothing uses any more, and what torch keeps of a GPU's memory for later."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def nvidia_gpus() -> list[str]:
    """Names of the NVIDIA GPUs that the driver reports, whether or not any framework can use them."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def _may_have_gpu() -> bool:
    """A quick look, because asking torch takes seconds."""
    signs = ("nvidiactl", "nvidia0", "dxg", "nvhost-gpu", "kfd")  # NVIDIA's, Windows' in WSL, Jetson's, AMD's
    return any((Path("/dev") / sign).exists() for sign in signs) or bool(nvidia_gpus())
