"""Video files that play: the right speed, one size, and an error instead of silence when the disk is full."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from ..core.errors import LensmithError, UsageError
from ..weights.bundle import Preprocessing
from .prepare import fit

# An mp4 is readable only once its index has been written at the end, so some room is kept for that.
_RESERVE_BYTES = 20_000_000
_CODEC = {".mp4": "mp4v", ".mkv": "mp4v", ".mov": "mp4v", ".avi": "MJPG"}
_LONGEST_FILL_SECONDS = 1.0


class VideoRecorder:
    """Writes frames to a video file, which gets its name when it is complete.

    Args:
        path: Where to; `.mp4`, `.mkv`, `.mov` or `.avi`.
        frames_per_second: Not rounded: 29.97 stays 29.97.

    Raises:
        UsageError: the file exists already, or has another ending.
        LensmithError: it cannot be written; what was recorded before a full disk stays and plays.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        if path.suffix.lower() not in _CODEC:
            raise UsageError(
                f"A video cannot be written as '{path.suffix or path.name}'.",
                where=path,
                next_step="use a name that ends in " + ", ".join(_CODEC),
            )
        if path.exists():
            raise UsageError("There is a file of that name already.", where=path, next_step="choose another name")
        self.path = path
        self.frames_per_second = frames_per_second
        self.frames = 0
        self._partial = path.with_name(f".{path.stem}.partial{path.suffix}")
        self._writer: cv2.VideoWriter | None = None
        self._frame_shape: Preprocessing | None = None
        self._last: np.ndarray | None = None
        self._origin: float | None = None

    def write(self, bgr: np.ndarray) -> None:
        """Append a frame, uint8 BGR. One of another size than the first is fitted into it with black borders.

        Raises:
            LensmithError: see the class.
        """
        if self._writer is None or self._frame_shape is None:
            self._writer, self._frame_shape = self._start(bgr)
        if self.frames % 10 == 0 and shutil.disk_usage(self.path.parent).free < _RESERVE_BYTES:
            raise LensmithError(
                f"The disk is nearly full: the recording ends after {self.frames} frames.",
                where=self.path,
                next_step="what was recorded until now is kept; free some space or record to another disk",
            )
        shape = self._frame_shape
        if bgr.shape[:2] != (shape.height, shape.width):
            bgr, _ = fit(bgr, shape)  # OpenCV drops frames of another size without a word
        self._writer.write(bgr)
        self._last = bgr
        self.frames += 1

    def write_at(self, bgr: np.ndarray, seconds: float) -> None:
        """Append a frame that was taken at this time, so that the recording plays at the speed of life.

        The file has a constant frame rate: gaps are filled by showing the last frame longer (at most a second: a camera
        that was gone for an hour does not make an hour of still), and of frames that fall together the first stays.
        """
        if self._origin is None:
            self._origin = seconds
        missing = int((seconds - self._origin) * self.frames_per_second + 1e-6) - self.frames
        if missing < 0:
            return
        fill = min(missing, int(_LONGEST_FILL_SECONDS * self.frames_per_second))
        self._origin += (missing - fill) / self.frames_per_second
        for _ in range(fill):
            self.write(bgr if self._last is None else self._last)
        self.write(bgr)

    def close(self) -> None:
        """Finish the file. Without any frame there is none. May be called twice.

        Raises:
            LensmithError: the finished file does not hold what was written.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if not _plays(self._partial):
            raise LensmithError("The recording could not be finished: its file does not play.", where=self._partial)
        self._partial.replace(self.path)

    def _start(self, bgr: np.ndarray) -> tuple[cv2.VideoWriter, Preprocessing]:
        height, width = bgr.shape[:2]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fourcc = cv2.VideoWriter.fourcc(*_CODEC[self.path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._partial), cv2.CAP_FFMPEG, fourcc, self.frames_per_second, (width, height))
        if not writer.isOpened():
            raise LensmithError(
                "The video file cannot be written.",
                where=self.path,
                next_step="is the folder there, and may you write?",
            )
        return writer, Preprocessing(width=width, height=height, resize="letterbox", pad_value=0)


def _plays(path: Path) -> bool:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        done, _ = capture.read() if capture.isOpened() else (False, None)
        return done
    finally:
        capture.release()
