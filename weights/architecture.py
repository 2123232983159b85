"""From a classifier's record to its graph: the same record always gives the same layers under the same names.

    rgb (float32 RGB 0..255) -> prepare -> backbone -> head_pool -> head_dropout_1 -> head_hidden
        -> head_activation -> head_dropout_2 -> head_classes (probabilities)

The graph is flat, made of Keras' own layers only, and the backbone's layers are called with `training=False`, so that
BatchNormalization uses its stored statistics whatever is fine-tuned. Scaling and channel order are layers too.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..core.device import keras_backend, parse_device, resolve_device
from ..core.errors import LensmithError, UsageError
from ..core.isolation import isolate_keras
from .backbones import Backbone, find_backbone
from .bundle import Activation, ClassifierRecord

# Caffe's mean of ImageNet in BGR, which Keras' VGG16 weights were trained with.
_IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
# Layers to which Keras gave a number instead of a name: "conv2d_7". The number depends on what was built before.
_NUMBERED = re.compile(r"^(add|batch_normalization|conv2d|convert_to_tensor|take)(_\d+)?$")


def import_keras(device: str) -> tuple[Any, str]:
    """Import Keras on the backend that suits the device.

    Args:
        device: As in `core.device.parse_device`.

    Returns:
        The module `keras`, and the device in Keras' words: "cpu", "gpu:0".

    Raises:
        UsageError: a GPU that torch does not see, or more than one.
        LensmithError: this process already runs Keras on another backend.
    """
    backend = keras_backend(device)
    wanted = parse_device(device)
    resolved = resolve_device(device) if isinstance(wanted, tuple) or backend != "tensorflow" else "cpu"
    if isinstance(resolved, tuple) and backend == "tensorflow":
        raise UsageError(
            "Keras is set to TensorFlow here (KERAS_BACKEND), which Lensmith uses on the CPU alone.",
            where="--device",
            next_step="unset KERAS_BACKEND to use the GPU through torch, or use --device cpu",
        )
    if isinstance(resolved, tuple) and len(resolved) > 1:
        raise UsageError("A classifier uses one GPU.", where="--device", next_step="give one number, such as 0")
    with _quiet_start(backend):
        import keras

        if backend == "torch":  # Keras imports TensorFlow at its first chance merely because it is there
            from keras.src.utils import module_utils

            module_utils.tensorflow._available = False
    if keras.backend.backend() != backend:
        raise LensmithError(
            f"Keras runs on {keras.backend.backend()} in this process already, and {backend} is needed.",
            next_step="use a new process for the other device",
        )
    return keras, f"gpu:{next(iter(resolved))}" if isinstance(resolved, tuple) else "cpu"


def build_classifier(record: ClassifierRecord, width: int, height: int, classes: int) -> Any:
    """Build the graph with fresh random weights; Keras must have been imported by `import_keras`.

    Args:
        record: The classifier's record.
        width: The input's width in pixels.
        height: The input's height in pixels.
        classes: How many classes there are.

    Returns:
        A `keras.Model` from float32 RGB 0..255 `(n, height, width, 3)` to float32 probabilities `(n, classes)`.

    Raises:
        UsageError: an unknown backbone, or an input smaller than it can take.
    """
    import keras

    backbone = find_backbone(record.backbone)
    if min(width, height) < backbone.smallest_size:
        raise UsageError(
            f"{backbone.name} needs pictures of {backbone.smallest_size} pixels or more, not {min(width, height)}.",
            where="--imgsz",
        )
    rgb = keras.Input((height, width, 3), name="rgb")
    build_base = getattr(keras.applications, str(backbone.builder))
    base = build_base(weights=None, include_top=False, input_shape=(height, width, 3))
    # `call` runs the backbone's layers one by one in this graph; calling it whole would nest it as a single layer.
    x = base.call(_prepare(rgb, backbone), training=False)
    pool = keras.layers.GlobalAveragePooling2D if record.pooling == "average" else keras.layers.Flatten
    x = pool(name="head_pool")(x)
    x = keras.layers.Dropout(record.dropout, name="head_dropout_1")(x)
    x = keras.layers.Dense(record.units, name="head_hidden")(x)
    x = _activation(record.activation)(x)
    x = keras.layers.Dropout(record.dropout, name="head_dropout_2")(x)
    x = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="head_classes")(x)
    config = keras.Model(rgb, x, name=record.backbone).get_config()
    names = stable_names([layer["config"]["name"] for layer in config["layers"]])
    return keras.Model.from_config(_rename(config, names))


def _activation(name: Activation) -> Any:
    import keras

    if name == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=0.1, name="head_activation")
    return keras.layers.Activation(name, name="head_activation")


def base_layers(model: Any) -> list[Any]:
    """The backbone's layers in order: without input, preparation and head."""
    own = {"rgb", "prepare", "take", "convert_to_tensor"}
    return [layer for layer in model.layers if layer.name not in own and not layer.name.startswith("head_")]


