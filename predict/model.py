"""What the predict loop runs: one bundle on its engine. Several as one are in `ensemble.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, Protocol

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
    """A picture as large as the model takes it, uint8 BGR `(height, width, 3)`, and the way back to the original."""

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

    def infer(self, prepared: Sequence[Prepared]) -> Sequence[np.ndarray]:
        """See `Predictor.infer`; float32, as the engine gives it."""
        return [raw for row in _alike(prepared) for raw in self.engine.infer(row)]

    def stream(self, batches: Iterable[tuple[Tag, Sequence[Prepared]]]) -> Iterator[tuple[Tag, Iterable[np.ndarray]]]:
        """See `Predictor.stream`."""
        waiting: deque[_Row[Tag]] = deque()
        answers = self.engine.stream(_rows(batches, waiting))
        done: list[np.ndarray] = []
        try:
            for _, raw in answers:
                row = waiting.popleft()
                done.extend(raw)
                if row.last:
                    yield row.tag, done
                    done = []
        finally:
            close = getattr(answers, "close", None)
            if close is not None:
                close()

    def decode(self, raw: np.ndarray, prepared: Prepared, confidence: float | None) -> Detections | Scores:
        """See `Predictor.decode`."""
        record = self.bundle.record
        if record.task == "classify":
            return decode_scores(raw, record, confidence)
        return decode_detections(raw, record, prepared.geometry, confidence, several=self._several)


@dataclass(frozen=True, slots=True)
class _Row(Generic[Tag]):
    """Pictures of one size, a part of a batch or all of it, on their way through the engine."""

    tag: Tag
    last: bool


def _rows(
    batches: Iterable[tuple[Tag, Sequence[Prepared]]], waiting: deque[_Row[Tag]]
) -> Iterator[tuple[None, np.ndarray]]:
    """What an engine takes of batches: pictures of one size at a time; what each belongs to is put into `waiting`."""
    for tag, batch in batches:
        rows = _alike(batch)
        for number, row in enumerate(rows, 1):
            waiting.append(_Row(tag, number == len(rows)))
            yield None, row


def _alike(prepared: Sequence[Prepared]) -> list[np.ndarray]:
    """Neighbours of one size together: uint8 BGR `(n, h, w, 3)` each."""
    groups = groupby((one.picture for one in prepared), key=lambda picture: picture.shape)
    return [np.stack(list(group)) for _, group in groups]


def open_model(bundle: Bundle, *, engine: str = "auto", device: str = "auto", live: bool = False) -> Model:
    """A bundle ready to run; arguments and errors as in `open_engine`."""
    return Model(bundle, open_engine(bundle, engine=engine, device=device, live=live))
