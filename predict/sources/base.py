"""What a source is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from ..results import Frame, Skipped

Job = Callable[[], Frame | Skipped]
"""The slow part of getting one frame, which any thread may do."""

Room = Callable[[int], None]
"""Waits until so many more bytes may be held for the frame that is being made."""


def plenty(wanted: int) -> None:
    """There is room for everything: one frame at a time is made."""


class Source(Protocol):
    """An iterable of frames. It may be gone through again, but for what is live and for standard input.

    Attributes:
        name: What it is called in messages and in names of folders.
        total: How many frames to expect, None when nobody knows.
        skipped: What could not be used so far, in order; complete when the iteration has ended.
        frames_per_second: Of a video, not rounded; None for pictures and for what is live.
    """

    name: str
    total: int | None
    skipped: list[Skipped]
    frames_per_second: float | None

    def __iter__(self) -> Iterator[Frame]: ...


@runtime_checkable
class Jobs(Protocol):
    """A source whose frames can be decoded side by side.

    Attributes:
        skipped: As in `Source`; whoever does the jobs adds to it.
    """

    skipped: list[Skipped]

    def jobs(self, room: Room = plenty) -> Iterator[Job]:
        """A job for each frame, in order. Asked by one thread at a time.

        Args:
            room: To be asked before memory is taken, by a job and by the iterator, in the thread that runs them: for
                the content of a file, and for its pixels.
        """
        ...


class PicturesBase(ABC):
    """A source of pictures one by one, see `Source` and `Jobs`. A bad one is noted in `skipped` and ends nothing."""

    def __init__(self, name: str, total: int | None) -> None:
        self.name = name
        self.total = total
        self.skipped: list[Skipped] = []
        self.frames_per_second: float | None = None

    @abstractmethod
    def jobs(self, room: Room = plenty) -> Iterator[Job]:
        """See `Jobs.jobs`."""

    def __iter__(self) -> Iterator[Frame]:
        self.skipped.clear()
        for job in self.jobs():
            done = job()
            if isinstance(done, Skipped):
                self.skipped.append(done)
            else:
                yield done
