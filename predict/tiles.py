"""Large pictures in parts, so that small objects come large enough before the model.

Slicing as in Akyon et al., "Slicing Aided Hyper Inference and Fine-tuning for Small Object Detection", ICIP 2022: the
picture is cut into overlapping tiles, the model looks at each and at the whole, and what it finds is put together.

What several tiles say about one object is put together in `predict.merge`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from math import ceil

import numpy as np

from ..core.errors import UsageError
from ..weights.bundle import BundleRecord, Tiles
from .decode import decode_detections, thresholds_of
from .engines.base import Tag
from .ensemble import Ensemble
from .merge import FAINT, merge_tiles
from .model import Model, Prepared
from .prepare import Geometry
from .results import Detections

_ONE_TILE = 1.1  # a picture that is hardly larger than a tile is not worth two
# Below what anything asks for; what lies lower need not be kept of 50 tiles.
_LEAST = 0.00025


@dataclass(frozen=True, slots=True)
class Sliced:
    """A picture, and where it is cut. The tiles themselves are cut when their turn comes, to keep memory flat.

    Attributes:
        bgr: uint8 `(h, w, 3)`.
        places: int64 `(n, 4)`, see `tile_places`.
    """

    bgr: np.ndarray
    places: np.ndarray


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the model says about one tile, raw, and where the tile lay inside its input."""

    raw: np.ndarray
    geometry: Geometry


class Tiled:
    """A detector that looks at large pictures in parts, see `Predictor`.

    A picture that is no larger than a tile gives what the model alone gives for it.

    Args:
        model: A detector.
        tiles: How to cut.

    Raises:
        UsageError: the model is a classifier.
    """

    def __init__(self, model: Model, tiles: Tiles) -> None:
        detector = model.bundle.record.detector
        if detector is None:
            raise UsageError("Only a detector can look at a picture in tiles: a classifier has one answer for all of "
                             "it.", where="--tiles", next_step="leave --tiles out")  # fmt: skip
        self.model, self.tiles, self._detector = model, tiles, detector
        self.bundle = model.bundle
        self.name, self.names, self.dataset = model.name, model.names, model.dataset
        self.engine_name, self.device = model.engine_name, model.device
        self.batch = 1  # pictures; each gives the engine several tiles

    def prepare(self, bgr: np.ndarray) -> Sliced:
        """See `Predictor.prepare`."""
        height, width = bgr.shape[:2]
        return Sliced(bgr, tile_places(width, height, self.tiles))

    def infer(self, prepared: Sequence[Sliced]) -> list[list[_Answer]]:
        """See `Predictor.infer`; for each picture its tiles' answers."""
        return next(answers for _, answers in self.stream([(None, prepared)]))

    def stream(self, batches: Iterable[tuple[Tag, Sequence[Sliced]]]) -> Iterator[tuple[Tag, list[list[_Answer]]]]:
        """See `Predictor.stream`. Tiles of two pictures may go through the model together."""
        waiting: deque[tuple[Tag, Sequence[Sliced]]] = deque()

        def tiles() -> Iterator[np.ndarray]:
            for tag, batch in batches:
                waiting.append((tag, batch))
                yield from (one.bgr[y1:y2, x1:x2] for one in batch for x1, y1, x2, y2 in one.places)

        answers = self._answers(tiles())
        for first in answers:
            tag, batch = waiting.popleft()
            own = chain([first], answers)
            yield tag, [list(islice(own, len(one.places))) for one in batch]

    def decode(self, raw: list[_Answer], prepared: Sliced, confidence: float | None) -> Detections:
        """See `Predictor.decode`."""
        record = self.bundle.record
        wanted = thresholds_of(record, confidence)
        if len(raw) == 1:
            found = decode_detections(raw[0].raw, record, raw[0].geometry, float(wanted.min()))
            sure = found.confidence > wanted[found.class_id]
            return Detections(found.xyxy[sure], found.class_id[sure], found.confidence[sure])
        # A box that is less sure than asked for can still say how far a surer one reaches.
        floor = FAINT * float(wanted.min())
        seen = [decode_detections(one.raw, record, one.geometry, floor) for one in raw]
        return merge_tiles(seen, prepared.places, wanted, self._detector.max_det)

    def _answers(self, tiles: Iterable[np.ndarray]) -> Iterator[_Answer]:
        raw_output = self._detector.output == "raw"
        for batch, answers in self.model.stream((batch, batch) for batch in self._prepared(iter(tiles))):
            for raw, one in zip(answers, batch, strict=True):
                yield _Answer(_thin(raw) if raw_output else raw.copy(), one.geometry)

    def _prepared(self, tiles: Iterator[np.ndarray]) -> Iterator[list[Prepared]]:
        while batch := [self.model.prepare(tile) for tile in islice(tiles, self.model.batch)]:
            yield batch


def as_used(model: Model | Ensemble, tiles: bool | None = None) -> Model | Ensemble | Tiled:
    """A model as it is meant to be used: with tiles where its record says so.

    Args:
        model: From `open_models`.
        tiles: True cuts pictures into tiles even if the record does not say so, False never; None asks the record.

    Raises:
        UsageError: tiles for a classifier.
    """
    if isinstance(model, Ensemble):
        if tiles:
            raise UsageError("Several models at once are classifiers, and tiles are for a detector.", where="--tiles",
                             next_step="leave --tiles out")  # fmt: skip
        return model
    record = model.bundle.record
    noted = record.detector.tiles if record.detector else None
    if tiles is False or (tiles is None and noted is None):
        return model
    return Tiled(model, noted or usual_tiles(record))


def usual_tiles(record: BundleRecord) -> Tiles:
    """Tiles as large as the model's input, so that nothing is shrunk."""
    return Tiles(size=max(record.preprocessing.width, record.preprocessing.height))


def tile_places(width: int, height: int, tiles: Tiles) -> np.ndarray:
    """Where a picture is cut: int64 `(n, 4)`, corners in pixels; the whole picture first, if it is looked at.

    The tiles of a row are spaced evenly from one edge of the picture to the other, each as large as `tiles.size`, or as
    the picture's side where that is smaller.
    """
    xs, ys = (_spans(length, tiles) for length in (width, height))
    places = [(x1, y1, x2, y2) for y1, y2 in ys for x1, x2 in xs]
    if tiles.whole and len(places) > 1:
        places.insert(0, (0, 0, width, height))
    return np.array(places, np.int64)


def _spans(length: int, tiles: Tiles) -> list[tuple[int, int]]:
    """From where to where the tiles of a row reach."""
    if length <= _ONE_TILE * tiles.size:
        return [(0, length)]
    spare = length - tiles.size
    count = ceil(spare / (tiles.size * (1 - tiles.overlap))) + 1
    return [(start, start + tiles.size) for start in np.rint(np.linspace(0, spare, count)).astype(int).tolist()]


def _thin(raw: np.ndarray) -> np.ndarray:
    """What is worth keeping of a raw output `(4 + classes, anchors)`: a tile has thousands of anchors, few say much."""
    return raw[:, raw[4:].max(axis=0) > _LEAST]
