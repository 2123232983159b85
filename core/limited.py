"""Work on a file that nobody has looked at yet, in a process of its own with limits on memory and time.

Libraries that read models are written in C++ for models of friends: a hostile one can make them take all memory, run
for ever, or end the process. Here that ends a child, and the person reads one sentence.

    parent    answer = ask("lensmith.predict.proof", {"folder": "..."}, Limits(seconds=60), where=folder)
    child     if __name__ == "__main__": answer_with(prepare, work)
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from . import errors
from .child import python_command
from .errors import DataError, LensmithError

_MOST_SAID = 1 << 20
_THREADS = 2
_SHORT_OF_MEMORY = (-6, -9, -11)  # how libraries in C++ end that do not look whether they got the memory
_at_work: list[str] = []


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    Attributes:
        memory_bytes: So much more than it has when its libraries are loaded; None: no limit. Only Linux keeps to it.
        seconds: Wall-clock time; the same in seconds of computing ends a child whose parent was killed.
    """

    memory_bytes: int | None = None
    seconds: float = 600.0


def ask(module: str, question: dict[str, Any], limits: Limits, *, doing: str, where: Path) -> Any:
    """Have a module do its work in a fresh process.

    Args:
        module: Ends in `answer_with`, see there.
        question: What JSON can hold.
        limits: What the child may use.
        doing: The subject of a sentence for when it goes wrong: "Opening this model".
        where: What it is about, for messages.

    Returns:
        What the work gave.

    Raises:
        LensmithError: what the child raised, of the same class.
        DataError: the child died, took too long, or more memory than it may have.
    """
    told = {"question": question, "memory": limits.memory_bytes, "seconds": limits.seconds}
    environment = {**os.environ, "PYTHONUTF8": "1", "MALLOC_ARENA_MAX": "2"}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as talk:
        try:
            done = subprocess.run(
                python_command("-m", module), input=json.dumps(told).encode(), stdout=said, stderr=talk,
                env=environment, timeout=limits.seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _given_up(f"{doing} took more than {limits.seconds:.0f} seconds", where) from None
        answer = _last_line(said)
        if done.returncode == 0 and isinstance(answer, dict) and "answer" in answer:
            return answer["answer"]
        if isinstance(answer, dict) and "error" in answer:
            raise _rebuilt(answer["error"])
        short = ""
        if limits.memory_bytes and done.returncode in _SHORT_OF_MEMORY:
            short = (
                f"; it may have asked for more than the {limits.memory_bytes / (1 << 30):.1f} GB of memory it may have"
            )
        raise _given_up(f"{doing} ended the process that tried it ({_ending(done.returncode, talk)}{short})", where)


def answer_with(prepare: Callable[[dict[str, Any]], None], work: Callable[[dict[str, Any]], Any]) -> NoReturn:
    """The whole of a child: take the question from stdin, do the work, give the answer on stdout, and end.

    Args:
        prepare: Gets the question, and loads the libraries that the work needs before the memory is limited.
        work: Gets the question; gives what JSON can hold, or raises a LensmithError.
    """
    told = json.loads(sys.stdin.buffer.read())
    talk = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print what they like; stdout is for the answer
    _limit_cores()
    _at_work.append("child")
    try:
        prepare(told["question"])
        _limit(told["memory"], told["seconds"])
        answer = {"answer": work(told["question"])}
    except LensmithError as error:
        kind = type(error).__name__
        answer = {"error": {"kind": kind, "what": error.what, "where": error.where, "next": error.next_step}}
    except MemoryError:
        answer = {"error": {"kind": "DataError", "what": "This file asks for more memory than such a model needs.",
                            "where": None, "next": None}}  # fmt: skip
    talk.write(json.dumps(answer) + "\n")
    talk.flush()
    os._exit(0 if "answer" in answer else 1)  # native threads may still be at work, and their end is not our concern


def in_child() -> bool:
    """Whether this process is such a child, so that what it opens needs no other one."""
    return bool(_at_work)


@contextlib.contextmanager
def less_memory(memory_bytes: int) -> Iterator[None]:
    """Let the block take so much more memory than there is now and no more, whatever the child may have after it."""
    if sys.platform != "linux":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _written_memory() + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if before[0] < 0 else min(wanted, before[0]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _limit_cores() -> None:
    """Each thread of a library has buffers of its own; with few of them memory says something about the file."""
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_THREADS])


def _limit(memory_bytes: int | None, seconds: float) -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_CPU, int(seconds * _THREADS) + 5)
    if memory_bytes is not None and sys.platform == "linux":
        _lower(resource.RLIMIT_DATA, _written_memory() + memory_bytes)


def _lower(kind: int, value: int) -> None:
    """Set a limit unless a lower one holds already."""
    import resource

    _, most = resource.getrlimit(kind)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(kind, (value, most))


def _written_memory() -> int:
    """Bytes that RLIMIT_DATA counts now: private memory that may be written to."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    return 0


def _last_line(file: Any) -> Any:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _MOST_SAID, 0))
    lines = file.read().splitlines()
    try:
        return json.loads(lines[-1])
    except (IndexError, ValueError):
        return None


def _ending(code: int, talk: Any) -> str:
    size = talk.seek(0, os.SEEK_END)
    talk.seek(max(size - 2000, 0))
    lines = [line for line in talk.read().decode(errors="replace").splitlines() if line.strip()]
    said = "".join(c if c.isprintable() else "?" for c in lines[-1])[:200] if lines else "it said nothing"
    return f"{f'signal {-code}' if code < 0 else f'exit code {code}'}; {said}"


def _rebuilt(told: dict[str, Any]) -> LensmithError:
    kind = getattr(errors, str(told["kind"]), DataError)
    if not (isinstance(kind, type) and issubclass(kind, LensmithError)) or kind is errors.DiskFullError:
        kind = LensmithError
    return kind(str(told["what"]), where=told["where"], next_step=told["next"])


def _given_up(what: str, where: Path) -> DataError:
    return DataError(
        f"{what}. It was not used.", where=where,
        next_step="use another copy or another model; a sound one of this kind needs far less",
    )  # fmt: skip
