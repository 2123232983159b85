"""Films of coloured blocks that move as a test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from lensmith.predict.results import Frame

from .make_bundle import SIZE, blocks

Way = Callable[[int], tuple[float, float]]
SIDE = 20


def straight(start: tuple[float, float], step: tuple[float, float]) -> Way:
    """The middle of a block that goes on evenly."""
    return lambda number: (start[0] + number * step[0], start[1] + number * step[1])


def picture(ways: dict[int, Way], number: int, size: int = SIZE) -> np.ndarray:
    """One frame: a block of 20 x 20 pixels for each channel; the later ones hide the earlier ones."""
    rectangles = []
    for channel, way in ways.items():
        x, y = (round(value - SIDE / 2) for value in way(number))
        if -SIDE < x < size and -SIDE < y < size:
            rectangles.append((max(x, 0), max(y, 0), min(x + SIDE, size), min(y + SIDE, size), channel))
    return blocks(size, size, *rectangles)


def film(ways: dict[int, Way], count: int, rate: float = 30.0, source: str = "film.mp4") -> list[Frame]:
    """The frames of a video."""
    return [Frame(picture(ways, number), source, number, number / rate) for number in range(count)]


def write_film(path: Path, frames: Sequence[Frame], rate: float = 30.0) -> Path:
    """A real video file of these frames."""
    height, width = frames[0].bgr.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    for frame in frames:
        writer.write(frame.bgr)
    writer.release()
    return path
