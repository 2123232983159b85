"""Large pictures in parts, so that small objects come large enough before the model.

Slicing as in Akyon et al., "Slicing Aided Hyper Inference and Fine-tuning for Small Object Detection", ICIP 2022: the
picture is cut into overlapping tiles, the model looks at each and at the whole, and what it finds is put together.

What several tiles say about one object is put together by comparing them only where both look: two boxes from different
tiles mean the same thing when the parts of them that lie in both tiles agree (intersection over union above 0.5). So a
half of an object at a tile's edge agrees with the whole of it in the next tile, while a small object within a large one
agrees with neither. A box that a tile's edge cuts off also belongs to one that holds more than half of it
(intersection over the smaller, as in that paper's own merging). Unlike there, boxes do not grow by
being merged: the one that no edge cuts stays as it is, and only where every tile saw a part is the box around the
parts taken. Within one tile the model's own suppression decides: it saw all the neighbours at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil

import numpy as np

from ..core.errors import UsageError
from ..weights.bundle import BundleRecord, Tiles
from .decode import decode_detections, thresholds_of
from .ensemble import Ensemble
from .model import Model
from .prepare import Geometry
from .results import Detections

_SAME = 0.5
_FAINT = 0.25  # a box less than a quarter as sure does not redraw another
_NEAR_EDGE = 0.01  # of a tile's side: a box that ends so near at a tile's edge may be a part of something
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
        answers = self._answers((one.bgr[y1:y2, x1:x2] for one in prepared for x1, y1, x2, y2 in one.places))
        return [list(islice(answers, len(one.places))) for one in prepared]

    def decode(self, raw: list[_Answer], prepared: Sliced, confidence: float | None) -> Detections:
        """See `Predictor.decode`."""
        record = self.bundle.record
        wanted = thresholds_of(record, confidence)
        if len(raw) == 1:
            found = decode_detections(raw[0].raw, record, raw[0].geometry, float(wanted.min()))
            sure = found.confidence > wanted[found.class_id]
            return Detections(found.xyxy[sure], found.class_id[sure], found.confidence[sure])
        # A box that is less sure than asked for can still say how far a surer one reaches.
        floor = _FAINT * float(wanted.min())
        seen = [decode_detections(one.raw, record, one.geometry, floor) for one in raw]
        return merge_tiles(seen, prepared.places, wanted, self._detector.max_det)

    def _answers(self, tiles: Iterable[np.ndarray]) -> Iterator[_Answer]:
        tiles, raw_output = iter(tiles), self._detector.output == "raw"
        while batch := [self.model.prepare(tile) for tile in islice(tiles, self.model.batch)]:
            for raw, one in zip(self.model.infer(batch), batch, strict=True):
                yield _Answer(_thin(raw) if raw_output else raw.copy(), one.geometry)


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


def merge_tiles(found: Sequence[Detections], places: np.ndarray, thresholds: np.ndarray, max_det: int) -> Detections:
    """Put together what was found in each tile, see the module's text.

    Args:
        found: For each tile what was found in it, in pixels of the tile.
        places: int64 `(n, 4)`, from `tile_places`.
        thresholds: float `(classes,)`: only detections above their class's are given, though all are put together.
        max_det: How many are given at most.

    Returns:
        Detections in pixels of the picture, the surest first, each with the highest confidence that a tile gave it.
    """
    boxes = _Boxes.of(found, places)
    kept: list[tuple[np.ndarray, int, float]] = []
    while len(boxes) and len(kept) < max_det:
        best, xyxy, settled = _thing(boxes)
        sure, class_id = float(boxes.confidence[0]), int(boxes.class_id[best or 0])
        if best is not None and sure > thresholds[class_id]:
            kept.append((xyxy, class_id, sure))
        boxes = boxes.take(~settled)
    if not kept:
        return Detections.empty()
    xyxy, class_id, confidence = zip(*kept, strict=True)
    return Detections(np.stack(xyxy).astype(np.float32), np.array(class_id, np.int64), np.array(confidence, np.float32))


@dataclass(frozen=True, slots=True)
class _Boxes:
    """Boxes of all tiles, the surest first: corners and their tiles' corners float64 `(n, 4)` in pixels of the picture.

    `cut`: whether the box ends at an edge of its tile that is not the picture's own.
    """

    xyxy: np.ndarray
    place: np.ndarray
    tile: np.ndarray
    class_id: np.ndarray
    confidence: np.ndarray
    cut: np.ndarray

    def __len__(self) -> int:
        return len(self.tile)

    @classmethod
    def of(cls, found: Sequence[Detections], places: np.ndarray) -> _Boxes:
        tile = np.repeat(np.arange(len(found)), [len(one) for one in found])
        place = places[tile].astype(np.float64)
        shift = np.concatenate([place[:, :2], place[:, :2]], axis=1)
        xyxy = np.concatenate([one.xyxy for one in found]).astype(np.float64) + shift
        picture = np.concatenate([places[:, :2].min(axis=0), places[:, 2:].max(axis=0)])
        near = _NEAR_EDGE * (place[:, 2:] - place[:, :2])
        at_edge = np.abs(xyxy - place) <= np.concatenate([near, near], axis=1)
        confidence = np.concatenate([one.confidence for one in found])
        boxes = cls(xyxy, place, tile, np.concatenate([one.class_id for one in found]), confidence,
                    (at_edge & (place != picture)).any(axis=1))  # fmt: skip
        return boxes.take(np.argsort(-confidence, kind="stable"))

    def take(self, which: np.ndarray) -> _Boxes:
        return _Boxes(self.xyxy[which], self.place[which], self.tile[which], self.class_id[which],
                      self.confidence[which], self.cut[which])  # fmt: skip

    def agreeing(self, one: int) -> np.ndarray:
        """Which boxes of other tiles mean what this one means: indices, at most one of each tile."""
        xyxy, cut = self.xyxy[one], self.cut[one]
        shared = _area(_overlap(self.xyxy, xyxy))
        mine, theirs = _area(_overlap(xyxy, self.place)), _area(_overlap(self.xyxy, self.place[one]))
        agreement = shared / np.maximum(mine + theirs - shared, 1e-9)
        # Where two tiles have little in common, two things may well agree in it.
        telling = (self.cut & cut) | (shared > _SAME * np.minimum(_area(self.xyxy), _area(xyxy)))
        # A part of something is easily taken for something else, so it need not be of the same class.
        likely = (self.class_id == self.class_id[one]) | self.cut | cut
        found = np.flatnonzero((self.tile != self.tile[one]) & (agreement > _SAME) & telling & likely)
        # In a crowd neighbours agree too, but a tile says each thing once.
        found = found[np.argsort(-agreement[found], kind="stable")]
        return found[np.unique(self.tile[found], return_index=True)[1]]

    def parts_of(self, xyxy: np.ndarray, one: int) -> np.ndarray:
        """Which boxes that an edge cuts off lie mostly in `xyxy` and are of the class of box `one`, bool `(n,)`."""
        inside = _area(_overlap(self.xyxy, xyxy)) > _SAME * _area(self.xyxy)
        return inside & self.cut & self._kin(one)

    def holding(self, one: int) -> np.ndarray:
        """Which boxes of this one's class, in other tiles, hold most of it, bool `(n,)`."""
        return (_area(_overlap(self.xyxy, self.xyxy[one])) > _SAME * _area(self.xyxy[one])) & self._kin(one)

    def _kin(self, one: int) -> np.ndarray:
        return (self.class_id == self.class_id[one]) & (self.tile != self.tile[one])


