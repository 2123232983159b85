"""What the frozen part of a classifier makes of each picture, computed once and kept on disk.

A frozen part gives the same numbers in every epoch, so the epochs need only what comes after it. For augmentation there
are several views of each picture: the first is the picture as it is, and each other one is changed at random.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import numpy as np

from ..core.errors import DataError, LensmithError
from ..core.images import ImageError
from ..core.progress import progress, say
from ..datasets.augment_spec import AugmentSpec
from ..datasets.model import Item
from ..predict.engines.onnx import usable_cores
from .cut import Cut
from .data import Samples, Skip, warn_of_skipped
from .feature_engines import PROBE, Chosen, choose_engine
from .feature_store import Growing, Layout, Stored, lock_of, open_stored

_SCHEMA = 1
_PASSES = 2000
_MOST_VIEWS = 8
_LARGEST_HALF = 30_000.0  # half of what 16 bits can hold: other pictures than the probe's may give more


@dataclass(frozen=True)
class FeatureConfig:
    """What shapes features besides pictures and model.

    Attributes:
        fingerprint: Of the dataset, see `datasets.fingerprint`.
        augment: How the views after the first are changed.
        views: Views of each picture, see `views_for`; without augmentation there is one, whatever this says.
        precise: Compute and keep 32 bits.
        device: As in `core.device.parse_device`; for the record, Keras has been set to it already.
        seed: Of the augmentation.
    """

    fingerprint: str
    augment: AugmentSpec
    views: int = 1
    precise: bool = False
    device: str = "auto"
    seed: int = 0


class Features:
    """Activations of pictures, on disk. See `LearningData`.

    Memory holds none of them but those of the batches asked for.

    Args:
        items: All the pictures.
        stored: Their features.
        from_cache: Whether an earlier command computed them.

    Attributes:
        items: The pictures that could be read.
        skipped: The others.
        lost: Always empty: what is on disk stays readable.
        views: Views of each picture.
        engine: What computed them: "openvino bf16", "openvino f32", "keras", "keras half".
        seconds: How long that took, whenever it was.
        from_cache: See above.
    """

    def __init__(self, items: list[Item], stored: Stored, *, from_cache: bool) -> None:
        self._stored = stored
        self._rows = np.array([number for number in range(len(items)) if number not in stored.skipped], np.int64)
        self.items: list[Item] = [items[number] for number in self._rows]
        self.skipped = [Skip(items[number], reason) for number, reason in sorted(stored.skipped.items())]
        self.lost: set[int] = set()
        self.views = stored.layout.views
        self.engine = stored.layout.engine
        self.seconds = stored.seconds
        self.from_cache = from_cache

    def __len__(self) -> int:
        return len(self.items)

    @property
    def labels(self) -> np.ndarray:
        """int64 `(n,)` class ids."""
        return np.array([item.class_id for item in self.items], np.int64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the activations of one picture: `(height, width, channels)`, or `(numbers,)`."""
        return self._stored.layout.shape

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """float32 activations `(m, ...)` of view `epoch % views`, and int64 class ids `(m,)`.

        Raises:
            LensmithError: the file on disk is gone or was cut short.
        """
        layout = self._stored.layout
        rows = np.empty((len(indices), *layout.shape), layout.dtype)
        view = epoch % self.views
        try:
            for place, index in enumerate(indices):
                row = int(self._rows[index]) * self.views + view
                self._stored.file.read(row * layout.row_bytes, rows[place])
        except (OSError, ValueError) as error:
            raise LensmithError(
                f"The features kept on disk cannot be read any more: {error}.",
                where=self._stored.file.path,
                next_step="run the same command again; it computes them anew",
            ) from None
        labels = [self.items[int(index)].class_id for index in indices]
        return rows.astype(np.float32, copy=False), np.array(labels, np.int64)

    def close(self) -> None:
        """Close the file."""
        self._stored.file.close()


