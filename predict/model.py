"""What the predict loop runs: one bundle on its engine. Several as one are in `ensemble.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..core.manifest import DatasetRef
from ..weights.bundle import Bundle
from .decode import decode_detections, decode_scores
from .engines.base import Engine, Tag
from .engines.choose import open_engine
from .prepare import Geometry, fit
from .results import Detections, Scores


class Predictor(Protocol):
    """Anything that answers for pictures. The loop passes on what `prepare` and `infer` give without looking into it.

    Attributes:
        name: What it is called in messages and in names of windows and runs.
        names: The class names; class ids are places in it.
        engine_name: The library that runs it: "onnxruntime".
        device: "cpu", "cuda:0".
        batch: How many pictures it likes to get at once.
        dataset: The data that it was made from, None when nobody knows.
    """

    name: str
    names: tuple[str, ...]
    engine_name: str
    device: str
    batch: int
    dataset: DatasetRef | None

    def prepare(self, bgr: np.ndarray) -> Any:
        """A picture, uint8 BGR `(h, w, 3)` of any size, made ready for the model. Called from several threads."""
        ...

    def infer(self, prepared: Sequence[Any]) -> Iterable[Any]:
        """The model's raw answer for each of these pictures."""
        ...

    def stream(self, batches: Iterable[tuple[Tag, Sequence[Any]]]) -> Iterator[tuple[Tag, Iterable[Any]]]:
        """`infer` for batch after batch, which may work on one while the next ones are fetched.

        Args:
            batches: What comes back with the answers, and up to `batch` prepared pictures.

        Yields:
            For each what `infer` would give, in their order. An error in `batches` surfaces here.
        """
        ...

    def decode(self, raw: Any, prepared: Any, confidence: float | None) -> Detections | Scores:
        """What a raw answer means.

        Args:
            raw: One answer of `infer`.
            prepared: What `prepare` gave for the same picture.
            confidence: As in `predict_frames`.

        Raises:
            DataError: the model's output does not fit its record.
        """
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture at a model's input size, uint8 BGR `(height, width, 3)`, and the way back to the original."""

    picture: np.ndarray
    geometry: Geometry


class Model:
    """One bundle on an engine, see `Predictor`.

    Args:
        bundle: An opened bundle.
        engine: From `open_engine` for this bundle.
        several: As in `decode_detections`.
    """

    def __init__(self, bundle: Bundle, engine: Engine, *, several: bool = False) -> None:
        self.bundle, self.engine, self._several = bundle, engine, several
        self.name = bundle.name
        self.names = bundle.record.names
        self.engine_name = engine.name
        self.device = engine.device
        self.batch = max(engine.batch, 1)
        self.dataset = bundle.record.dataset

    def prepare(self, bgr: np.ndarray) -> Prepared:
        """See `Predictor.prepare`."""
        return Prepared(*fit(bgr, self.bundle.record.preprocessing))

    def infer(self, prepared: Sequence[Prepared]) -> np.ndarray:
        """See `Predictor.infer`; float32 `(n, ...)` as the engine gives it."""
        return self.engine.infer(np.stack([one.picture for one in prepared]))

    def stream(self, batches: Iterable[tuple[Tag, Sequence[Prepared]]]) -> Iterator[tuple[Tag, Iterable[np.ndarray]]]:
        """See `Predictor.stream`."""
        return self.engine.stream((tag, np.stack([one.picture for one in batch])) for tag, batch in batches)

    def decode(self, raw: np.ndarray, prepared: Prepared, confidence: float | None) -> Detections | Scores:
        """See `Predictor.decode`."""
        record = self.bundle.record
        if record.task == "classify":
            return decode_scores(raw, record, confidence)
        return decode_detections(raw, record, prepared.geometry, confidence, several=self._several)


def open_model(bundle: Bundle, *, engine: str = "auto", device: str = "auto", live: bool = False) -> Model:
    """A bundle ready to run; arguments and errors as in `open_engine`."""
    return Model(bundle, open_engine(bundle, engine=engine, device=device, live=live))
