"""The newest frame of a camera, a stream or a video, without a backlog; reconnects when it is lost.

A thread of its own reads as fast as frames come and keeps only the last one, so a slow model sees fewer frames, never
older ones. No frame is ever made up: while nothing comes, nothing is yielded.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

import cv2

from ..core.errors import DataError, LensmithError
from ..core.progress import warn
from .address import OPEN_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, Address, open_capture
from .results import Frame
from .video import frames_per_second

State = Literal["opening", "playing", "reconnecting", "ended", "failed"]

_WAIT_SECONDS = 0.03
_STALL_SECONDS = READ_TIMEOUT_SECONDS + 3
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 4.0
_MOST_READERS = 3  # each that hangs holds a thread, and the camera's device
_LONGEST_PATIENCE = 8  # times the first


class Camera:
    """An iterable of the newest frames of an address.

    `Frame.seconds` is the time within a file, and the time since the start for a camera or a stream.

    Attributes:
        label: What is shown, without login.
        state: What it is doing now.
        captured: `time.perf_counter()` when the frame yielded last came in.
        read, dropped: How many frames came in, and how many of them were overtaken by a newer one.
        reconnections: How often it came back after having been lost.
        missing: Of a file behind an address, how many frames short of its promise it ended.

    Raises (when iterated):
        NotFoundError, DataError, LensmithError: the first attempt to open it failed, or a file can be read no more.
    """

    def __init__(
        self,
        address: Address,
        while_waiting: Callable[[], bool] = lambda: True,
        *,
        stall_seconds: float = _STALL_SECONDS,
    ) -> None:
        """`while_waiting` is called every few hundredths of a second between frames; False ends the iteration.

        When no frame came for `stall_seconds`, the connection counts as lost; then for twice as long, and so on.
        """
        self.label = address.label
        self.state: State = "opening"
        self.captured = 0.0
        self.read = 0
        self.dropped = 0
        self.reconnections = 0
        self.missing = 0
        self._address = address
        self._while_waiting = while_waiting
        self._stall_seconds = stall_seconds
        self._news = threading.Condition()
        self._newest: tuple[Frame, float] | None = None
        self._failure: Exception | None = None
        self._attempt = 0  # a thread whose number is no longer this one has been given up
        self._last_sign = time.perf_counter()
        self._started = time.perf_counter()
        self._closed = threading.Event()
        self._patience = 1
        self._readers: list[threading.Thread] = []
        self._said_that_it_hangs = False

    def __iter__(self) -> Iterator[Frame]:
        self._start_reader()
        try:
            while not self._closed.is_set():
                with self._news:
                    if self._newest is None and self.state in ("opening", "playing", "reconnecting"):
                        self._news.wait(_WAIT_SECONDS)
                    taken, self._newest = self._newest, None
                    over, failure = self.state in ("ended", "failed"), self._failure
                if taken is not None:
                    frame, self.captured = taken
                    yield frame
                elif over:
                    if failure:
                        raise failure
                    return
                elif not self._while_waiting():
                    return
                else:
                    self._watch()
        finally:
            self.close()

    def forget(self) -> None:
        """Drop the frame that waits: after a pause the next one is of now."""
        with self._news:
            self.dropped += self._newest is not None
            self._newest = None

    def close(self) -> None:
        """Stop reading. A reader stuck inside a driver is left behind; it ends with the process."""
        self._closed.set()
        self._attempt += 1
        if self._readers:
            self._readers[-1].join(timeout=1.0)

    def _start_reader(self) -> None:
        self._last_sign = time.perf_counter()
        self._attempt += 1
        reader = threading.Thread(target=self._read_on, args=(self._attempt,), name="camera", daemon=True)
        self._readers = [*(one for one in self._readers if one.is_alive()), reader]
        reader.start()

    def _watch(self) -> None:
        """A driver may block for ever in a read: give that reader up and start another, but not without end."""
        stalled = time.perf_counter() - self._last_sign > self._patience * self._stall_seconds
        if self._address.kind == "file" or not stalled:
            return
        if self.state == "opening":
            with self._news:
                self.state = "failed"
                self._failure = LensmithError(
                    f"No picture came within {self._stall_seconds:g} seconds.", where=self.label
                )
            return
        self.state = "reconnecting"
        self._attempt += 1  # who comes back from the driver late has nothing to say any more
        if sum(reader.is_alive() for reader in self._readers) < _MOST_READERS:
            self._patience = min(2 * self._patience, _LONGEST_PATIENCE)
            self._start_reader()
        elif not self._said_that_it_hangs:
            self._said_that_it_hangs = True
            warn(f"{self.label} does not answer at all, and is tried again only when its driver gives up: "
                 "unplug it and plug it in again, or start the machine again")  # fmt: skip

    def _is_current(self, attempt: int) -> bool:
        return attempt == self._attempt and not self._closed.is_set()

    def _read_on(self, attempt: int) -> None:
        """Body of the reader thread: read until the end, and reconnect what can come back."""
        pause = _FIRST_PAUSE_SECONDS
        while self._is_current(attempt):
            before = self.read
            try:
                self._read_once(attempt)
            except Exception as error:  # noqa: BLE001 - raised in the caller's thread, or the connection is lost
                if self.state == "opening" or self._address.kind == "file":
                    self._finish("failed", _in_words(error, self.label), attempt)
                    return
            frames = self.read - before
            if not self._is_current(attempt) or self._settle(frames, attempt):
                return
            pause = _FIRST_PAUSE_SECONDS if frames else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            self._last_sign = time.perf_counter() + pause
            self._closed.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnections, guards nothing

    def _read_once(self, attempt: int) -> None:
        """One connection, from its opening to its end."""
        self._last_sign = time.perf_counter() + OPEN_TIMEOUT_SECONDS  # opening has a time-out of its own
        capture = open_capture(self._address)
        try:
            self._read_capture(capture, attempt)
        finally:
            capture.release()

    def _settle(self, frames: int, attempt: int) -> bool:
        """After a capture gave no more frames: True when it is all over, else the state is "reconnecting"."""
        if self._address.kind == "file":
            nothing = DataError("Not a single frame of this video can be read.", where=self.label)
            self._finish("ended" if frames else "failed", None if frames else nothing, attempt)
            return True
        if self.state == "ended":
            return True
        if self.state == "opening":
            self._finish("failed", LensmithError("It was opened, but gave no picture.", where=self.label), attempt)
            return True
        self.state = "reconnecting"
        return False

    def _read_capture(self, capture: cv2.VideoCapture, attempt: int) -> None:
        rate = frames_per_second(capture)
        promised = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        # What knows its length is a recording, also behind an address. Opened again, it would begin anew.
        recorded = self._address.kind == "file" or (math.isfinite(promised) and promised > 0)
        self._last_sign = opened = time.perf_counter()
        count = 0
        while self._is_current(attempt):
            if recorded and self._closed.wait(max(0.0, opened + count / rate - time.perf_counter())):
                break
            here = capture.grab()
            now = time.perf_counter()
            done, bgr = capture.retrieve() if here else (False, None)
            if not self._is_current(attempt) or not done or bgr is None:
                break
            seconds = count / rate if recorded else now - self._started
            self._publish(Frame(bgr, self.label, self.read, seconds), now)
            count += 1
        if recorded and count and self._address.kind == "stream":
            self.missing = max(0, round(promised) - count)
            self._finish("ended", None, attempt)

    def _publish(self, frame: Frame, now: float) -> None:
        with self._news:
            self.dropped += self._newest is not None
            self._newest = (frame, now)
            self.read += 1
            if self.state == "reconnecting":
                self.reconnections += 1
            self.state = "playing"
            self._last_sign, self._patience = now, 1
            self._news.notify()

    def _finish(self, state: State, failure: Exception | None, attempt: int) -> None:
        if not self._is_current(attempt):
            return
        with self._news:
            self.state, self._failure = state, failure
            self._news.notify()


def _in_words(error: Exception, label: str) -> Exception:
    """What the system says of a file, as a message for the person; anything else as it is."""
    if isinstance(error, OSError):
        return LensmithError(f"It cannot be read: {error.strerror or error}.", where=label)
    return error
