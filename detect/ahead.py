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
    """Import Ultralytics in a thread while the block runs, and wait for the rest of it at the block's end.

    Two threads that import parts of it in another order meet half-made modules (KeyError: 'ultralytics.models').
    So it is waited for when the block fails too, but then it stops at the next library.
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

    thread = threading.Thread(target=fetch, name="imports")
    thread.start()
    try:
        yield
    except BaseException:
        unwanted.set()
        raise
    finally:
        thread.join()
