"""Work that must never hold up the picture: one thread, a short queue, and what does not fit is counted and dropped."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ..core.errors import LensmithError
from ..core.progress import warn

_LOOK_SECONDS = 0.2
_Job = TypeVar("_Job")


class _Stop:
    """Wakes a worker that has nothing left to do."""


class Worker(Generic[_Job]):
    """Does jobs one at a time, in their order, in a thread of its own.

    A job that fails is counted, and the first failure is said.

    Args:
        name: What it is called on screen.
        act: What is done with a job.
        waiting: How many jobs may wait; more are dropped.
        fatal: A failure ends it: `offer` and `close` raise what `act` raised.

    Attributes:
        done, failed, missed: How many jobs were done, failed, and did not fit into the queue or the time at the end.
    """

    def __init__(self, name: str, act: Callable[[_Job], None], *, waiting: int = 4, fatal: bool = False) -> None:
        self.name = name
        self.done = self.failed = self.missed = 0
        self._act, self._fatal = act, fatal
        self._jobs: queue.Queue[_Job | _Stop] = queue.Queue(waiting)
        self._error: BaseException | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def offer(self, job: _Job) -> bool:
        """Take a job, without waiting; False when there is no room for it.

        Raises:
            Exception: what `act` raised before, where that is fatal or a fault of ours.
        """
        self._raise()
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.missed += 1
            return False
        return True

    def close(self, seconds: float) -> None:
        """Take no more, and wait so long at most for what is queued; what is left then is dropped.

        Raises:
            Exception: as in `offer`.
        """
        self._closing.set()
        with contextlib.suppress(queue.Full):  # it is awake then, and looks when the queue is empty
            self._jobs.put_nowait(_Stop())
        until = time.monotonic() + seconds
        while self._thread.is_alive() and time.monotonic() < until:
            self._thread.join(_LOOK_SECONDS)
        while True:
            try:
                left = self._jobs.get_nowait()
            except queue.Empty:
                break
            self.missed += not isinstance(left, _Stop)
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if self._closing.is_set():
                    return
                continue
            if isinstance(job, _Stop):
                return
            try:
                self._act(job)
                self.done += 1
            except (LensmithError, OSError) as error:
                self.failed += 1
                if self._fatal:
                    self._error = error
                    return
                if self.failed == 1:
                    warn(f"{self.name} failed: {error}; later failures are only counted")
            except BaseException as error:  # noqa: BLE001 - a fault of ours, raised again in the caller's thread
                self._error = error
                return
