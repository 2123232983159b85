"""The interface of an engine."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Engine(Protocol):
    """A loaded model.

    Attributes:
        name: "onnxruntime", "ultralytics", "keras".
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
