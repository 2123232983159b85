"""Runs the cases of a safety suite in child processes with limits on memory, file size and time.

Without CV_SUITES=all a seventh of the cases runs, chosen by a fixed seed.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_REPOSITORY = Path(__file__).resolve().parents[2]
_PART = 7


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        state: "ok", or "refused" with a message for the person; "crash" is any other exception, "death" the end of the
            process, "slow" the end of our patience.
        said: The message.
        broken: Promises that were broken: files outside, events that should not be.
    """

    number: int
    state: Literal["ok", "refused", "crash", "death", "slow"]
    said: str
    broken: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        return self.state in {"crash", "death", "slow"} or bool(self.broken)


def share(count: int, seed: int = 7) -> list[int]:
    """The numbers of the cases to run out of `count`."""
    if os.environ.get("CV_SUITES") == "all":
        return list(range(count))
    return sorted(random.Random(seed).sample(range(count), max(count // _PART, 1)))


def run_cases(suite: str, numbers: Sequence[int], folder: Path, patience_seconds: float = 30.0) -> list[Outcome]:
    """Run cases of `tests/suites/SUITE.py`, one child for as many as it survives."""
    folder = folder.resolve()
    left = list(numbers)
    outcomes: list[Outcome] = []
    while left:
        for outcome in _run_child(suite, left, folder, patience_seconds):
            outcomes.append(outcome)
            left.remove(outcome.number)
    return outcomes


def bad(outcomes: Sequence[Outcome]) -> str:
    """What a failing test shows: the bad cases."""
    return "\n".join(f"case {o.number}: {o.state} {o.said[-1500:]} {list(o.broken)[:5]}" for o in outcomes if o.is_bad)


def _run_child(suite: str, numbers: Sequence[int], folder: Path, patience: float) -> Iterator[Outcome]:
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ, "PYTHONPATH": f"{_REPOSITORY / 'tests/suites/hook'}{os.pathsep}{_REPOSITORY}",
        "CV_SUITE_LOG": str(folder / "forbidden.log"), "CV_SUITE_ROOT": str(folder), "HOME": str(home),
        "CV_CACHE": str(home / "cache"), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    said = folder / "child.txt"
    with said.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.suites.child", suite, str(folder)],
            cwd=_REPOSITORY, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
    assert child.stdin
    child.stdin.write(" ".join(map(str, numbers)).encode())
    child.stdin.close()
    at_work: int | None = None
    try:
        for line in _lines(child, patience):
            if line is None:
                child.kill()
                child.wait()
                yield Outcome(numbers[0] if at_work is None else at_work, "slow", said.read_text(errors="replace"))
                return
            told = json.loads(line)
            if "begins" in told:
                at_work = told["begins"]
            else:
                at_work = None
                yield Outcome(told["ends"], told["state"], told["said"], tuple(told["broken"]))
        code = child.wait()
        if at_work is not None:
            yield Outcome(at_work, "death", f"exit code {code}: {said.read_text(errors='replace')}")
        elif code:
            raise AssertionError(f"the child ended with {code} between cases: {said.read_text(errors='replace')}")
    finally:
        child.kill()
        child.wait()


def _lines(child: subprocess.Popen[bytes], patience: float) -> Iterator[bytes | None]:
    """The child's lines; None when none came for so long."""
    assert child.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        rest = b""
        while True:
            if not selector.select(patience):
                yield None
                return
            chunk = os.read(child.stdout.fileno(), 1 << 16)
            if not chunk:
                return
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
