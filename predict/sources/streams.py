"""Cameras and streams as a source: the frames that the model can follow, until the end, the time, or Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..address import Address
from ..camera import Camera
from ..results import Frame, Skipped


class StreamSource:
    """Frames of a camera or a stream as they come, see `Source`.

    Those that come while the model is busy are passed over.

    Args:
        address: From `parse_address`.
        seconds: End after so long, counted from the first frame; None goes on.

    Attributes:
        address: As given.
        read, passed_over, reconnections: See `Camera`; as of the last iteration.
    """

    def __init__(self, address: Address, seconds: float | None = None) -> None:
        self.address = address
        self.name = address.label
        self.total: int | None = None
        self.skipped: list[Skipped] = []
        self.frames_per_second: float | None = None
        self.read = self.passed_over = self.reconnections = 0
        self._seconds = seconds
        self._until: float | None = None

    def __iter__(self) -> Iterator[Frame]:
        self.skipped.clear()
        self._until = None
        camera = Camera(self.address, self._goes_on)
        try:
            for frame in camera:
                if self._until is None and self._seconds is not None:
                    self._until = time.perf_counter() + self._seconds
                yield frame
                if not self._goes_on():
                    break
        finally:
            camera.close()
            self.read, self.passed_over = camera.read, camera.dropped
            self.reconnections = camera.reconnections

    def _goes_on(self) -> bool:
        return self._until is None or time.perf_counter() < self._until
