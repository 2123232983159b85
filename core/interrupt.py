"""A Ctrl-C stays a Ctrl-C, whatever a library makes of it on the way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def kept_interrupts() -> Iterator[None]:
    """Turn what the block raises after Ctrl-C, or a polite kill, back into KeyboardInterrupt.

    TensorFlow catches everything while it traces a function, and then complains of the function (TypeError); a run
    would be called failed and not interrupted. Signals reach the main thread alone: in others this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen = True
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    kept = [number for number, handler in before.items() if callable(handler)]
    for number in kept:
        signal.signal(number, note)
    try:
        yield
    except Exception as error:
        if seen:
            raise KeyboardInterrupt from error
        raise
    finally:
        for number in kept:
            signal.signal(number, before[number])
