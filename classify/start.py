"""What a fine-tuning starts from: the model, with the weights that the person chose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import NotFoundError
from ..core.progress import say, warn
from ..weights.architecture import base_layers, build_classifier, first_unfrozen
from ..weights.backbones import Backbone, find_backbone
from ..weights.bundle import ClassifierRecord, Preprocessing
from ..weights.imagenet import imagenet_weights
from ..weights.keras_files import load_layers

if TYPE_CHECKING:
    from .config import FinetuneConfig


def build_model(config: FinetuneConfig, preprocessing: Preprocessing, classes: int) -> tuple[Any, str]:
    """The model with the backbone's weights loaded, and the first layer to unfreeze; fails before any picture is read.

    Raises:
        UsageError: the layer to unfreeze from is not there.
        NotFoundError: the weights file is not there.
        DataError: the weights file does not fit.
        LensmithError: the ImageNet weights cannot be fetched.
    """
    backbone = find_backbone(config.backbone)
    record = ClassifierRecord(
        backbone=config.backbone, units=config.units, dropout=config.dropout, pooling=config.pooling,
        activation=config.activation,
    )  # fmt: skip
    model = build_classifier(record, preprocessing.width, preprocessing.height, classes)
    layers = base_layers(model)
    layer = first_unfrozen(layers, backbone, config.unfreeze or backbone.unfreeze)
    path = _weights_file(config, backbone)
    if path is None:
        warn(_about_random_weights(model))
        return model, layer
    loaded = load_layers(layers, path)
    total = len(loaded.layers) + len(loaded.missing)
    say(f"weights: {len(loaded.layers)} of {total} layers of {backbone.name} loaded from {path.name}")
    if loaded.missing:
        named = ", ".join(loaded.missing[:5]) + (", ..." if len(loaded.missing) > 5 else "")
        warn(f"these layers are not in the file and start from random weights: {named}")
    return model, layer


def _about_random_weights(model: Any) -> str:
    import keras

    what = (
        "--weights none starts from random weights: the frozen stage builds on random features and learns little "
        "(--epochs-frozen 0 skips it)"
    )
    if any(isinstance(layer, keras.layers.BatchNormalization) for layer in base_layers(model)):
        what += "; this backbone's BatchNormalization keeps the statistics it starts with, so expect little at all"
    return what


def _weights_file(config: FinetuneConfig, backbone: Backbone) -> Path | None:
    if config.weights == "none":
        return None
    if config.weights == "imagenet":
        path = imagenet_weights(backbone)
        licence = backbone.weights.licence if backbone.weights else "none"
        say(f"ImageNet weights of {backbone.name}; licence: {licence}")
        return path
    path = Path(config.weights).expanduser()
    if not path.is_file():
        raise NotFoundError(
            "There is no such weights file.", where=path, next_step="--weights takes imagenet, none, or a file"
        )
    return path
