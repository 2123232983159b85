"""Health checks: what a room finds out about this machine, and the fix for what is wrong. `cv doctor` gathers them."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .child import python_command
from .errors import LensmithError
from .extras import Extra, has_extra
from .install import extra_command
from .isolation import cache_folder
from .manifest import library_versions

_LOW_DISK_BYTES = 5 * 10**9


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Attributes:
        name: What was looked at.
        status: "ok"; "note" when something is worth knowing; "problem" when something does not work.
        detail: What was found.
        fix: What to do about it, as a command where there is one.
    """

    name: str
    status: Literal["ok", "note", "problem"]
    detail: str
    fix: str | None = None


def check_machine(workspace: Path) -> list[Check]:
    """Python, processor, installed parts, library versions and disk."""
    checks = [_python(), _parts(), _versions(), _disk("disk (workspace)", workspace)]
    try:
        checks.append(_disk("disk (cache)", cache_folder("")))
    except LensmithError as error:
        checks.append(Check("disk (cache)", "problem", f"{error.what} ({error.where})", error.next_step))
    return checks


def run_probe(code: str, *, env: dict[str, str] | None = None, timeout_seconds: float = 180) -> dict[str, Any] | str:
    """Run a few lines of Python that print one JSON object last, in a process of their own.

    A framework that crashes or hangs while it is probed cannot take this process along, and torch and TensorFlow
    never meet.

    Returns:
        The object, or what went wrong in one line.
    """
    try:
        done = subprocess.run(
            python_command("-c", code),
            env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=timeout_seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no answer within {timeout_seconds:g} s"
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        try:
            return json.loads(lines[-1])
        except json.JSONDecodeError:
            return f"an answer that cannot be read: {lines[-1][:200]}"
    errors = done.stderr.strip().splitlines()
    ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return errors[-1][:300] if errors else ended


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Check("python", "ok", found)
    return Check("python", "problem", found, "use Python 3.11, 3.12 or 3.13; TensorFlow has no build for others")


def _parts() -> Check:
    extras: tuple[Extra, ...] = ("data", "detect", "classify", "run", "openvino", "track", "store", "export")
    missing = [extra for extra in extras if not has_extra(extra)]
    there = ", ".join(extra for extra in extras if extra not in missing) or "only the base"
    if not missing:
        return Check("parts", "ok", f"installed: {there}")
    found = f"installed: {there}; not installed: {', '.join(missing)}"
    return Check("parts", "note", found, extra_command(missing))


def _versions() -> Check:
    return Check("versions", "ok", ", ".join(f"{name} {version}" for name, version in library_versions().items()))


def _disk(name: str, folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free at {folder}"
    if not os.access(folder, os.W_OK):
        return Check(name, "problem", f"{folder} cannot be written to", "choose another folder with --workspace")
    if free < _LOW_DISK_BYTES:
        return Check(name, "note", found, "a training run and its checkpoints may need more; free some space")
    return Check(name, "ok", found)
