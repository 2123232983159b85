"""Runs cases of one suite in this process: python -m tests.suites.child SUITE FOLDER, numbers of cases on stdin.

Prints a line of JSON before and after each case, so that whoever reads knows which one a death belongs to.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import shutil
import sys
import traceback
from pathlib import Path

from lensmith.core.errors import LensmithError


def main() -> None:
    suite = importlib.import_module(f"tests.suites.{sys.argv[1]}")
    root = Path(sys.argv[2])
    log = Path(os.environ["CV_SUITE_LOG"])
    suite.warm_up()
    _limit_memory(suite.MEMORY_BYTES)
    talk = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for number in map(int, sys.stdin.read().split()):
        print(json.dumps({"begins": number}), file=talk, flush=True)
        folder = root / f"case-{number}"
        folder.mkdir()
        case = suite.prepare(number, folder)
        before = log.stat().st_size if log.exists() else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (suite.FILE_BYTES, resource.RLIM_INFINITY))
        try:
            state, said, broken = suite.run(case, folder)
        except LensmithError as error:
            state, said, broken = "refused", str(error), []
        except BaseException:
            state, said, broken = "crash", traceback.format_exc(limit=-6), []
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if log.exists() and log.stat().st_size > before:
            with log.open("rb") as file:
                file.seek(before)
                broken = [*broken, *file.read().decode(errors="replace").splitlines()]
        shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps({"ends": number, "state": state, "said": said, "broken": broken}), file=talk, flush=True)


def _limit_memory(memory_bytes: int) -> None:
    """So much more address space than is in use now."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory_bytes, used + memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
