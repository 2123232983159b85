"""A training that ends when its time is up, with a learning rate that has fallen by then.

Ultralytics' `time` does so too, but counts wrongly in a training that goes on, and takes the number of epochs for no
limit at all. So it is given what is left, and its number of epochs is corrected.
"""

from __future__ import annotations

import time
from collections import deque

_RECENT = 5  # epochs; the first one is slower than the others
_SLACK = 0.1  # of an epoch that may be cut off at the end


class TimeBudget:
    """Counts from when it is made.

    Args:
        seconds: How long training may take.
        epochs: The most epochs, those before a resume included.
    """

    def __init__(self, seconds: float, epochs: int) -> None:
        self._end = time.monotonic() + seconds
        self._epochs = epochs
        self._recent: deque[float] = deque(maxlen=_RECENT)

    @property
    def left(self) -> float:
        """Seconds, 0 when it is over."""
        return max(self._end - time.monotonic(), 0.0)

    def epochs(self, done: int, seconds: float) -> int:
        """How many epochs there will be in all.

        Args:
            done: How many are finished.
            seconds: How long the last one took.
        """
        self._recent.append(seconds)
        mean = sum(self._recent) / len(self._recent)
        return max(min(self._epochs, done + int(self.left / max(mean, 1e-6) + _SLACK)), done)