def first_unfrozen(layers: Sequence[Any], backbone: Backbone, spec: str) -> str:
    """The first layer of a backbone that fine-tuning changes.

    Args:
        layers: From `base_layers`.
        backbone: Whose layers they are.
        spec: A block ("block5"), a layer, a number of blocks from the end ("2"), or "all".

    Raises:
        UsageError: there is no such block or layer, or not so many blocks; those that there are are named.
    """
    blocks = {block.name: block.first for block in backbone.blocks}
    names = [layer.name for layer in layers]
    if spec == "all":
        return names[0]
    if spec.isdigit() and 0 < int(spec) <= len(backbone.blocks):
        return backbone.blocks[-int(spec)].first
    if spec in blocks:
        return blocks[spec]
    if spec in names:
        return spec
    offered = ", ".join(blocks)
    raise UsageError(
        f"{backbone.name} has no block or layer called '{spec}'.",
        where="--unfreeze",
        next_step=f"use a number of blocks from 1 to {len(blocks)}, all, one of {offered}, or a layer's name; "
        f"layers with weights: {', '.join(layer.name for layer in layers if layer.weights)}",
    )


def stable_names(names: list[str]) -> dict[str, str]:
    """New names for the layers that Keras numbered: counted from 0 within each kind, in the order of the numbers."""
    numbered: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if match := _NUMBERED.match(name):
            numbered.setdefault(match[1], []).append((int((match[2] or "_0")[1:]), name))
    return {
        name: kind if rank == 0 else f"{kind}_{rank}"
        for kind, members in numbered.items()
        for rank, (_, name) in enumerate(sorted(members))
    }


def _prepare(rgb: Any, backbone: Backbone) -> Any:
    import keras

    if backbone.pixels == "centred":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="prepare")(rgb)
    mean: Any = [-value for value in _IMAGENET_MEAN_BGR]  # Keras takes a list too, though it says float
    bgr = keras.ops.take(rgb, [2, 1, 0], axis=-1)
    return keras.layers.Rescaling(1.0, offset=mean, name="prepare")(bgr)


def _rename(value: Any, names: dict[str, str]) -> Any:
    """A copy of a model's configuration in which layers go by other names; class names and the like stay."""
    if isinstance(value, dict):
        return {
            key: names.get(part, part) if key == "name" and isinstance(part, str) else _rename(part, names)
            for key, part in value.items()
            if key != "keras_history"
        } | ({"keras_history": _rename_history(value["keras_history"], names)} if "keras_history" in value else {})
    if isinstance(value, (list, tuple)):
        return type(value)(_rename(part, names) for part in value)
    return value


def _rename_history(history: Any, names: dict[str, str]) -> Any:
    return type(history)([names.get(history[0], history[0]), *history[1:]])


@contextmanager
def _quiet_start(backend: str) -> Iterator[None]:
    """Keep TensorFlow's C++ start-up remarks off the screen; they come before any log level counts.

    What it wrote is shown if the import fails.
    """
    isolate_keras(backend)
    if "keras" in sys.modules or backend != "tensorflow":
        yield
        return
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except BaseException:
            hidden.seek(0)
            os.write(screen, hidden.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
