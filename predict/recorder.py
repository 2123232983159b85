"""Video files that play: also after a kill, at the right speed, in one size, on a disk that fills up."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np

from ..core.errors import DataError, DiskFullError, LensmithError, UsageError
from ..weights.bundle import Preprocessing
from .mp4 import Encoded, Mp4File, read_encoded
from .prepare import fit

_RESERVE_BYTES = 20_000_000  # a full disk troubles everything else on the machine
_FULL_BYTES = 1_000_000  # with less the encoder's own file found no room
_SUFFIXES = (".mp4", ".mov")
_CODEC = "mp4v"
_LONGEST_SIDE = 8190  # MPEG-4 part 2 has 13 bits for a side, and the encoder wants it even
_FRAGMENT_SECONDS = 1.0
_LONGEST_FILL_SECONDS = 1.0


class _Size(NamedTuple):
    """Of the video, in pixels; both even."""

    width: int
    height: int


def check_recording(path: Path) -> None:
    """Whether a video may be written here, without writing any.

    Raises:
        UsageError: the file exists already, or has another ending than `.mp4` or `.mov`.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            f"A video cannot be written as '{path.suffix or path.name}'.",
            where=path,
            next_step="use a name that ends in " + " or ".join(_SUFFIXES),
        )
    if os.path.lexists(path):
        raise UsageError("There is a file of that name already.", where=path, next_step="choose another name")


class VideoRecorder:
    """Writes frames to a video file that plays at any moment: what a killed process loses is the last second at most.

    The file appears under its name with the first second of video.

    Args:
        path: Where to; `.mp4` or `.mov`.
        frames_per_second: Not rounded: 29.97 stays 29.97.

    Raises:
        UsageError: the file exists already, or has another ending.
        DataError: the first frame is larger than this kind of video can be.
        LensmithError: it cannot be written; what was recorded before a full disk stays and plays.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        check_recording(path)
        self.path = path
        self.frames_per_second = frames_per_second
        self.frames = 0
        self._per_fragment = max(1, round(_FRAGMENT_SECONDS * frames_per_second))
        self._file: Mp4File | None = None
        self._part: _Part | None = None
        self._size: _Size | None = None
        self._last: np.ndarray | None = None
        self._origin: float | None = None

    def write(self, bgr: np.ndarray) -> None:
        """Append a frame, uint8 BGR. One of another size than the first is fitted into it with black borders.

        An odd width or height is made even by repeating the last column or row: the encoder would cut it off.

        Raises:
            LensmithError: see the class.
        """
        height, width = bgr.shape[:2]
        even = _Size(width + width % 2, height + height % 2)
        if self._size is None:
            if max(even) > _LONGEST_SIDE:
                raise _too_large(self.path, width, height)
            self._size = even
        if even == self._size:
            if even != (width, height):
                bgr = cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        else:  # OpenCV drops frames of another size without a word
            size = self._size
            bgr, _ = fit(bgr, Preprocessing(width=size.width, height=size.height, resize="letterbox", pad_value=0))
        if self._part is None:
            self._part = self._begin(self._size)
        self._part.write(bgr)
        self._last = bgr
        self.frames += 1
        if self._part.frames >= self._per_fragment:
            self.flush()

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

    def flush(self) -> None:
        """Bring what was written into the file now, as before a wait of unknown length.

        Raises:
            LensmithError: see the class.
        """
        if self._part is None or self._size is None:
            return
        part, self._part = self._part, None
        before = self.frames - part.frames
        try:
            encoded = part.finish(f"{before} frames")
            if self._file is None:
                self._file = Mp4File(self.path, self._size, self.frames_per_second)
            self._file.append(encoded)
        except OSError as error:
            self.frames = before
            raise _not_writable(self.path, error.strerror or str(error)) from error
        except LensmithError:
            self.frames = before
            raise

    def close(self) -> None:
        """Finish the file. Without any frame there is none. May be called twice.

        Raises:
            LensmithError: the last second could not be written.
        """
        try:
            self.flush()
        finally:
            if self._file:
                self._file.close()

    def __enter__(self) -> VideoRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, size: _Size) -> _Part:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.path.parent).free < _RESERVE_BYTES:
            raise LensmithError(
                f"The disk is nearly full: the recording ends after {self.frames} frames.",
                where=self.path,
                next_step="what was recorded until now is kept; free some space or record to another disk",
            )
        if not os.access(self.path.parent, os.W_OK):
            raise _not_writable(self.path, "you may not write into this folder")
        return _Part(size, self.frames_per_second)


class _Part:
    """A second of video on its way through OpenCV's encoder, which writes files only."""

    def __init__(self, size: _Size, frames_per_second: float) -> None:
        self.frames = 0
        self._folder = tempfile.TemporaryDirectory(prefix="lensmith-", ignore_cleanup_errors=True)
        path = Path(self._folder.name, "part.mp4")
        fourcc = cv2.VideoWriter.fourcc(*_CODEC)
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, frames_per_second, size)
        if not self._writer.isOpened():
            self._folder.cleanup()
            raise LensmithError(
                "OpenCV cannot encode video here.", where=path, next_step="`cv doctor` looks at the OpenCV here"
            )
        self._data: BinaryIO = path.open("rb")
        # Without a name it is gone with this process, however that ends. Windows removes it in `finish`.
        with contextlib.suppress(OSError):
            path.unlink()
            self._folder.cleanup()

    def write(self, bgr: np.ndarray) -> None:
        self._writer.write(bgr)
        self.frames += 1

    def finish(self, kept: str) -> Encoded:
        """The frames, encoded.

        Args:
            kept: What was written before, for the message.

        Raises:
            LensmithError: not all of them are there; DiskFullError when it was for want of room.
        """
        self._writer.release()
        try:
            with self._data:
                encoded = _whole(self._data.read(), self.frames)
                if encoded is None:  # the room is looked at while this file still takes its own
                    raise self._lost(kept)
        finally:
            self._folder.cleanup()
        return encoded

    def _lost(self, kept: str) -> LensmithError:
        folder = tempfile.gettempdir()
        if shutil.disk_usage(folder).free < _FULL_BYTES:
            return DiskFullError(folder, kept=kept)
        return LensmithError(
            f"OpenCV's encoder lost frames; {kept} were written before and play.",
            next_step="`cv doctor` looks at the OpenCV here",
        )


def _whole(data: bytes, frames: int) -> Encoded | None:
    try:
        encoded = read_encoded(data)
    except DataError:
        return None
    return encoded if len(encoded.frames) == frames else None


def _too_large(path: Path, width: int, height: int) -> DataError:
    return DataError(
        f"A video can be {_LONGEST_SIDE} pixels wide and high at most, and these frames are {width} x {height}.",
        where=path, next_step="write pictures or records instead, or make the frames smaller first",
    )  # fmt: skip


def _not_writable(path: Path, why: str) -> LensmithError:
    return LensmithError(f"The video file cannot be written: {why}.", where=path, next_step="record to another folder")
