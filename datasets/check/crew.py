"""Helpers that look at pictures in processes of their own, and one that dies takes nothing with it."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ...core.child import python_command
from ...core.errors import LensmithError
from .look import Look
from .worker import READY, receive, send

_IN_FLIGHT = 2  # lists of pictures that a helper has at once: it never waits for us
_SECONDS = 0.05  # how long to wait at once, so that Ctrl-C is heard on every system
_START = "from lensmith.datasets.check.worker import main; main()"

Part = list[tuple[int, str]]
"""Pictures to look at: their number and their path."""
Seen = tuple[list[int], list[Look]]
"""The numbers of some pictures, and what was seen of them."""


class Crew:
    """Takes parts of a list of pictures, from the front, and gives back looks as they come.

    A helper that dies (the system kills the largest process when memory runs out) is replaced, and what it had is
    looked at again one by one; a picture over which a helper dies twice is reported as unreadable.
    """

    def __init__(self, parts: Sequence[Part], helpers: int, cache: Path | None) -> None:
        self._todo: deque[Part] = deque(parts)
        self._done: queue.SimpleQueue[Seen | BaseException] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._cache = cache
        self._running: set[subprocess.Popen[bytes]] = set()
        self._deadly: set[int] = set()
        self._stopped = False
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(helpers)]
        for thread in self._threads:
            thread.start()

    def take(self) -> Part | None:
        """The next part, for whoever wants to look at it; None when all are given out."""
        with self._lock:
            return self._todo.popleft() if self._todo and not self._stopped else None

    def ready(self) -> Iterator[Seen]:
        """The looks that have come in meanwhile."""
        while not self._done.empty():
            yield self._collect()

    def rest(self) -> Iterator[Seen]:
        """The looks still to come, until every helper is through."""
        while any(thread.is_alive() for thread in self._threads):
            try:
                yield self._collect(_SECONDS)
            except queue.Empty:
                continue
        yield from self.ready()

    def _collect(self, seconds: float = 0.0) -> Seen:
        found = self._done.get(timeout=seconds)
        if isinstance(found, BaseException):
            raise found
        return found

    def stop(self) -> None:
        """End all helpers at once. Does nothing the second time."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        try:
            again: deque[Part] = deque()
            while (first := again.popleft() if again else self.take()) is not None:
                again.extendleft(reversed(self._work(first, again)))
        except BaseException as error:  # noqa: BLE001 - it is raised where the results are waited for
            self._done.put(error)

    def _work(self, first: Part, again: deque[Part]) -> list[Part]:
        """Let one helper work until it dies or nothing is left; returns what must be looked at again."""
        process = self._start()
        pending: deque[Part] = deque()
        try:
            part: Part | None = first
            while part is not None or pending:
                if part is not None:
                    pending.append(part)
                    send(_pipe(process.stdin), [path for _, path in part])
                if len(pending) == _IN_FLIGHT or part is None:
                    looks = receive(_pipe(process.stdout))
                    self._answer(pending.popleft(), looks)
                part = again.popleft() if again else self.take()
        except (EOFError, BrokenPipeError):
            if not self._stopped:
                return self._suspects(process, pending)
        finally:
            self._end(process)
        return []

    def _answer(self, part: Part, looks: list[tuple[Any, ...]]) -> None:
        self._done.put(([number for number, _ in part], [Look(*fields) for fields in looks]))

    def _suspects(self, process: subprocess.Popen[bytes], pending: deque[Part]) -> list[Part]:
        """What a dead helper leaves to be looked at again; the part that it died over picture by picture."""
        with contextlib.suppress(EOFError):
            while pending:
                looks = receive(_pipe(process.stdout))
                self._answer(pending.popleft(), looks)
        if not pending:
            return []
        deadly = pending.popleft()
        if len(deadly) > 1:
            return [*([picture] for picture in deadly), *pending]
        number = deadly[0][0]
        if number not in self._deadly:
            self._deadly.add(number)
            return [deadly, *pending]
        reason = "reading it ended the process that tried; there may be too little memory for it"
        self._done.put(([number], [Look(bytes(32), "unreadable", reason)]))
        return list(pending)

    def _start(self) -> subprocess.Popen[bytes]:
        alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        arguments = [] if self._cache is None else [str(self._cache)]
        process = subprocess.Popen(
            python_command("-c", _START, *arguments),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **alone},
        )  # fmt: skip
        with self._lock:
            self._running.add(process)
            if self._stopped:
                process.kill()
        try:
            if receive(_pipe(process.stdout)) == READY:
                return process
        except EOFError:
            self._end(process)
            if self._stopped:
                raise
        raise LensmithError(
            "A process that looks at pictures could not be started.",
            next_step="close other programs if memory is short, or run again with --workers 1",
        )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        with self._lock:
            self._running.discard(process)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without pipes")
    return pipe
