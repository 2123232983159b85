"""A detector as Ultralytics' `val` runs it, so that its figures and ours can be compared.

`cv predict` fits each picture into the model's square, and gives a box one class. Ultralytics' `val` differs in three
things (`data/base.py` and `utils/nms.py` of 8.4): pictures are sorted by their shape, and those of a batch of 16 share
a rectangle with a margin of half a stride; a resized side is rounded up; and a box may have several classes at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from ..core.images import ImageError, inspect_image
from ..datasets.model import Item
from ..predict.engines.base import Engine, Tag, one_by_one
from ..predict.model import Model, Prepared
from ..predict.prepare import Geometry
from ..weights.bundle import Bundle

_BATCH, _STRIDE, _MARGIN = 16, 32, 0.5
_PADDING = 114


class ValModel(Model):
    """A bundle that runs as in Ultralytics' `val`, see `predict.model.Model`.

    Args:
        bundle: A detector.
        engine: Its engine; it must take inputs of other sizes than the bundle's own.
        items: The pictures that are to come.
    """

    def __init__(self, bundle: Bundle, engine: Engine, items: Iterable[Item]) -> None:
        super().__init__(bundle, engine, several=True)
        self._side = max(bundle.record.preprocessing.width, bundle.record.preprocessing.height)
        self._shapes = rectangles(list(_sizes(items)), self._side)

    def prepare(self, bgr: np.ndarray) -> Prepared:
        """See `Predictor.prepare`."""
        height, width = bgr.shape[:2]
        scale = self._side / max(height, width)
        inner_width, inner_height = (min(int(np.ceil(side * scale)), self._side) for side in (width, height))
        rows, columns = self._shapes[width, height]
        inner = bgr
        if (width, height) != (inner_width, inner_height):
            inner = cv2.resize(bgr, (inner_width, inner_height), interpolation=cv2.INTER_LINEAR)
        spare_x, spare_y = columns - inner_width, rows - inner_height
        left, top = round(spare_x / 2 - 0.1), round(spare_y / 2 - 0.1)
        picture = cv2.copyMakeBorder(
            inner, top, spare_y - top, left, spare_x - left, cv2.BORDER_CONSTANT, value=(_PADDING,) * 3
        )
        return Prepared(picture, Geometry(width, height, inner_width / width, inner_height / height, left, top))

    def infer(self, prepared: Sequence[Prepared]) -> Iterator[np.ndarray]:  # type: ignore[override]
        """See `Predictor.infer`; one by one, because each may have its own rectangle."""
        return (self.engine.infer(one.picture[None])[0] for one in prepared)

    def stream(self, batches: Iterable[tuple[Tag, Sequence[Prepared]]]) -> Iterator[tuple[Tag, Iterator[np.ndarray]]]:
        """See `Predictor.stream`."""
        return one_by_one(self.infer, batches)


def rectangles(sizes: Sequence[tuple[int, int]], side: int) -> dict[tuple[int, int], tuple[int, int]]:
    """The input that Ultralytics' `val` gives pictures.

    Args:
        sizes: Width and height of each picture in pixels.
        side: Of the model's input.

    Returns:
        For each size the rows and columns of the input, both multiples of 32. Where pictures of one size fall into two
        batches, those of the first.
    """
    ordered = sorted(sizes, key=lambda size: size[1] / size[0])
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for start in range(0, len(ordered), _BATCH):
        batch = ordered[start : start + _BATCH]
        low, high = (batch[end][1] / batch[end][0] for end in (0, -1))
        shape = (high, 1.0) if high < 1 else (1.0, 1 / low) if low > 1 else (1.0, 1.0)
        rows, columns = (int(np.ceil(part * side / _STRIDE + _MARGIN)) * _STRIDE for part in shape)
        for size in batch:
            found.setdefault(size, (rows, columns))
    return found


def _sizes(items: Iterable[Item]) -> Iterator[tuple[int, int]]:
    for item in items:
        try:
            info = inspect_image(item.image)
        except ImageError:  # it is left out when its turn comes
            continue
        yield info.width, info.height