def views_for(pictures: int, augment: AugmentSpec, asked: int | Literal["auto"]) -> int:
    """How many views of each picture to compute: as asked, or as many as make about 2,000 pictures in all, 1 to 8."""
    if not augment.transforms:
        return 1
    if asked != "auto":
        return asked
    return min(max(_PASSES // max(pictures, 1), 1), _MOST_VIEWS)


def compute_features(samples: Samples, cut: Cut, config: FeatureConfig) -> Features:
    """The activations of pictures at a cut: from the cache, or computed now and kept.

    Pictures are decoded, augmented and run in one go, in chunks; neither pictures nor activations are ever all in
    memory. A picture that cannot be read is left out and named.

    Args:
        samples: The pictures. They need not have been read before.
        cut: From `cut_model`; something must be frozen.
        config: The rest.

    Raises:
        DataError: no picture can be read, or the augmentation cannot be done.
        LensmithError: the disk has no room, or the cut leaves nothing to compute.
    """
    if cut.trunk is None:
        raise LensmithError("Nothing of this model is frozen, so there are no features to compute.")
    items = samples.items
    weights = hash_of_model(cut.trunk)
    views = config.views if config.augment.transforms else 1
    key = _key(samples, weights, views, config)
    with lock_of(key):
        stored = open_stored(key)
        from_cache = stored is not None
        if stored is None:
            stored = _compute(samples, cut, config, weights, views, key)
    if from_cache:
        say(f"features of {len(items)} {samples.what}: kept from before ({stored.layout.engine})")
    features = Features(items, stored, from_cache=from_cache)
    warn_of_skipped(features.skipped, len(items), samples.what)
    if not len(features):
        first = features.skipped[0]
        raise DataError(f"None of the {samples.what} can be read.", where=first.item.image, next_step=first.reason)
    return features


def hash_of_model(model: Any) -> str:
    """SHA-256 over a model's graph and weights as 64 hex digits, whatever file they came from, and whatever learns."""
    digest = hashlib.sha256(json.dumps(_plain(model.get_config()["layers"]), sort_keys=True, default=str).encode())
    for weight in model.weights:
        array = np.ascontiguousarray(_as_numpy(weight))
        digest.update(f"{weight.path.rpartition('/')[2]} {array.dtype} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _as_numpy(weight: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(weight))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items() if key != "trainable"}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


def _key(samples: Samples, weights: str, views: int, config: FeatureConfig) -> str:
    """What features depend on. A picture that was changed after the fingerprint was taken has another time or size."""
    import keras

    root = [config.fingerprint, weights, samples.preprocessing.model_dump_json(), views, config.precise]
    if views > 1:
        root += [config.augment.sha256, config.seed]
    root += [_SCHEMA, keras.backend.backend(), keras.__version__]
    digest = hashlib.sha256(json.dumps(root).encode())
    for item in samples.items:
        try:
            state = item.image.stat()
            digest.update(f"{state.st_size} {state.st_mtime_ns} ".encode())
        except OSError:
            digest.update(b"gone ")
        digest.update(f"{item.split}/{item.image.parent.name}/{item.image.name}\n".encode(errors="backslashreplace"))
    return digest.hexdigest()[:40]


def _compute(samples: Samples, cut: Cut, config: FeatureConfig, weights: str, views: int, key: str) -> Stored:
    total = len(samples.items)
    chosen = choose_engine(cut.trunk, weights, _probe(samples), total * views, config.precise)
    dtype = _dtype(cut.shape, chosen, config.precise)
    layout = Layout(cut.shape, dtype, total, views, chosen.engine.name)
    with Growing(key, layout) as growing:
        left = [first for first in layout.chunks() if first not in growing.done]
        if growing.done:
            say(f"going on where an interrupted command stopped: {len(growing.done)} of {len(layout.chunks())} parts")
        what = f"features of {total} {samples.what}" + (f", {views} views each" if views > 1 else "")
        with progress(what, total, unit="pictures") as step:
            step(total - sum(min(layout.chunk, total - first) for first in left))
            for first, rows, skipped in _chunks(samples, config, layout, chosen, left):
                growing.write(first, rows, skipped)
                step(min(layout.chunk, total - first))
        return growing.finish()


def _dtype(shape: tuple[int, ...], chosen: Chosen, precise: bool) -> str:
    """Maps are kept in half precision; vectors are small, and precise ones are asked for."""
    return "float32" if precise or len(shape) == 1 or chosen.largest > _LARGEST_HALF else "float16"


def _probe(samples: Samples) -> np.ndarray:
    """Up to 64 pictures spread over all of them, as they are."""
    pictures = []
    total = len(samples.items)
    for number in np.linspace(0, total - 1, min(PROBE, total)).astype(int):
        try:
            pictures.append(samples.plain(int(number)))
        except ImageError:
            continue
    if not pictures:
        size = samples.preprocessing
        return np.zeros((1, size.height, size.width, 3), np.uint8)
    return np.stack(pictures)


def _chunks(
    samples: Samples, config: FeatureConfig, layout: Layout, chosen: Chosen, firsts: list[int]
) -> Iterator[tuple[int, np.ndarray, dict[int, str]]]:
    """The rows of each chunk, and which of its pictures were skipped; chunk by chunk, in their order."""
    skipped: dict[int, str] = {}
    numbers = [number for first in firsts for number in _numbers(layout, first)]
    waiting = deque(firsts)
    rows = np.zeros((0, *layout.shape), layout.dtype)
    ready = -1  # the last picture whose rows are there, or that was skipped

    def flush() -> Iterator[tuple[int, np.ndarray, dict[int, str]]]:
        nonlocal rows
        while waiting and ready >= _numbers(layout, waiting[0])[-1]:
            first = waiting.popleft()
            gone = {number: skipped[number] for number in _numbers(layout, first) if number in skipped}
            yield first, rows, gone
            rows = _rows_of(layout, waiting[0]) if waiting else rows

    if waiting:
        rows = _rows_of(layout, waiting[0])
    batches = _batches(samples, config, layout.views, chosen.engine.batch, numbers, skipped)
    for places, output in chosen.engine.stream(batches):
        for (number, view), row in zip(places, output, strict=True):
            ready = number - 1
            yield from flush()
            rows[(number - waiting[0]) * layout.views + view] = row
    ready = layout.pictures
    yield from flush()


def _numbers(layout: Layout, first: int) -> range:
    return range(first, min(first + layout.chunk, layout.pictures))


def _rows_of(layout: Layout, first: int) -> np.ndarray:
    return np.zeros((len(_numbers(layout, first)) * layout.views, *layout.shape), layout.dtype)


def _batches(
    samples: Samples, config: FeatureConfig, views: int, size: int, numbers: list[int], skipped: dict[int, str]
) -> Iterator[tuple[list[tuple[int, int]], np.ndarray]]:
    """All views of the pictures in their order, decoded ahead by threads, `size` at a time."""

    def make(number: int) -> list[np.ndarray] | ImageError:
        try:
            return samples.views(number, views, config.augment, config.seed)
        except ImageError as error:
            return error

    workers = usable_cores()
    ahead: deque[tuple[int, Future[list[np.ndarray] | ImageError]]] = deque()
    places: list[tuple[int, int]] = []
    pictures: list[np.ndarray] = []
    source = iter(numbers)
    with ThreadPoolExecutor(workers, thread_name_prefix="pictures") as pool:
        try:
            while True:
                for number in source:
                    ahead.append((number, pool.submit(make, number)))
                    if len(ahead) * views >= 2 * size + workers * views:
                        break
                if not ahead:
                    break
                number, future = ahead.popleft()
                made = future.result()
                if isinstance(made, ImageError):
                    skipped[number] = made.reason
                    continue
                places += zip([number] * views, count())
                pictures += made
                while len(places) >= size:
                    yield places[:size], np.stack(pictures[:size])
                    places, pictures = places[size:], pictures[size:]
            if places:
                yield places, np.stack(pictures)
        finally:
            pool.shutdown(cancel_futures=True)
