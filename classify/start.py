"""What a fine-tuning starts from: the model, with the weights that the person chose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import NotFoundError
from ..core.progress import say, warn
from ..core.words import some
from ..weights.architecture import base_layers, build_classifier, first_unfrozen
from ..weights.backbones import Backbone, find_backbone
from ..weights.bundle import Preprocessing
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
    model = build_classifier(
        config.record(), preprocessing.width, preprocessing.height, classes, learn_statistics=config.from_scratch
    )
    layers = base_layers(model)
    layer = first_unfrozen(layers, backbone, config.unfreeze or backbone.unfreeze)
    path = _weights_file(config, backbone)
    if path is None:
        _tell_of_random_weights(config, layer == layers[0].name)
        return model, layer
    loaded = load_layers(layers, path)
    total = len(loaded.layers) + len(loaded.missing)
    say(f"weights: {len(loaded.layers)} of {total} layers of {backbone.name} loaded from {path.name}")
    if loaded.missing:
        warn(f"these layers are not in the file and start from random weights: {some(loaded.missing)}")
    return model, layer


def _tell_of_random_weights(config: FinetuneConfig, everything_learns: bool) -> None:
    say(f"{config.backbone} starts from random weights and learns from these pictures alone")
    if config.epochs_frozen:
        warn("the frozen stage builds on random features and learns little; --epochs-frozen 0 skips it")
    if not everything_learns:
        warn("what stays frozen keeps its random weights; --unfreeze all lets everything learn")


def _weights_file(config: FinetuneConfig, backbone: Backbone) -> Path | None:
    if config.from_scratch:
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
