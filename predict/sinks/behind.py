"""Sinks in threads of their own, behind a bounded queue, so that drawing and writing overlap with the model."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ...core.device import usable_cores
from ..results import Prediction
from .base import Sink
from .drawn import Drawn

_MOST = 64
_MOST_BYTES = 256 << 20
_MOST_THREADS = 8
_LOOK_SECONDS = 0.5

_Waiting = tuple[Prediction, dict[str, Any], Future[None] | None]


class Behind:
    """Hands predictions on to sinks, in their order, from a thread; pictures are drawn and encoded by several.

    A sink sees a prediction only after those before it in the list have written it: a record that names a drawn copy
    stands in its file when the copy is there.

    Args:
        sinks: In this order.
        drawn: What draws, before all others.

    Raises (from any method):
        BaseException: what a sink raised; nothing is written after that, and drawn copies without a record are gone.
    """

    def __init__(self, sinks: Sequence[Sink], drawn: Drawn | None = None) -> None:
        self._sinks, self._drawn = tuple(sinks), drawn
        self._changed = threading.Condition()  # guards what follows
        self._queue: deque[_Waiting] = deque()
        self._dropped: list[dict[str, Any]] = []  # records that are not going to be written
        self._bytes = 0
        self._error: BaseException | None = None
        self._told = False
        self._closing = False
        self._pool: ThreadPoolExecutor | None = None
        if drawn is not None and drawn.side_by_side:
            self._pool = ThreadPoolExecutor(min(usable_cores(), _MOST_THREADS), thread_name_prefix="draw")
        self._thread = threading.Thread(target=self._work, name="sinks", daemon=True)
        self._thread.start()

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:
        """See `Sink.write`. Waits while the queue is full."""
        size = prediction.frame.bgr.nbytes
        with self._changed:
            while self._error is None and self._queue and (
                len(self._queue) >= _MOST or self._bytes + size > _MOST_BYTES
            ):  # fmt: skip
                self._changed.wait(_LOOK_SECONDS)
            if self._error is not None:
                self._told = True
                raise self._error
            drawing = None
            if self._drawn is not None:
                self._drawn.claim(prediction, record)
                if self._pool is not None:
                    drawing = self._pool.submit(self._drawn.write, prediction, record)
            self._queue.append((prediction, record, drawing))
            self._bytes += size
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until everything is written, and finish the sinks; after a second Ctrl-C what still waits is dropped."""
        try:
            self._finish()
        except BaseException:
            self._drop(keep=1)  # the first is being written
            self._finish()
            raise
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
            self._forget_dropped()
            self._close_sinks()
        if self._error is not None and not self._told:
            self._told = True
            raise self._error

    def _finish(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        while self._thread.is_alive():
            self._thread.join(_LOOK_SECONDS)

    def _drop(self, keep: int) -> None:
        with self._changed:
            while len(self._queue) > keep:
                self._dropped.append(self._queue.pop()[1])
            self._changed.notify_all()

    def _forget_dropped(self) -> None:
        while self._dropped:
            record = self._dropped.pop()
            if self._drawn is not None:
                self._drawn.forget(record)

    def _close_sinks(self) -> None:
        for sink in [*([self._drawn] if self._drawn else []), *self._sinks]:
            try:
                sink.close()
            except Exception as error:  # noqa: BLE001 - the others are closed too, then it is raised
                self._error = self._error or error

    def _work(self) -> None:
        try:
            while self._write_next():
                pass
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            with self._changed:
                self._error = error
            self._drop(keep=0)

    def _write_next(self) -> bool:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait(_LOOK_SECONDS)
            if not self._queue:
                return False
            prediction, record, drawing = self._queue[0]
        if drawing is not None:
            drawing.result()
        elif self._drawn is not None:
            self._drawn.write(prediction, record)
        for number, sink in enumerate(self._sinks):
            try:
                sink.write(prediction, record)
            except BaseException:
                if number:  # the record stands in what the sinks before wrote, and so the copy stays too
                    self._take_off()
                raise
        self._take_off()
        return True

    def _take_off(self) -> None:
        with self._changed:
            prediction, _, _ = self._queue.popleft()
            self._bytes -= prediction.frame.bgr.nbytes
            self._changed.notify_all()
