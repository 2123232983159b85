"""Photographs to plant faults in: real ones where they are at hand, else drawn ones with as much detail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

_REAL = ("classify/catsdogs/train", "classify/flowers/train")
_REPOSITORY = Path(__file__).resolve().parents[2]


class Photos:
    """An endless row of photographs, each handed out once, the same for the same seed.

    Args:
        seed: Which ones and in which order.
        longest: The longer side of each, in pixels.
        real: Take them from the real data (`CV_TEST_DATA`) where that is there.
    """

    def __init__(self, seed: int, *, longest: int = 320, real: bool = True) -> None:
        self._rng = np.random.default_rng(seed)
        self._longest = longest
        paths = real_photographs() if real else []
        self.real = bool(paths)
        self._paths = iter([paths[number] for number in self._rng.permutation(len(paths))])

    def take(self) -> np.ndarray:
        """The next photograph, BGR uint8 `(h, w, 3)`."""
        for path in self._paths:
            bgr = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            if bgr is not None and min(bgr.shape[:2]) >= 64:
                scale = self._longest / max(bgr.shape[:2])
                size = (max(round(bgr.shape[1] * scale), 48), max(round(bgr.shape[0] * scale), 48))
                return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        return draw_photograph(self._rng, self._longest, self._longest * 3 // 4)

    def many(self, count: int) -> Iterator[np.ndarray]:
        """The next so many."""
        return (self.take() for _ in range(count))


def real_photographs() -> list[Path]:
    """The photographs of the real classification data, sorted; none where it is absent."""
    data = Path(os.environ.get("CV_TEST_DATA", _REPOSITORY.parent / "shared" / "data"))
    return sorted(path for folder in _REAL for path in (data / folder).glob("*/*.jpg"))


def draw_photograph(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A picture with detail at every scale, as photographs have: noise of many sizes under shapes and lines.

    Returns:
        BGR uint8 `(height, width, 3)`.
    """
    picture = np.zeros((height, width, 3), np.float32)
    for step, weight in ((3, 1.0), (7, 0.6), (17, 0.35), (41, 0.2), (97, 0.1)):
        coarse = rng.normal(0, weight, (step, step, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = 128 + 60 * picture + rng.uniform(-40, 40, 3).astype(np.float32)
    bgr = np.clip(picture, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(8, 16))):
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        points = (rng.uniform(-0.1, 1.1, 2) + rng.uniform(-0.2, 0.2, (int(rng.integers(3, 8)), 2))) * (width, height)
        cv2.fillPoly(bgr, [points.astype(np.int32)], colour, cv2.LINE_AA)
    for _ in range(int(rng.integers(6, 14))):
        ends = (rng.uniform(0, 1, (2, 2)) * (width, height)).astype(int).tolist()
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.line(bgr, tuple(ends[0]), tuple(ends[1]), colour, int(rng.integers(1, 6)), cv2.LINE_AA)
    grain = rng.normal(0, 4, bgr.shape)
    return np.clip(bgr + grain, 0, 255).astype(np.uint8)