def _thing(boxes: _Boxes) -> tuple[int | None, np.ndarray, np.ndarray]:
    """What the surest box is about: a box of its class, the thing's corners, and which boxes are settled by it.

    None in place of the first: the surest box is but a part of something that gets its own turn.
    """
    settled = np.zeros(len(boxes), bool)
    settled[0] = True
    parts, looked_at, strong = [0], 0, boxes.confidence >= _FAINT * boxes.confidence[0]
    best = None if boxes.cut[0] else 0
    while best is None and looked_at < len(parts):
        agreeing = boxes.agreeing(parts[looked_at])
        looked_at += 1
        settled[agreeing] = True
        agreeing = agreeing[strong[agreeing]]
        best = min((int(one) for one in agreeing if not boxes.cut[one]), default=None)
        parts += [int(one) for one in agreeing if int(one) not in parts]
    if best is not None:
        settled[boxes.agreeing(best)] = True
        xyxy = boxes.xyxy[best]
        return best, xyxy, settled | boxes.parts_of(xyxy, best)
    if len(parts) == 1 and (boxes.holding(0) & strong & ~boxes.cut).any():
        settled[1:] = False
        return None, boxes.xyxy[0], settled
    around = np.concatenate([boxes.xyxy[parts, :2].min(axis=0), boxes.xyxy[parts, 2:].max(axis=0)])
    return 0, around, settled | boxes.parts_of(around, 0)


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What boxes have in common, corners `(..., 4)`; turned inside out where that is nothing."""
    return np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], axis=-1)


def _area(xyxy: np.ndarray) -> np.ndarray:
    return np.clip(xyxy[..., 2:] - xyxy[..., :2], 0, None).prod(axis=-1)


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
