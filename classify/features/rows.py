"""From pictures to rows of features: made ready in threads, run by the engine, written chunk by chunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.device import usable_cores
from ...core.errors import DataError
from ...core.images import ImageError
from ...core.progress import progress, say, warn
from .engines import Chosen, choose_engine, pictures_for_probe
from .sources import Source
from .store import Growing, Layout, Stored

_LARGEST_HALF = 30_000.0  # half of what 16 bits can hold: other pictures than the probe's may give more
_SMALL_BYTES = 16 << 10


class _OutOfRangeError(Exception):
    """An activation that the numbers on disk cannot hold, or that is no number.

    Attributes:
        picture: The number of the picture that gave it.
    """

    def __init__(self, picture: int) -> None:
        super().__init__(picture)
        self.picture = picture


def compute_rows(source: Source, trunk: Any, key: str, weights: str, precise: bool) -> Stored:
    """Compute the features of all pictures and keep them under a key, whose lock the caller holds.

    Args:
        source: The pictures, or features of an earlier layer.
        trunk: A `keras.Model` from what the source gives to the features.
        key: What they are kept under.
        weights: The hash of the trunk.
        precise: Compute and keep 32 bits.

    Raises:
        DataError: the augmentation cannot be done, or the trunk gives something that is no number.
        LensmithError: the disk has no room.
    """
    passes = len(source) * source.count
    probe = _probe(source, pictures_for_probe(passes, precise))
    chosen = choose_engine(trunk, weights, probe, passes, precise)
    shape = tuple(int(side) for side in trunk.outputs[0].shape[1:])
    layout = Layout(shape, _dtype(shape, chosen, precise), len(source), source.count, chosen.engine.name)
    try:
        return _write_rows(source, key, layout, chosen)
    except _OutOfRangeError as error:
        if precise:
            raise DataError(
                f"The frozen part of the model gives something that is no number for picture {error.picture + 1}.",
                next_step="the weights are damaged or were trained too fast: start from others",
            ) from None
    warn("some features are too large for 16 bits, so all of them are computed and kept in 32")
    return compute_rows(source, trunk, key, weights, precise=True)


def _write_rows(source: Source, key: str, layout: Layout, chosen: Chosen) -> Stored:
    total = len(source)
    with Growing(key, layout) as growing:
        left = [first for first in layout.chunks() if first not in growing.done]
        if growing.done:
            say(f"going on where an interrupted command stopped: {len(growing.done)} of {len(layout.chunks())} parts")
        with progress(source.what, total, unit="pictures") as step:
            step(total - sum(len(layout.numbers(first)) for first in left))
            for chunk in _chunks(source, layout, chosen, left):
                growing.write(chunk.first, chunk.rows, chunk.skipped)
                step(len(layout.numbers(chunk.first)))
        return growing.finish()


def _dtype(shape: tuple[int, ...], chosen: Chosen, precise: bool) -> str:
    """Half precision halves the disk and the reading of what is large, which pooled features are not."""
    small = 4 * int(np.prod(shape, dtype=np.int64)) <= _SMALL_BYTES
    return "float32" if precise or small or chosen.largest > _LARGEST_HALF else "float16"


def _probe(source: Source, most: int) -> np.ndarray:
    """First views of pictures spread over all of them; zeros where none can be read."""

    def plain(number: int) -> np.ndarray | None:
        try:
            return source.plain(number)
        except ImageError:
            return None

    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="pictures") as pool:
        spread = map(int, np.linspace(0, len(source) - 1, min(most, len(source))))
        pictures = [picture for picture in pool.map(plain, spread) if picture is not None]
    return np.stack(pictures or [source.nothing()])


@dataclass
class _Chunk:
    """Rows of neighbouring pictures that are written as one."""

    first: int
    rows: np.ndarray
    skipped: dict[int, str] = field(default_factory=dict)


def _chunks(source: Source, layout: Layout, chosen: Chosen, firsts: Sequence[int]) -> Iterator[_Chunk]:
    """Chunk by chunk in their order, each when all of its pictures are done or skipped."""
    skipped: dict[int, str] = {}
    if not firsts:
        return
    waiting = deque(firsts)
    rows = _no_rows(layout, waiting[0])

    def done(first: int, rows: np.ndarray) -> _Chunk:
        gone = {number: skipped.pop(number) for number in layout.numbers(first) if number in skipped}
        return _Chunk(first, rows, gone)

    pictures = [number for first in firsts for number in layout.numbers(first)]
    batches = _batches(source, chosen.engine.batch, pictures, skipped)
    for places, output in chosen.engine.stream(batches):
        for (number, view), row in zip(places, output, strict=True):
            while number not in layout.numbers(waiting[0]):
                yield done(waiting.popleft(), rows)
                rows = _no_rows(layout, waiting[0])
            place = (number - waiting[0]) * layout.views + view
            with np.errstate(over="ignore"):
                rows[place] = row
            if not np.isfinite(rows[place]).all():
                raise _OutOfRangeError(number)
    while waiting:
        yield done(waiting.popleft(), rows)
        rows = _no_rows(layout, waiting[0]) if waiting else rows


def _no_rows(layout: Layout, first: int) -> np.ndarray:
    return np.zeros((len(layout.numbers(first)) * layout.views, *layout.shape), layout.dtype)


def _batches(
    source: Source, size: int, numbers: Sequence[int], skipped: dict[int, str]
) -> Iterator[tuple[list[tuple[int, int]], np.ndarray]]:
    """All views of the pictures in their order, `size` at a time, with their picture's and view's number.

    Threads decode ahead; pictures that cannot be read are entered in `skipped` instead.
    """

    def make(number: int) -> list[np.ndarray] | ImageError:
        try:
            return source.of(number)
        except ImageError as error:
            return error

    workers = usable_cores()
    most = workers + -(-2 * size // source.count)
    queue = iter(numbers)
    ahead: deque[tuple[int, Future[list[np.ndarray] | ImageError]]] = deque()
    ready: deque[tuple[tuple[int, int], np.ndarray]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="pictures") as pool:
        try:
            while True:
                while len(ahead) < most and (number := next(queue, None)) is not None:
                    ahead.append((number, pool.submit(make, number)))
                if not ahead:
                    break
                number, future = ahead.popleft()
                made = future.result()
                if isinstance(made, ImageError):
                    skipped[number] = made.reason
                    continue
                ready.extend(((number, view), picture) for view, picture in enumerate(made))
                while len(ready) >= size:
                    yield _taken(ready, size)
            if ready:
                yield _taken(ready, len(ready))
        finally:
            pool.shutdown(cancel_futures=True)


def _taken(ready: deque[tuple[tuple[int, int], np.ndarray]], size: int) -> tuple[list[tuple[int, int]], np.ndarray]:
    places, pictures = zip(*(ready.popleft() for _ in range(size)), strict=True)
    return list(places), np.stack(pictures)
