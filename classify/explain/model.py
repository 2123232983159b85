"""A classifier that says where it looked, for the one predict loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.device import told_when_memory_is_full
from ...core.errors import UsageError
from ...predict.decode import decode_scores
from ...predict.engines.base import Tag, one_by_one
from ...predict.engines.choose import open_engine
from ...predict.engines.keras import KerasEngine, as_rgb
from ...predict.model import Model, Prepared
from ...predict.results import Scores
from ...weights.bundle import Bundle, ClassifierRecord
from .cam import Method, activation_maps
from .gradients import GradientProbe
from .layers import find_layer

# A backward pass keeps every activation of its batch: of VGG16 some 25 numbers of 32 bits for each input number.
_BATCH_PIXELS = 8 * 224 * 224
_Raw = tuple[np.ndarray, int, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained(Scores):
    """A classifier's answer with where it looked.

    Attributes:
        explained: The class id that the map is about.
        heat: float32 `(h, w)` at the layer's size, 0..1: what speaks for that class, the strongest place 1. All 0
            where nothing does.
        prepared: The model's input for this picture, and how the picture lies in it.
    """

    explained: int
    heat: np.ndarray
    prepared: Prepared


class ExplainingModel:
    """A classifier on Keras that explains each answer, see `predict.model.Predictor`.

    Args:
        bundle: A classifier's bundle with its Keras weights.
        method: "gradcam" or "gradcam++".
        layer: As in `layers.find_layer`.
        class_name: Which class to explain; None takes each picture's most probable one.
        device: As in `core.device.parse_device`.

    Raises:
        UsageError: it is a detector, or there is no such layer, class or device.
        MissingExtraError: Keras is not installed.
        DataError: the bundle cannot be used, or Keras gives other results than it must give.
    """

    def __init__(
        self, bundle: Bundle, *, method: Method = "gradcam", layer: str | None = None, class_name: str | None = None,
        device: str = "auto",
    ) -> None:  # fmt: skip
        self.record = _classifier(bundle)
        self._class_id = _class_id(bundle, class_name)
        engine = open_engine(bundle, engine="keras", device=device)
        if not isinstance(engine, KerasEngine):
            raise UsageError("Only a model of Keras can be explained.", where="--weights")
        self.bundle, self.keras_model = bundle, engine.model
        self._method: Method = method
        self._one = Model(bundle, engine)
        self.layer = find_layer(engine.model, self.record, layer)
        self.scope = engine.scope
        self._probe = GradientProbe(engine.model, self.layer, engine.scope)
        size = bundle.record.preprocessing
        self.name, self.names, self.dataset = self._one.name, self._one.names, self._one.dataset
        self.engine_name, self.device = self._one.engine_name, self._one.device
        self.batch = min(max(_BATCH_PIXELS // (size.width * size.height), 1), 32)

    def prepare(self, bgr: np.ndarray) -> Prepared:
        """See `Predictor.prepare`."""
        return self._one.prepare(bgr)

    def infer(self, prepared: Sequence[Prepared]) -> Iterator[_Raw]:
        """See `Predictor.infer`; for each picture its probabilities, the class explained, and the map."""
        with told_when_memory_is_full("close other programs, or use --device cpu"):
            found = self._probe.run(as_rgb(np.stack([one.picture for one in prepared])), self._class_id)
        maps = activation_maps(found.features, found.gradients, self._method)
        highest = maps.max(axis=(1, 2), keepdims=True)
        heat = np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)
        return zip(found.probability, found.class_id.tolist(), heat, strict=True)

    def stream(self, batches: Iterable[tuple[Tag, Sequence[Prepared]]]) -> Iterator[tuple[Tag, Iterator[_Raw]]]:
        """See `Predictor.stream`."""
        return one_by_one(self.infer, batches)

    def decode(self, raw: _Raw, prepared: Prepared, confidence: float | None) -> Explained:
        """See `Predictor.decode`."""
        probability, explained, heat = raw
        scores = decode_scores(probability, self.bundle.record, confidence)
        return Explained(scores.probability, scores.threshold, explained=explained, heat=heat, prepared=prepared)


def _classifier(bundle: Bundle) -> ClassifierRecord:
    if bundle.record.classifier is None:
        raise UsageError(
            f"'{bundle.name}' is a detector; cv explain shows what a classifier looks at.",
            where="--weights",
            next_step=f"a detector's boxes say where it looks: cv predict SOURCE --weights {bundle.name} --save",
        )
    return bundle.record.classifier


def _class_id(bundle: Bundle, name: str | None) -> int | None:
    if name is None:
        return None
    if name not in bundle.record.names:
        raise UsageError(
            f"'{bundle.name}' knows no class called '{name}'.",
            where="--class",
            next_step=f"use one of: {', '.join(bundle.record.names)}",
        )
    return bundle.record.names.index(name)
