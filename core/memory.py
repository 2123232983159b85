"""How much memory this process may use: the machine's, or less where a container or a job has a limit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def total_memory() -> int:
    """Bytes of memory that this process could have if nothing else ran."""
    return min([_machine()[0], *(limit for limit, _ in _limits())])


def available_memory() -> int:
    """Bytes of memory that this process can still take without swapping, by what the system says at this moment."""
    return max(min([_machine()[1], *(limit - used for limit, used in _limits())]), 0)


def gpu_memory(number: int = 0) -> int | None:
    """Bytes of memory that an NVIDIA GPU has, None where its driver's tool is not there to be asked."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, f"--id={number}", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
        return int(done.stdout.strip()) << 20 if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, OSError, ValueError):
        return None


def peak_memory() -> int:
    """The most bytes of memory that this process ever had, 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _machine() -> tuple[int, int]:
    """Bytes in all and bytes free."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
        return values["MemTotal"], values["MemAvailable"]
    except (OSError, KeyError, ValueError):
        pass
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return total, total // 2  # macOS does not say; half is what it usually can give
    return _windows()


def _windows() -> tuple[int, int]:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong) for name in ("total", "free", "page", "page_free", "own", "own_free", "extended")
        ]

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # pyright: ignore[reportAttributeAccessIssue]
    return int(status.total), int(status.free)


def _limits() -> Iterator[tuple[int, int]]:
    """The limits of the control groups that this process is in, with what they use: bytes."""
    try:
        own = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in own:
        _, kind, path = line.split(":", 2)
        if kind in {"", "memory"}:
            names = ("memory.max", "memory.current") if not kind else ("limit_in_bytes", "usage_in_bytes")
            home = _GROUPS if not kind else _GROUPS / "memory"
            folder = home / path.lstrip("/")
            for place in (folder, *folder.parents):
                if home not in (place, *place.parents):
                    break
                prefix = "" if not kind else "memory."
                if (found := _numbers(place / f"{prefix}{names[0]}", place / f"{prefix}{names[1]}")) is not None:
                    yield found


def _numbers(limit: Path, used: Path) -> tuple[int, int] | None:
    try:
        return int(limit.read_text()), int(used.read_text()) - _given_back(used.with_name("memory.stat"))
    except (OSError, ValueError):  # "max": no limit
        return None


def _given_back(stat: Path) -> int:
    """Bytes of file cache that count as used and go at once when memory is needed."""
    values = dict(line.split() for line in stat.read_text().splitlines())
    return int(values.get("total_inactive_file", values.get("inactive_file", 0)))
