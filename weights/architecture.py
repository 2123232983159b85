"""From a classifier's record to its graph: the same record always gives the same layers under the same names.

    rgb (float32 RGB 0..255) -> prepare -> backbone -> head_pool (-> head_norm) -> head_dropout_1 -> head_hidden
        -> head_activation -> head_dropout_2 -> head_classes (probabilities)

The graph is flat and made of Keras' own layers only (see `flat`). Scaling and channel order are part of it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from ..core.device import keras_backend, parse_device, resolve_device
from ..core.errors import LensmithError, UsageError
from ..core.isolation import isolate_keras
from .backbones import Backbone, find_backbone
from .bundle import Activation, ClassifierRecord
from .flat import MOMENTUM, flatten
from .keras_files import MAX_BYTES

HEAD_NORM = "head_norm"
# Caffe's mean of ImageNet in BGR, which Keras' VGG16 weights were trained with.
_IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
# Mean and deviation of ImageNet in RGB 0..255.
_IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
_IMAGENET_DEVIATION = (0.229 * 255, 0.224 * 255, 0.225 * 255)
_BYTES = 4  # of a number
_ROOM_FOR_NAMES = 16 << 20  # what a file holds beside its numbers
_SMALL_NETWORK_FILTERS = (32, 64, 128, 256, 256)


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


def build_classifier(
    record: ClassifierRecord, width: int, height: int, classes: int, *, learn_statistics: bool = False
) -> Any:
    """Build the graph with fresh random weights; Keras must have been imported by `import_keras`.

    Args:
        record: The classifier's record.
        width: The input's width in pixels.
        height: The input's height in pixels.
        classes: How many classes there are.
        learn_statistics: Let the backbone's BatchNormalization learn its statistics, and its Dropout act, while the
            model is trained, as a backbone needs that starts from random weights. Names, weights and what the model
            answers are the same either way.

    Returns:
        A `keras.Model` from float32 RGB 0..255 `(n, height, width, 3)` to float32 probabilities `(n, classes)`.

    Raises:
        UsageError: an unknown backbone, an input smaller than it can take, or a larger model than can be read again.
    """
    import keras

    backbone = find_backbone(record.backbone)
    if min(width, height) < backbone.smallest_size:
        raise UsageError(
            f"{backbone.name} needs pictures of {backbone.smallest_size} pixels or more, not {min(width, height)}.",
            where="--imgsz",
        )
    rgb = keras.Input((height, width, 3), name="rgb")
    x = _base(_prepare(rgb, backbone), backbone)
    pool = keras.layers.GlobalAveragePooling2D if record.pooling == "average" else keras.layers.Flatten
    x = pool(name="head_pool")(x)
    if record.normalize:
        x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=HEAD_NORM)(x)
    _need_readable_size(keras.Model(rgb, x).count_params() + (int(x.shape[-1]) + 1) * record.units, record)
    x = keras.layers.Dropout(record.dropout, name="head_dropout_1")(x)
    x = keras.layers.Dense(record.units, name="head_hidden")(x)
    x = _activation(record.activation)(x)
    x = keras.layers.Dropout(record.dropout, name="head_dropout_2")(x)
    x = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="head_classes")(x)
    return flatten(keras.Model(rgb, x, name=record.backbone), learn_statistics=learn_statistics)


def _need_readable_size(parameters: int, record: ClassifierRecord) -> None:
    """Before so large a layer is made, and not when the finished model cannot be read again."""
    if parameters * _BYTES > MAX_BYTES - _ROOM_FOR_NAMES:
        smaller = "fewer --units" if record.pooling == "average" else "--pooling average, or fewer --units"
        raise UsageError(
            f"This model would have {parameters / 1e6:.0f} million numbers, {parameters * _BYTES / 1e9:.1f} GB;"
            f" {MAX_BYTES / 1e9:.1f} GB are the most that is read.",
            where="--units",
            next_step=f"use {smaller}, or a smaller --imgsz",
        )


def _base(x: Any, backbone: Backbone) -> Any:
    """The backbone's last feature map, as `keras.applications` builds it, or of our own small network."""
    import keras

    if backbone.builder is None:
        return _small_network(x)
    builder = getattr(keras.applications, backbone.builder)
    options = {"include_preprocessing": False} if backbone.prepares_itself else {}
    return builder(weights=None, include_top=False, input_tensor=x, input_shape=tuple(x.shape[1:]), **options).output


def _small_network(x: Any) -> Any:
    """Five blocks of convolution, BatchNormalization and ReLU, each on half the side of the one before."""
    import keras

    for number, filters in enumerate(_SMALL_NETWORK_FILTERS, start=1):
        if number > 1:
            x = keras.layers.MaxPooling2D(2, padding="same", name=f"block{number - 1}_pool")(x)
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"block{number}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"block{number}_bn")(x)
        x = keras.layers.ReLU(name=f"block{number}_relu")(x)
    return x


def _activation(name: Activation) -> Any:
    import keras

    if name == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=0.1, name="head_activation")
    return keras.layers.Activation(name, name="head_activation")


def base_layers(model: Any) -> list[Any]:
    """The backbone's layers in order: without input, preparation and head."""
    own = {"rgb", "prepare"}
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
    if spec.removeprefix("-").isdigit():
        raise UsageError(
            f"{backbone.name} has {len(blocks)} blocks, so {spec} of them cannot be unfrozen.",
            where="--unfreeze",
            next_step=f"give a number from 1 to {len(blocks)}, or all",
        )
    near = get_close_matches(spec, blocks, n=1, cutoff=0.5) or get_close_matches(spec, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? Its blocks are" if near else "give one of its blocks,"
    raise UsageError(
        f"{backbone.name} has no block or layer called '{spec}'.",
        where="--unfreeze",
        next_step=f"{hint} {', '.join(blocks)}; a number of blocks from 1 to {len(blocks)}, or all, will do as well",
    )


def _prepare(rgb: Any, backbone: Backbone) -> Any:
    """Scaling and channel order as the backbone's ImageNet weights want them."""
    import keras

    # Keras takes one number for each channel, too, though it says float.
    scale: Any = 1 / 127.5
    offset: Any = -1.0
    if backbone.pixels == "caffe":
        rgb = keras.ops.take(rgb, [2, 1, 0], axis=-1)
        scale, offset = 1.0, [-value for value in _IMAGENET_MEAN_BGR]
    elif backbone.pixels == "standard":
        scale = [1 / deviation for deviation in _IMAGENET_DEVIATION]
        offset = [-mean / deviation for mean, deviation in zip(_IMAGENET_MEAN, _IMAGENET_DEVIATION, strict=True)]
    # In 32 bits even where the rest has 16: a pixel less a mean does not fit into 8 bits of mantissa.
    return keras.layers.Rescaling(scale, offset=offset, dtype="float32", name="prepare")(rgb)


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
