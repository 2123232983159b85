"""Video files, read so that nothing OpenCV keeps quiet about gets lost."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from ..core.errors import DataError
from .results import Frame, Skipped

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"})
DEFAULT_FRAMES_PER_SECOND = 25.0

# FFmpeg opens other files and addresses when a "video" is really a playlist; only containers are allowed here.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,mjpeg,mpjpeg,mpegvideo,h264,hevc,m4v"
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_options_lock = threading.Lock()


@contextmanager
def ffmpeg_options(options: str) -> Iterator[None]:
    """While the block opens a video, FFmpeg gets these options: "key;value|key;value"."""
    with _options_lock:
        before = os.environ.get(_OPTIONS)
        os.environ[_OPTIONS] = options
        try:
            yield
        finally:
            if before is None:
                del os.environ[_OPTIONS]
            else:
                os.environ[_OPTIONS] = before


def open_video(path: Path) -> cv2.VideoCapture:
    """Open a video file.

    Raises:
        DataError: it is empty, damaged, or no video.
    """
    if path.stat().st_size == 0:
        raise DataError("The video file is empty.", where=path)
    with ffmpeg_options(f"protocol_whitelist;file|format_whitelist;{CONTAINERS}"):
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise DataError(
            "This file cannot be opened as a video: it is damaged, not a video, or of a kind that OpenCV cannot read.",
            where=path,
            next_step="if it plays elsewhere, convert it: ffmpeg -i INPUT -c:v libx264 -pix_fmt yuv420p OUTPUT.mp4",
        )
    return capture


def frames_per_second(capture: cv2.VideoCapture) -> float:
    """As the file says, not rounded; 25 when it says nothing that can be."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if math.isfinite(rate) and 0 < rate <= 1000 else DEFAULT_FRAMES_PER_SECOND


class VideoSource:
    """The frames of a video file, see `sources.Source`. What is missing at the end of a cut file is noted in `skipped`.

    Raises:
        DataError: the file cannot be opened, or, when it is gone through, holds no frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self.skipped: list[Skipped] = []
        capture = open_video(path)
        try:
            self.frames_per_second: float | None = frames_per_second(capture)
            promised = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        finally:
            capture.release()
        self.total = int(promised) if math.isfinite(promised) and promised > 0 else None

    def __iter__(self) -> Iterator[Frame]:
        self.skipped.clear()
        capture = open_video(self.path)
        rate = frames_per_second(capture)
        count, last = 0, -1.0
        try:
            while True:
                done, bgr = capture.read()
                if not done or bgr is None:
                    break
                last = _seconds(capture, count, rate, last)
                yield Frame(bgr, str(self.path), count, last)
                count += 1
        finally:
            capture.release()
        if count == 0:
            raise DataError("Not a single frame of this video can be read.", where=self.path)
        if self.total and count < self.total - max(2, self.total // 50):  # some containers only estimate the number
            why = "the video is cut short or damaged, or its header is wrong"  # nobody can tell these apart
            reason = f"{count} of {self.total} frames could be read: {why}"
            self.skipped.append(Skipped(str(self.path), reason))


def _seconds(capture: cv2.VideoCapture, index: int, rate: float, before: float) -> float:
    """The time of the frame read last: by its own time stamp where that makes sense, else by counting."""
    stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    return stamp if math.isfinite(stamp) and stamp > before else max(index / rate, before)
