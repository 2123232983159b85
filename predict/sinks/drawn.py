"""Results drawn on copies of the frames: pictures for pictures, a video for a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from ..draw import draw
from ..recorder import VideoRecorder
from ..results import Prediction
from .base import Sink
from .pictures import PictureFolder


class Drawn(Sink, Protocol):
    """A sink whose files the record names as "drawn".

    Attributes:
        side_by_side: Whether several threads may write at a time.
    """

    side_by_side: bool

    def claim(self, prediction: Prediction, record: dict[str, Any]) -> None:
        """Put the name into the record; asked in order, before `write`."""
        ...

    def forget(self, record: dict[str, Any]) -> None:
        """Take back what was drawn for a record that is not going to be written."""
        ...


class DrawnPictures:
    """A JPEG for each frame, see `Drawn`.

    Args:
        folder: Where.
        names: The class names.
    """

    side_by_side = True

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self._pictures, self._names = PictureFolder(folder), names
        self._before: dict[str, int] = {}  # of what is not written yet: how many come before it

    def claim(self, prediction: Prediction, record: dict[str, Any]) -> None:
        """See `Drawn.claim`."""
        before = self._pictures.reserved
        record["drawn"] = self._pictures.reserve(prediction.frame.source).name
        self._before[record["drawn"]] = before

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:
        """See `Sink.write`."""
        if "drawn" not in record:
            self.claim(prediction, record)
        before = self._before.pop(record["drawn"])
        self._pictures.put(draw(prediction, self._names), self._pictures.folder / record["drawn"], before)

    def forget(self, record: dict[str, Any]) -> None:
        """See `Drawn.forget`."""
        (self._pictures.folder / record["drawn"]).unlink(missing_ok=True)

    def close(self) -> None:
        """See `Sink.close`."""


class DrawnVideo:
    """One video, see `Drawn`.

    Args:
        recorder: Where to.
        names: The class names.
        by_the_clock: The frames are of a camera or a stream, and are shown as long as they were apart.
    """

    side_by_side = False

    def __init__(self, recorder: VideoRecorder, names: tuple[str, ...], *, by_the_clock: bool = False) -> None:
        self._recorder, self._names, self._by_the_clock = recorder, names, by_the_clock

    def claim(self, prediction: Prediction, record: dict[str, Any]) -> None:  # noqa: ARG002 - as `Drawn`
        """See `Drawn.claim`."""
        record["drawn"] = self._recorder.path.name

    def forget(self, record: dict[str, Any]) -> None:
        """See `Drawn.forget`; a frame stays where it is in the video."""

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:
        """See `Sink.write`."""
        self.claim(prediction, record)
        drawn = draw(prediction, self._names)
        if self._by_the_clock:
            self._recorder.write_at(drawn, prediction.frame.seconds)
        else:
            self._recorder.write(drawn)

    def close(self) -> None:
        """See `Sink.close`."""
        self._recorder.close()
