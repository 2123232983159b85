"""What earlier checks saw of single pictures, for whoever would decode them only to see whether they are whole."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from .cache import LookCache, cache_path, state_of


class Remembered:
    """The memory of the checks, for questions from any thread. Use it with `with`."""

    def __init__(self) -> None:
        self._cache = LookCache(cache_path())

    def sound(self, image: Path) -> bool:
        """Whether a check has decoded this picture and found it whole, and its file has not changed since."""
        path = str(image)
        state = state_of(path)
        look = None if state is None else self._cache.by_state(path, state)
        return look is not None and not look.fault

    def __enter__(self) -> Remembered:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._cache.close()
