"""Keras models as other people make and save them, to load weights from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lensmith.weights.architecture import build_classifier, import_keras
from lensmith.weights.bundle import Activation, ClassifierRecord


def build(backbone: str, size: int, *, learn_statistics: bool = False, activation: Activation = "leaky_relu") -> Any:
    """A small classifier of two classes with random weights."""
    import_keras("cpu")
    record = ClassifierRecord(backbone=backbone, units=8, dropout=0.2, activation=activation)
    return build_classifier(record, size, size, 2, learn_statistics=learn_statistics)


def stir(model: Any) -> Any:
    """Give scales, offsets and statistics values of their own; freshly built they are all 0 or 1."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "seed" not in weight.path and len(weight.shape) == 1:
            positive = weight.name in {"gamma", "moving_variance"}
            low, high = (0.5, 1.5) if positive else (-0.1, 0.1)
            weight.assign(rng.uniform(low, high, weight.shape))
    return model


def save_as_keras_1(path: Path, base: Any) -> Path:
    """A file in the layout and with the names of Keras 1."""
    import h5py

    layers = [layer for layer in base.layers if layer.weights]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [f"convolution2d_{i}".encode() for i in range(len(layers))]
        for number, layer in enumerate(layers):
            group = file.create_group(f"convolution2d_{number}")
            group.attrs["weight_names"] = [f"w{i}".encode() for i in range(len(layer.weights))]
            for i, value in enumerate(layer.get_weights()):
                group[f"w{i}"] = value
    return path


def hollow_file(path: Path, layers: Mapping[str, Sequence[tuple[int, ...]]]) -> Path:
    """A small file that holds layers of these shapes, all zero: as Keras 3 writes ".weights.h5", or as Keras 2 did."""
    import h5py

    with h5py.File(path, "w") as file:
        current = path.name.endswith(".weights.h5")
        if not current:
            file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, shapes in layers.items():
            group = file.create_group(f"layers/{name}/vars" if current else name)
            if current:
                group.attrs["name"] = name
            else:
                group.attrs["weight_names"] = [str(i).encode() for i in range(len(shapes))]
            for i, shape in enumerate(shapes):
                group.create_dataset(str(i), shape, "f4")
    return path
