"""The gradient of a class's score at a layer inside the network, on TensorFlow and on torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

CLASSES_LAYER = "head_classes"


@dataclass(frozen=True)
class ClassGradients:
    """What one batch of pictures gave.

    Attributes:
        probability: float32 `(n, classes)`, before calibration.
        class_id: int64 `(n,)`, the class whose score was followed.
        features: float32 `(n, h, w, channels)`, the layer's output.
        gradients: Of the same shape: of each picture's logit of its class.
    """

    probability: np.ndarray
    class_id: np.ndarray
    features: np.ndarray
    gradients: np.ndarray


class GradientProbe:
    """Runs a classifier and follows one class's logit back to a layer.

    Args:
        model: From `build_classifier`.
        layer: Name of a layer with an output `(n, h, w, channels)`.
        scope: The device in Keras' words, as `import_keras` gave it.
    """

    def __init__(self, model: Any, layer: str, scope: str) -> None:
        import keras

        self._keras, self._scope = keras, scope
        last = model.get_layer(CLASSES_LAYER)
        self._kernel, self._bias = last.kernel, last.bias
        # The input of the last layer, not its output: that one has gone through the softmax.
        self._parts = keras.Model(model.input, [model.get_layer(layer).output, last.input])

    def run(self, rgb: np.ndarray, class_id: int | None) -> ClassGradients:
        """Follow a class's logit.

        Args:
            rgb: float32 `(n, h, w, 3)`, 0..255.
            class_id: The class; None takes each picture's most probable one.
        """
        follow = _on_torch if self._keras.backend.backend() == "torch" else _on_tensorflow
        with self._keras.device(self._scope):
            features, logits, gradients, chosen = follow(self._forward, rgb, class_id)
            probability = self._keras.ops.softmax(logits, axis=-1)
        parts = (probability, features, gradients)
        numbers = [np.asarray(self._keras.ops.convert_to_numpy(part), np.float32) for part in parts]
        return ClassGradients(numbers[0], chosen, numbers[1], numbers[2])

    def _forward(self, rgb: Any) -> tuple[Any, Any]:
        features, last = self._parts(rgb, training=False)
        return features, self._keras.ops.matmul(last, self._kernel) + self._bias


def _on_tensorflow(forward: Any, rgb: np.ndarray, class_id: int | None) -> tuple[Any, Any, Any, np.ndarray]:
    import tensorflow

    inputs = tensorflow.convert_to_tensor(rgb)
    # Weights are not watched: they keep out of the tape what comes before nothing that is asked for.
    with tensorflow.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        features, logits = forward(inputs)
        chosen = _chosen(logits.numpy(), class_id)
        total = tensorflow.reduce_sum(tensorflow.gather(logits, chosen, batch_dims=1))
    return features, logits, tape.gradient(total, features), chosen


def _on_torch(forward: Any, rgb: np.ndarray, class_id: int | None) -> tuple[Any, Any, Any, np.ndarray]:
    import keras
    import torch

    with torch.enable_grad():
        # Without this a frozen network would keep no way back.
        inputs: Any = keras.ops.convert_to_tensor(rgb)
        features, logits = forward(inputs.requires_grad_())
        chosen = _chosen(logits.detach().cpu().numpy(), class_id)
        rows = torch.arange(len(chosen), device=logits.device)
        total = logits[rows, torch.from_numpy(chosen).to(logits.device)].sum()
        (gradients,) = torch.autograd.grad(total, features)
    return features.detach(), logits.detach(), gradients, chosen


def _chosen(logits: np.ndarray, class_id: int | None) -> np.ndarray:
    if class_id is None:
        return logits.argmax(axis=1).astype(np.int64)
    return np.full(len(logits), class_id, np.int64)
