"""Keras: runs a classifier on the library it was trained with. Rebuilt from the record; the file gives weights only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ...weights.architecture import build_classifier, import_keras
from ...weights.bundle import Bundle
from ...weights.keras_files import load_all_layers
from .base import Precision, Tag, no_file, one_by_one, told_when_it_fails

NATIVE_NAME = "model.keras"
_BATCH = 16


class KerasEngine:
    """See `Engine`. TensorFlow on a CPU, torch on a GPU.

    Attributes:
        model: The Keras model, from float32 RGB 0..255 to probabilities.
        scope: The device in Keras' words.

    Args:
        bundle: A classifier's bundle.
        device: As in `core.device.parse_device`.

    Raises:
        UsageError: a GPU was asked for that torch does not see.
        DataError: the bundle holds no Keras classifier, or its weights do not fit its record.
    """

    name = "keras"
    precision: Precision = "f32"

    def __init__(self, bundle: Bundle, device: str = "auto") -> None:
        record, path = bundle.record, bundle.file(NATIVE_NAME)
        if record.classifier is None or path is None:
            raise no_file(bundle, NATIVE_NAME)
        self._keras, self.scope = import_keras(device)
        self.device = "cpu" if self.scope.startswith("cpu") else self.scope.replace("gpu", "cuda")
        self.batch = _BATCH
        size = record.preprocessing
        with self._keras.device(self.scope):
            self.model = build_classifier(record.classifier, size.width, size.height, len(record.names))
            load_all_layers(self.model, path)

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """See `Engine.infer`."""
        with told_when_it_fails("Keras"), self._keras.device(self.scope):
            return predict_probabilities(self.model, pictures)

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """See `Engine.stream`."""
        return one_by_one(self.infer, batches)


def predict_probabilities(model: object, pictures: np.ndarray) -> np.ndarray:
    """Run a Keras classifier on uint8 BGR `(n, h, w, 3)`; gives float32 probabilities `(n, classes)`."""
    return np.asarray(model.predict_on_batch(as_rgb(pictures)), dtype=np.float32)  # pyright: ignore[reportAttributeAccessIssue]


def as_rgb(pictures: np.ndarray) -> np.ndarray:
    """uint8 BGR `(n, h, w, 3)` as the float32 RGB 0..255 that our Keras models take."""
    return np.ascontiguousarray(pictures[..., ::-1], dtype=np.float32)
