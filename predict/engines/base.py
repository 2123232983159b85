"""The interface of an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np

Tag = TypeVar("Tag")
_Batch = TypeVar("_Batch")
_Answers = TypeVar("_Answers")


class Engine(Protocol):
    """A loaded model.

    Attributes:
        name: "openvino", "onnxruntime", "ultralytics", "keras", "tensorrt".
        device: "cpu", "cuda:0".
        batch: How many pictures it likes to get at once.
    """

    name: str
    device: str
    batch: int

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """Run the model.

        Args:
            pictures: uint8 BGR `(n, h, w, 3)` at the bundle's input size.

        Returns:
            float32. For a classifier `(n, classes)` probabilities; for a detector what `DetectorRecord.output` says.
        """
        ...

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """Run the model on batch after batch; it may work on one while the next ones are fetched.

        Args:
            batches: What comes back with the answers, and pictures as `infer` takes them, up to `batch` at once.

        Yields:
            For each what `infer` would give, in their order. An error in `batches` surfaces here.
        """
        ...


def one_by_one(
    infer: Callable[[_Batch], _Answers], batches: Iterable[tuple[Tag, _Batch]]
) -> Iterator[tuple[Tag, _Answers]]:
    """The `stream` of what works on one batch at a time."""
    for tag, batch in batches:
        yield tag, infer(batch)
