"""A model cut in two gives what it gave whole, wherever it is cut."""

from typing import Any

import numpy as np
import pytest

from lensmith.classify.features.cut import cut_model
from lensmith.core.errors import UsageError
from lensmith.weights.architecture import base_layers, build_classifier, import_keras
from lensmith.weights.backbones import find_backbone
from lensmith.weights.bundle import ClassifierRecord

pytestmark = pytest.mark.keras
BACKBONES = ("vgg16", "xception", "resnet50", "mobilenetv3", "cnn")


def build(name: str, size: int = 32) -> Any:
    import_keras("cpu")
    return build_classifier(ClassifierRecord(backbone=name, units=8, dropout=0.1), size, size, 3)


def run(model: Any, x: np.ndarray) -> np.ndarray:
    return np.asarray(model(x, training=False))


@pytest.mark.parametrize("name", BACKBONES)
def test_both_parts_together_are_the_model_at_every_block(name: str) -> None:
    backbone = find_backbone(name)
    size = max(backbone.smallest_size, 32)
    model = build(name, size)
    x = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    whole = run(model, x)
    before = len(base_layers(model)) + 1
    for first in (None, *(block.first for block in reversed(backbone.blocks[1:]))):
        cut = cut_model(model, first)
        activations = run(cut.trunk, x)
        assert activations.shape[1:] == cut.shape
        assert np.abs(run(cut.top, activations) - whole).max() < 1e-5, first
        frozen = sum(bool(layer.weights) for layer in cut.trunk.layers)
        assert 0 < frozen < before, "a lower cut freezes less"
        before = frozen


def test_the_cut_lies_where_branches_set_out() -> None:
    model = build("resnet50")
    # The block adds what its first layer gets to what its last one gives.
    for first in ("conv5_block2_1_conv", "conv5_block2_2_conv", "conv5_block2_3_bn"):
        assert cut_model(model, first).layer == "conv5_block1_out"
    assert cut_model(build("vgg16"), "block5_conv2").layer == "block5_conv1"


def test_top_has_the_models_own_layers() -> None:
    model = build("cnn")
    cut = cut_model(model, "block5_conv")
    x = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    activations, before = run(cut.trunk, x), run(model, x)
    cut.top.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    cut.top.train_on_batch(activations, np.array([0, 1, 2, 0]))
    after = run(model, x)
    assert np.abs(after - before).max() > 1e-4
    assert np.abs(run(cut.top, activations) - after).max() < 1e-5


def test_where_nothing_is_frozen_the_top_is_the_model() -> None:
    model = build("cnn")
    cut = cut_model(model, "block1_conv")
    assert cut.trunk is None
    assert cut.top is model
    assert cut.shape == (32, 32, 3)
    with pytest.raises(UsageError, match="no_such"):
        cut_model(model, "no_such")
