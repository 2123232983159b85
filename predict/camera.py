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
from .address import OPEN_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, Address, open_capture
from .results import Frame
from .video import frames_per_second

State = Literal["opening", "playing", "reconnecting", "ended", "failed"]

_WAIT_SECONDS = 0.03
_STALL_SECONDS = READ_TIMEOUT_SECONDS + 3
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 4.0


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
        NotFoundError, DataError, LensmithError: the first attempt to open it failed.
    """

    def __init__(
        self,
        address: Address,
        while_waiting: Callable[[], bool] = lambda: True,
        *,
        stall_seconds: float = _STALL_SECONDS,
    ) -> None:
        """`while_waiting` is called every few hundredths of a second between frames; False ends the iteration.

        When no frame came for `stall_seconds`, the connection counts as lost.
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
        self._failure: LensmithError | None = None
        self._attempt = 0  # a thread whose number is no longer this one has been given up
        self._last_sign = time.perf_counter()
        self._started = time.perf_counter()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

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
        if self._thread:
            self._thread.join(timeout=1.0)

    def _start_reader(self) -> None:
        self._last_sign = time.perf_counter()
        self._attempt += 1
        self._thread = threading.Thread(target=self._read_on, args=(self._attempt,), name="camera", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        """A driver may block for ever in a read: give that reader up and start another."""
        if self._address.kind != "file" and time.perf_counter() - self._last_sign > self._stall_seconds:
            if self.state == "opening":
                with self._news:
                    self.state = "failed"
                    self._failure = LensmithError(
                        f"No picture came within {self._stall_seconds:g} seconds.", where=self.label
                    )
                return
            self.state = "reconnecting"
            self._start_reader()

    def _is_current(self, attempt: int) -> bool:
        return attempt == self._attempt and not self._closed.is_set()

    def _read_on(self, attempt: int) -> None:
        """Body of the reader thread: read until the end, and reconnect what can come back."""
        pause = _FIRST_PAUSE_SECONDS
        while self._is_current(attempt):
            self._last_sign = time.perf_counter() + OPEN_TIMEOUT_SECONDS  # opening has a time-out of its own
            try:
                capture = open_capture(self._address)
            except LensmithError as error:
                if self.state == "opening":
                    self._finish("failed", error, attempt)
                    return
                frames = 0
            else:
                try:
                    frames = self._read_capture(capture, attempt)
                finally:
                    capture.release()
            if not self._is_current(attempt) or self._settle(frames, attempt):
                return
            pause = _FIRST_PAUSE_SECONDS if frames else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            self._last_sign = time.perf_counter() + pause
            self._closed.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnections, guards nothing

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

    def _read_capture(self, capture: cv2.VideoCapture, attempt: int) -> int:
        """Read one connection to its end; how many frames came."""
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
        return count

    def _publish(self, frame: Frame, now: float) -> None:
        with self._news:
            self.dropped += self._newest is not None
            self._newest = (frame, now)
            self.read += 1
            if self.state == "reconnecting":
                self.reconnections += 1
            self.state = "playing"
            self._last_sign = now
            self._news.notify()

    def _finish(self, state: State, failure: LensmithError | None, attempt: int) -> None:
        if not self._is_current(attempt):
            return
        with self._news:
            self.state, self._failure = state, failure
            self._news.notify()
