"""Features computed by Keras itself: on a GPU, and where OpenVINO is missing or gives something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from ...core.device import free_memory, is_memory_full
from ...core.progress import warn
from ...predict.engines.keras import as_rgb

_BATCH_CPU = 8
_BATCH_GPU = 64
Tag = TypeVar("Tag")


class KerasFeatures:
    """A part of a network run by Keras itself. See `FeatureEngine`.

    Args:
        trunk: A `keras.Model` from pictures, or from activations, to activations.
        half: Compute in 16 bits where the GPU can; nothing changes on a CPU.
    """

    def __init__(self, trunk: Any, half: bool) -> None:
        self._trunk = trunk
        self._gpu = gpu_in_use()
        self._half = half and self._gpu is not None
        self.name = "keras half" if self._half else "keras"
        self.batch = _BATCH_GPU if self._gpu else _BATCH_CPU

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """See `FeatureEngine.stream`. Where the memory does not suffice for a batch, it is halved from there on."""
        for tag, inputs in batches:
            done: list[np.ndarray] = []
            start = 0
            while start < len(inputs):
                part = inputs[start : start + self.batch]
                output = self._tried(part)
                if output is None:
                    self._take_fewer(len(part))
                    continue
                done.append(output)
                start += len(part)
            yield tag, np.concatenate(done)

    def _tried(self, inputs: np.ndarray) -> np.ndarray | None:
        """What the network gives, or None where the memory does not suffice and fewer may do."""
        try:
            return self._run(inputs) if self._gpu is None else self._run_torch(inputs, self._gpu)
        except Exception as error:
            if not is_memory_full(error) or len(inputs) == 1:
                raise
            return None

    def _take_fewer(self, tried: int) -> None:
        self.batch = tried // 2
        warn(f"the memory does not suffice for {tried} pictures at once: features are computed {self.batch} at a time")
        free_memory()  # what the failed try held

    def _run(self, inputs: np.ndarray) -> np.ndarray:
        return np.asarray(self._trunk.predict_on_batch(as_input(inputs)), np.float32)

    def _run_torch(self, inputs: np.ndarray, device: str) -> np.ndarray:
        import torch

        # Channels last is what the pictures and Keras' layers have; 8 bits cross the bus.
        if inputs.dtype == np.uint8:
            inputs = np.ascontiguousarray(inputs[..., ::-1])
        x = torch.from_numpy(inputs).to(device, non_blocking=True).float()
        with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=self._half):
            return self._trunk(x, training=False).float().cpu().numpy()


def as_input(inputs: np.ndarray) -> np.ndarray:
    """uint8 BGR pictures as the float32 RGB that our models take; activations as they are."""
    return as_rgb(inputs) if inputs.dtype == np.uint8 else inputs


def in_32_bits(model: Any) -> Any:
    """The model, or a copy of it with the same weights where its layers compute in fewer bits.

    On a GPU the model that is trained has a mixed policy: in what it gives, only some bits are right.
    """
    import keras

    if all(layer.dtype_policy.name == "float32" for layer in model.layers):
        return model

    def clone(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    given = keras.Input(model.inputs[0].shape[1:], dtype="float32")
    copy = keras.models.clone_model(model, input_tensors=given, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def gpu_in_use() -> str | None:
    """The GPU that Keras computes on, in torch's words: "cuda:0"; None on a CPU."""
    import keras

    if keras.backend.backend() != "torch":
        return None
    from keras.src.backend.torch.core import get_device

    device = str(get_device())
    return device if device.startswith("cuda") else None
