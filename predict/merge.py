"""What several tiles of a picture say, put together.

What several tiles say about one object is put together by comparing them only where both look: two boxes from different
tiles mean the same thing when the parts of them that lie in both tiles agree (intersection over union above 0.5). So a
half of an object at a tile's edge agrees with the whole of it in the next tile, while a small object within a large one
agrees with neither. A box that a tile's edge cuts off also belongs to one that holds more than half of it
(intersection over the smaller, as in that paper's own merging). Unlike there, boxes do not grow by
being merged: the one that no edge cuts stays as it is, and only where every tile saw a part is the box around the
parts taken. Within one tile the model's own suppression decides: it saw all the neighbours at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .results import Detections

FAINT = 0.25
"""A box less than a quarter as sure does not redraw another."""
_SAME = 0.5
_NEAR_EDGE = 0.01  # of a tile's side: a box that ends so near at a tile's edge may be a part of something


def merge_tiles(found: Sequence[Detections], places: np.ndarray, thresholds: np.ndarray, max_det: int) -> Detections:
    """Put together what was found in each tile, see the module's text.

    Args:
        found: For each tile what was found in it, in pixels of the tile.
        places: int64 `(n, 4)`, from `predict.tiles.tile_places`.
        thresholds: float `(classes,)`: only detections above their class's are given, though all are put together.
        max_det: How many are given at most.

    Returns:
        Detections in pixels of the picture, the surest first, each with the highest confidence that a tile gave it.
    """
    boxes = _Boxes(found, places)
    kept: list[tuple[np.ndarray, int, float]] = []
    for first in range(len(boxes.left)):
        if not boxes.left[first]:
            continue
        best, xyxy = boxes.settle(first)
        sure = float(boxes.confidence[first])
        if best is not None and sure > thresholds[boxes.class_id[best]]:
            kept.append((xyxy, int(boxes.class_id[best]), sure))
            if len(kept) == max_det:
                break
    if not kept:
        return Detections.empty()
    xyxy, class_id, confidence = zip(*kept, strict=True)
    return Detections(np.stack(xyxy).astype(np.float32), np.array(class_id, np.int64), np.array(confidence, np.float32))


class _Boxes:
    """Boxes of all tiles, the surest first; corners and their tiles' corners are float64 in pixels of the picture.

    `cut`: whether the box ends at an edge of its tile that is not the picture's own. `left`: whether it is still to be
    looked at.
    """

    def __init__(self, found: Sequence[Detections], places: np.ndarray) -> None:
        confidence = np.concatenate([one.confidence for one in found])
        order = np.argsort(-confidence, kind="stable")
        self.confidence = confidence[order]
        self.class_id = np.concatenate([one.class_id for one in found])[order]
        self.tile = np.repeat(np.arange(len(found)), [len(one) for one in found])[order]
        self.place = places[self.tile].astype(np.float64)
        corner = np.concatenate([self.place[:, :2], self.place[:, :2]], axis=1)
        self.xyxy = np.concatenate([one.xyxy for one in found])[order].astype(np.float64) + corner
        self.area = _area(self.xyxy)
        self.left = np.ones(len(order), bool)
        self._sides = np.ascontiguousarray(self.xyxy.T)
        picture = np.concatenate([places[:, :2].min(axis=0), places[:, 2:].max(axis=0)])
        near = _NEAR_EDGE * (self.place[:, 2:] - self.place[:, :2])
        at_edge = np.abs(self.xyxy - self.place) <= np.concatenate([near, near], axis=1)
        self.cut = (at_edge & (self.place != picture)).any(axis=1)

    def settle(self, first: int) -> tuple[int | None, np.ndarray]:
        """What this box, the surest that is left, is about: a box of its class, and the thing's corners.

        What means the same is left no longer. None: the box is but a part of something that gets its own turn.
        """
        strong = FAINT * self.confidence[first]
        self.left[first] = False
        parts, looked_at, settled = [first], 0, [first]
        best = None if self.cut[first] else first
        while best is None and looked_at < len(parts):
            agreeing = self._agreeing(parts[looked_at])
            looked_at += 1
            settled += agreeing.tolist()
            agreeing = agreeing[self.confidence[agreeing] >= strong]
            best = min((int(one) for one in agreeing if not self.cut[one]), default=None)
            parts += [int(one) for one in agreeing if int(one) not in parts]
        if best is not None:
            settled += self._agreeing(best).tolist()
            xyxy = self.xyxy[best]
        elif len(parts) == 1 and self._within_another(first, strong):
            return None, self.xyxy[first]
        else:
            best = first
            xyxy = np.concatenate([self.xyxy[parts, :2].min(axis=0), self.xyxy[parts, 2:].max(axis=0)])
        self.left[settled] = False
        self.left[self._parts_of(xyxy, best)] = False
        return best, xyxy

    def _agreeing(self, one: int) -> np.ndarray:
        """Which boxes of other tiles mean what this one means: indices, at most one of each tile."""
        near = self._touching(self.xyxy[one], one)
        xyxy, cut, others = self.xyxy[one], self.cut[one], self.xyxy[near]
        shared = _area(_overlap(others, xyxy))
        mine, theirs = _area(_overlap(xyxy, self.place[near])), _area(_overlap(others, self.place[one]))
        agreement = shared / np.maximum(mine + theirs - shared, 1e-9)
        # Where two tiles have little in common, two things may well agree in it.
        telling = (self.cut[near] & cut) | (shared > _SAME * np.minimum(self.area[near], self.area[one]))
        # A part of something is easily taken for something else, so it need not be of the same class.
        likely = (self.class_id[near] == self.class_id[one]) | self.cut[near] | cut
        found = np.flatnonzero((agreement > _SAME) & telling & likely)
        # In a crowd neighbours agree too, but a tile says each thing once.
        found = found[np.argsort(-agreement[found], kind="stable")]
        return near[found[np.unique(self.tile[near[found]], return_index=True)[1]]]

    def _within_another(self, one: int, strong: float) -> bool:
        """Whether a box of another tile that no edge cuts, of this class and sure enough, holds most of this one."""
        near = self._touching(self.xyxy[one], one)
        near = near[~self.cut[near] & (self.confidence[near] >= strong) & (self.class_id[near] == self.class_id[one])]
        return bool((_area(_overlap(self.xyxy[near], self.xyxy[one])) > _SAME * self.area[one]).any())

    def _parts_of(self, xyxy: np.ndarray, one: int) -> np.ndarray:
        """Which boxes of other tiles that an edge cuts off lie mostly in `xyxy` and are of the class of box `one`."""
        near = self._touching(xyxy, one)
        near = near[self.cut[near] & (self.class_id[near] == self.class_id[one])]
        return near[_area(_overlap(self.xyxy[near], xyxy)) > _SAME * self.area[near]]

    def _touching(self, xyxy: np.ndarray, one: int) -> np.ndarray:
        """Which boxes that are left overlap these corners, but for those of the tile of box `one`: indices."""
        x1, y1, x2, y2 = self._sides
        touching = (x1 < xyxy[2]) & (y1 < xyxy[3]) & (x2 > xyxy[0]) & (y2 > xyxy[1]) & self.left
        found = np.flatnonzero(touching)
        return found[self.tile[found] != self.tile[one]]


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What boxes have in common, corners `(..., 4)`; turned inside out where that is nothing."""
    return np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], axis=-1)


def _area(xyxy: np.ndarray) -> np.ndarray:
    return np.clip(xyxy[..., 2:] - xyxy[..., :2], 0, None).prod(axis=-1)
