"""From pictures to rows of features: decoded and changed in threads, run by the engine, written chunk by chunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ...core.device import usable_cores
from ...core.images import ImageError
from ...core.progress import progress, say
from ...datasets.augment_spec import AugmentSpec
from ..data import Samples
from .cut import Cut
from .engines import Chosen, choose_engine, pictures_for_probe
from .store import Growing, Layout, Stored

_LARGEST_HALF = 30_000.0  # half of what 16 bits can hold: other pictures than the probe's may give more


@dataclass(frozen=True)
class Views:
    """The views of each picture.

    Attributes:
        count: How many; the first is the picture as it is.
        augment: How the others are changed.
        seed: Of their random numbers.
    """

    count: int
    augment: AugmentSpec
    seed: int

    def of(self, samples: Samples, number: int) -> list[np.ndarray]:
        """All views of one picture: uint8 BGR `(h, w, 3)` each; raises ImageError where it cannot be read."""
        return samples.views(number, self.count, self.augment, self.seed)


def compute_rows(samples: Samples, cut: Cut, key: str, weights: str, views: Views, precise: bool) -> Stored:
    """Compute the features of all pictures and keep them under a key, whose lock the caller holds.

    Args:
        samples: The pictures.
        cut: From `cut_model`; its trunk computes.
        key: What they are kept under.
        weights: The hash of the trunk.
        views: How many rows a picture has.
        precise: Compute and keep 32 bits.

    Raises:
        DataError: the augmentation cannot be done.
        LensmithError: the disk has no room.
    """
    total = len(samples)
    probe = _probe(samples, views, pictures_for_probe(total * views.count, precise))
    chosen = choose_engine(cut.trunk, weights, probe, total * views.count, precise)
    layout = Layout(cut.shape, _dtype(cut, chosen, precise), total, views.count, chosen.engine.name)
    with Growing(key, layout) as growing:
        left = [first for first in layout.chunks() if first not in growing.done]
        if growing.done:
            say(f"going on where an interrupted command stopped: {len(growing.done)} of {len(layout.chunks())} parts")
        each = f", {views.count} views each" if views.count > 1 else ""
        with progress(f"features of {total} {samples.what}{each}", total, unit="pictures") as step:
            step(total - sum(len(layout.numbers(first)) for first in left))
            for chunk in _chunks(samples, views, layout, chosen, left):
                growing.write(chunk.first, chunk.rows, chunk.skipped)
                step(len(layout.numbers(chunk.first)))
        return growing.finish()


def _dtype(cut: Cut, chosen: Chosen, precise: bool) -> str:
    """Maps are kept in half precision; vectors are small anyway."""
    return "float32" if precise or len(cut.shape) == 1 or chosen.largest > _LARGEST_HALF else "float16"


def _probe(samples: Samples, views: Views, most: int) -> np.ndarray:
    """Pictures as they are, spread over all of them; black where none can be read."""
    few = Views(min(views.count, 2), views.augment, views.seed)  # decodes all that will be needed of a picture

    def plain(number: int) -> np.ndarray | None:
        try:
            return few.of(samples, number)[0]
        except ImageError:
            return None

    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="pictures") as pool:
        spread = map(int, np.linspace(0, len(samples) - 1, min(most, len(samples))))
        pictures = [picture for picture in pool.map(plain, spread) if picture is not None]
    size = samples.preprocessing
    return np.stack(pictures or [np.zeros((size.height, size.width, 3), np.uint8)])


@dataclass
class _Chunk:
    """Rows of neighbouring pictures that are written as one."""

    first: int
    rows: np.ndarray
    skipped: dict[int, str] = field(default_factory=dict)


def _chunks(samples: Samples, views: Views, layout: Layout, chosen: Chosen, firsts: Sequence[int]) -> Iterator[_Chunk]:
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
    batches = _batches(samples, views, chosen.engine.batch, pictures, skipped)
    for places, output in chosen.engine.stream(batches):
        for (number, view), row in zip(places, output, strict=True):
            while number not in layout.numbers(waiting[0]):
                yield done(waiting.popleft(), rows)
                rows = _no_rows(layout, waiting[0])
            rows[(number - waiting[0]) * views.count + view] = row
    while waiting:
        yield done(waiting.popleft(), rows)
        rows = _no_rows(layout, waiting[0]) if waiting else rows


def _no_rows(layout: Layout, first: int) -> np.ndarray:
    return np.zeros((len(layout.numbers(first)) * layout.views, *layout.shape), layout.dtype)


def _batches(
    samples: Samples, views: Views, size: int, numbers: Sequence[int], skipped: dict[int, str]
) -> Iterator[tuple[list[tuple[int, int]], np.ndarray]]:
    """All views of the pictures in their order, `size` at a time, with their picture's and view's number.

    Threads decode ahead; pictures that cannot be read are entered in `skipped` instead.
    """

    def make(number: int) -> list[np.ndarray] | ImageError:
        try:
            return views.of(samples, number)
        except ImageError as error:
            return error

    workers = usable_cores()
    most = workers + -(-2 * size // views.count)
    source = iter(numbers)
    ahead: deque[tuple[int, Future[list[np.ndarray] | ImageError]]] = deque()
    ready: deque[tuple[tuple[int, int], np.ndarray]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="pictures") as pool:
        try:
            while True:
                while len(ahead) < most and (number := next(source, None)) is not None:
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
