"""What the frozen part of a classifier makes of each picture, computed once and kept on disk.

A frozen part gives the same numbers in every epoch, so the epochs need only what comes after it. For augmentation there
are several views of each picture: the first is the picture as it is, and each other one is changed at random.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ...core.errors import DataError, LensmithError
from ...core.progress import say
from ...datasets.augment_spec import AugmentSpec
from ...datasets.model import Item
from ..data import Samples, Skip, warn_of_skipped
from .cut import Cut
from .room import has_room
from .rows import compute_rows
from .sources import Activations, Source, Views
from .store import Stored, lock_of, open_stored

_SCHEMA = 1
_PASSES = 2000
_MOST_VIEWS = 8


@dataclass(frozen=True)
class FeatureConfig:
    """What shapes features besides pictures and model.

    Attributes:
        fingerprint: Of the dataset, see `datasets.fingerprint`.
        augment: How the views after the first are changed.
        views: Views of each picture, see `views_for`; without augmentation there is one, whatever this says.
        precise: Compute and keep 32 bits.
        seed: Of the augmentation.
    """

    fingerprint: str
    augment: AugmentSpec
    views: int = 1
    precise: bool = False
    seed: int = 0


class Features:
    """Activations of pictures, on disk. See `LearningData`.

    Memory holds none of them but those of the batches asked for.

    Args:
        items: All the pictures.
        stored: Their features.
        from_cache: Whether an earlier command computed them.
        files: Closes what is open.

    Attributes:
        items: The pictures that could be read.
        skipped: The others.
        lost: Always empty: what is on disk stays readable.
        views: Views of each picture.
        engine: What computed them: "openvino bf16", "openvino f32", "keras", "keras half".
        seconds: How long that took, whenever it was.
        from_cache: See above.
    """

    def __init__(self, items: list[Item], stored: Stored, *, from_cache: bool, files: ExitStack) -> None:
        self._stored = stored
        self._files = files
        self._rows = np.array([number for number in range(len(items)) if number not in stored.skipped], np.int64)
        self.items: list[Item] = [items[number] for number in self._rows]
        self.skipped = _skips(items, stored)
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
        """Close the files."""
        self._files.close()


def views_for(pictures: int, augment: AugmentSpec, asked: int | Literal["auto"]) -> int:
    """How many views of each picture to compute: as asked, or as many as make about 2,000 pictures in all, 1 to 8."""
    if not augment.transforms:
        return 1
    if asked != "auto":
        return asked
    return min(max(_PASSES // max(pictures, 1), 1), _MOST_VIEWS)


def compute_features(samples: Samples, cut: Cut, config: FeatureConfig, deeper: Cut | None = None) -> Features:
    """The activations of pictures at a cut: from the cache, or computed now and kept.

    Pictures are decoded, augmented and run in one go, in chunks; neither pictures nor activations are ever all in
    memory. A picture that cannot be read is left out and named.

    Args:
        samples: The pictures. They need not have been read before.
        cut: From `cut_model`; something must be frozen.
        config: The rest.
        deeper: A cut nearer to the pictures whose activations will be needed later on. They are computed first where
            the disk has room, and what is asked for from them, so that the pictures go through the network once.

    Raises:
        DataError: no picture can be read, or the augmentation cannot be done.
        LensmithError: the disk has no room, or the cut leaves nothing to compute.
    """
    if cut.trunk is None:
        raise LensmithError("Nothing of this model is frozen, so there are no features to compute.")
    items = samples.items
    config = replace(config, views=config.views if config.augment.transforms else 1)
    with ExitStack() as stack:
        stored, from_cache = _opened(samples, cut, config, deeper, stack)
        if from_cache:
            say(f"features of {len(items)} {samples.what}: kept from before ({stored.layout.engine})")
        warn_of_skipped(_skips(items, stored), len(items), samples.what)
        if len(stored.skipped) == len(items):
            first = _skips(items, stored)[0]
            raise DataError(f"None of the {samples.what} can be read.", where=first.item.image, next_step=first.reason)
        return Features(items, stored, from_cache=from_cache, files=stack.pop_all())


def _opened(
    samples: Samples, cut: Cut, config: FeatureConfig, deeper: Cut | None, files: ExitStack
) -> tuple[Stored, bool]:
    """Features, and whether they were there; they and those they were computed from are closed by `files`.

    Those stay open as long as these, so that making room for others does not remove what this run needs again.
    """
    weights = hash_of_model(cut.trunk)
    key = _key(samples, weights, config.views, config)
    with lock_of(key):
        stored = open_stored(key)
        from_cache = stored is not None
        if stored is None:
            source, trunk = _source(samples, cut, config, deeper, files)
            stored = compute_rows(source, trunk, key, weights, config.precise)
    files.callback(stored.file.close)
    return stored, from_cache


# From a deeper cut to a cut, by the latter's trunk: for one network the engine is chosen once.
_between: weakref.WeakKeyDictionary[Any, tuple[str, Any]] = weakref.WeakKeyDictionary()


def _source(
    samples: Samples, cut: Cut, config: FeatureConfig, deeper: Cut | None, files: ExitStack
) -> tuple[Source, Any]:
    """What to compute features from, and the network that does."""
    views = Views(samples, config.views, config.augment, config.seed)
    if deeper is None or deeper.trunk is None or cut.trunk is None or deeper.layer == cut.layer:
        return views, cut.trunk
    number = 4 if config.precise else 2
    if not has_room(len(samples) * config.views * int(np.prod(deeper.shape, dtype=np.int64)) * number):
        return views, cut.trunk
    import keras

    stored, _ = _opened(samples, deeper, config, None, files)
    known = _between.get(cut.trunk)
    if known is None or known[0] != deeper.layer:
        known = deeper.layer, keras.Model(deeper.trunk.outputs[0], cut.trunk.outputs[0])
        _between[cut.trunk] = known
    return Activations(stored, deeper.layer), known[1]


def _skips(items: Sequence[Item], stored: Stored) -> list[Skip]:
    return [Skip(items[number], reason) for number, reason in sorted(stored.skipped.items())]


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
