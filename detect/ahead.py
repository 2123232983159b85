"""The libraries that a training needs, imported while something else is done that leaves Python idle."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.isolation import isolate_ultralytics

_LIBRARIES = ("torch", "ultralytics.models.yolo.detect")


@contextmanager
def imported_ahead() -> Iterator[None]:
    """Begin to import Ultralytics in a thread while the block runs; whoever imports it after that waits for the rest.

    The thread is waited for when the program ends: an import that is torn down half-way can take the process with it.
    When the block fails, the thread stops at the next library.
    """
    isolate_ultralytics()
    unwanted = threading.Event()

    def fetch() -> None:
        for name in _LIBRARIES:
            if unwanted.is_set():
                return
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001 - it comes again, to be told, where the library is used
                return

    threading.Thread(target=fetch, name="imports").start()
    try:
        yield
    except BaseException:
        unwanted.set()
        raise
