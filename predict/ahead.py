"""Frames read, decoded and prepared ahead of the model, in as many threads as help, handed on in their order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..core.device import usable_cores
from .results import Frame, Skipped
from .sources import Jobs

_MOST_BYTES = 384 << 20  # of decoded frames between the source and the caller
_MOST_THREADS = 16
_ONE_AFTER_ANOTHER = 2  # threads for a video: one reads, the other prepares
_LOOK_SECONDS = 0.5  # waiting is cut into pieces, so that Ctrl-C comes through on every system
_LEAVE_SECONDS = 2.0  # a source may be stuck in a read, and nothing wakes it: its thread then ends with the process


@dataclass(frozen=True, slots=True)
class Ready:
    """A frame, what the model takes of it, and the milliseconds that "read" and "prepare" took."""

    frame: Frame
    prepared: Any
    milliseconds: dict[str, float]


class _End:
    """Stands behind the last frame."""


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


class _ClosedError(Exception):
    """Nobody wants the frame any more."""


class Ahead:
    """Frames of a source, made ready ahead of whoever takes them.

    Only one thread at a time asks the source for its next frame, so any iterable will do; a source with `jobs` has its
    pictures decoded side by side. However long the source is and however large its frames are, only so many, and only
    so many bytes of them, are being made, wait here or are still in the taker's hands; a taker who needs one more gets
    it anyway. For pictures the bytes are counted before they are taken, from what their files say.

    Args:
        frames: The source.
        prepare: See `Predictor.prepare`; called from several threads.
        most: How many frames may be ahead.
        most_bytes: How many bytes of decoded frames, until `release`, and of files that are being decoded may be about.
    """

    def __init__(
        self, frames: Iterable[Frame], prepare: Callable[[Any], Any], most: int, *, most_bytes: int = _MOST_BYTES
    ) -> None:
        self._prepare = prepare
        self._skipped: list[Skipped] | None = None
        self._next: Callable[[], Any]
        self._source: Iterator[Any]
        cores = usable_cores()
        if isinstance(frames, Jobs):
            frames.skipped.clear()
            self._skipped, self._source = frames.skipped, frames.jobs(self._room)
            count = min(cores, _MOST_THREADS)
        else:
            self._source = iter(frames)
            count = min(cores, _ONE_AFTER_ANOTHER)
        self._most, self._most_bytes = most + count, most_bytes
        self._turn = threading.Lock()  # whoever holds it may ask the source
        self._changed = threading.Condition()  # guards what follows
        self._ready: dict[int, Ready | Skipped | _Failed | _End] = {}
        self._asked = 0
        self._taken = 0
        self._bytes = 0
        self._reserved: dict[int, int] = {}  # of these bytes, by number, those of frames that are not ready yet
        self._mine = threading.local()  # the number of the frame that this thread works on
        self._hungry = False
        self._over = False
        self._threads = [threading.Thread(target=self._work, name=f"frames-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def take(self) -> Ready | None:
        """The next frame, None at the end.

        Raises:
            BaseException: what the source raised, after the frames before.
        """
        while True:
            with self._changed:
                self._hungry = True
                self._changed.notify_all()
                while self._taken not in self._ready and not self._over:
                    self._changed.wait(_LOOK_SECONDS)
                self._hungry = False
                one = self._ready.pop(self._taken, _End)
                if not isinstance(one, Ready | Skipped):
                    self._over = True
                    self._changed.notify_all()
                else:
                    self._taken += 1
                    self._changed.notify_all()
            if isinstance(one, Skipped):
                if self._skipped is not None:
                    self._skipped.append(one)
                continue
            if isinstance(one, _Failed):
                raise one.error
            return one if isinstance(one, Ready) else None

    def release(self, frame: Frame) -> None:
        """A frame that was taken is done with."""
        with self._changed:
            self._bytes -= frame.bgr.nbytes
            self._changed.notify_all()

    def close(self) -> None:
        """Stop the threads. May be called twice."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        until = time.monotonic() + _LEAVE_SECONDS
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))
        close = getattr(self._source, "close", None)
        if close is not None and not any(thread.is_alive() for thread in self._threads):
            close()
        self._ready.clear()

    def _work(self) -> None:
        while self._work_on_one():
            pass

    def _work_on_one(self) -> bool:
        """A call of its own, so that a thread that waits for its next frame keeps none of the last one."""
        asked = self._ask()
        if asked is None:
            return False
        number, given, read = asked
        try:
            one = self._make(given, read)
        except BaseException as error:  # noqa: BLE001 - raised again where the frame is taken
            one = _Failed(error)
        self._put(number, one)
        return True

    def _ask(self) -> tuple[int, Any, float] | None:
        """The next frame, or the work that gives it, with its number and how long the source took; None: no more."""
        with self._turn:
            with self._changed:
                while not self._over and not self._has_room():
                    self._changed.wait(_LOOK_SECONDS)
                if self._over:
                    return None
                number = self._asked
                self._asked += 1
            began = time.perf_counter()
            self._mine.number = number
            try:
                given = next(self._source, _End())
            except BaseException as error:  # noqa: BLE001 - as above
                given = _Failed(error)
            if isinstance(given, Frame):
                self._reserve(number, given.bgr.nbytes)
            if isinstance(given, _End | _Failed):
                with self._changed:
                    self._most = 0  # nobody asks again, and what is ready is still taken
                self._put(number, given)
                return None
            return number, given, time.perf_counter() - began

    def _has_room(self) -> bool:
        ahead = self._asked - self._taken
        starving = self._hungry and ahead == 0
        return self._most > 0 and (starving or (ahead < self._most and self._bytes < self._most_bytes))

    def _room(self, wanted: int) -> None:
        """See `Jobs.jobs`. Whoever makes the frame that is waited for goes on, so there is always one that does."""
        number = self._mine.number
        with self._changed:
            while not self._over:
                waited_for = self._hungry and number == self._taken
                if waited_for or self._bytes + wanted <= self._most_bytes:
                    self._reserve(number, wanted)
                    return
                self._changed.wait(_LOOK_SECONDS)
        raise _ClosedError

    def _reserve(self, number: int, size: int) -> None:
        with self._changed:
            self._reserved[number] = self._reserved.get(number, 0) + size
            self._bytes += size

    def _make(self, given: Any, read: float) -> Ready | Skipped:
        began = time.perf_counter()
        frame = given if isinstance(given, Frame) else given()
        if isinstance(frame, Skipped):
            return frame
        decoded = time.perf_counter()
        prepared = self._prepare(frame.bgr)
        done = time.perf_counter()
        return Ready(frame, prepared, {"read": 1000 * (read + decoded - began), "prepare": 1000 * (done - decoded)})

    def _put(self, number: int, one: Ready | Skipped | _Failed | _End) -> None:
        with self._changed:
            self._ready[number] = one
            self._bytes -= self._reserved.pop(number, 0)
            if isinstance(one, Ready):
                self._bytes += one.frame.bgr.nbytes
            self._changed.notify_all()
