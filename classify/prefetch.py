"""Batches loaded ahead in threads, so that the model does not wait for pictures."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

from ..core.device import usable_cores
from ..core.errors import DataError
from .learning import LearningData

_AHEAD = 2  # batches ready for each thread


class Prefetch:
    """The batches of one epoch, in their order, each made by a thread before it is asked for.

    Use it in a `with` block: leaving it, by Ctrl-C too, stops the threads after the batches they are at. A batch of
    which no picture can be read any more is left out.

    Args:
        data: What to learn from.
        batches: int64 `(m,)` numbers of items for each batch.
        epoch: From 0, see `LearningData.batch`.
        workers: Threads; None takes one for each core that may be used, 8 at most.
        depth: So many batches are ready or being made at most; None takes two for each thread.

    Attributes:
        waited: Seconds for which the consumer waited for batches so far.
    """

    def __init__(
        self,
        data: LearningData,
        batches: Sequence[np.ndarray],
        epoch: int,
        workers: int | None = None,
        depth: int | None = None,
    ) -> None:
        self._data = data
        self._batches = batches
        self._epoch = epoch
        workers = workers or min(usable_cores(), 8)
        self._depth = depth or workers * _AHEAD
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
        self._ahead: deque[Future[tuple[np.ndarray, np.ndarray, np.ndarray] | DataError]] = deque()
        self._next = 0
        self.waited = 0.0

    def __len__(self) -> int:
        return len(self._batches)

    def __enter__(self) -> Prefetch:
        self._fill()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the threads; batches that nobody asked for are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._ahead.clear()

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """float32 inputs `(k, ...)`, int64 class ids `(k,)` and int64 numbers of items `(k,)`, batch by batch.

        Raises:
            DataError: not one batch of the epoch can be read.
        """
        lost: DataError | None = None
        came = False
        try:
            self._fill()
            while self._ahead:
                started = time.perf_counter()
                batch = self._ahead.popleft().result()
                self.waited += time.perf_counter() - started
                self._fill()
                if isinstance(batch, DataError):
                    lost = batch
                    continue
                came = True
                yield batch
        finally:
            self.close()
        if lost is not None and not came:
            raise lost

    def _fill(self) -> None:
        while len(self._ahead) < self._depth and self._next < len(self._batches):
            self._ahead.append(self._pool.submit(self._load, self._batches[self._next]))
            self._next += 1

    def _load(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | DataError:
        while True:
            try:
                x, y = self._data.batch(indices, self._epoch)
            except DataError as error:
                if self._data.lost.issuperset(indices.tolist()):
                    return error
                raise
            if len(y) == len(indices):
                return x, y, indices
            # Pictures were lost on the way: what is left is asked for once more, so that inputs and numbers agree.
            indices = indices[[int(index) not in self._data.lost for index in indices]]
