"""Every backbone: one flat graph under stable names that answers what Keras' own function answers."""

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.core.errors import UsageError
from lensmith.weights.architecture import base_layers, build_classifier, first_unfrozen, import_keras
from lensmith.weights.backbones import BACKBONES, Backbone
from lensmith.weights.bundle import ClassifierRecord
from lensmith.weights.flat import stable_names
from lensmith.weights.keras_files import load_layers
from tests.weights.keras_models import build, save_as_keras_1, stir

pytestmark = pytest.mark.keras

QUICK = ("vgg16", "mobilenetv3", "cnn")
ALL = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES]
# Where Keras' function does not prepare the pixels itself, the module that says how.
PREPARED_BY = {"vgg16": "vgg16", "vgg19": "vgg19", "xception": "xception", "resnet50": "resnet"}


def keras_own(backbone: Backbone, size: int, *, prepares: bool = False) -> Any:
    keras = __import__("keras")
    options = {"include_preprocessing": prepares} if backbone.prepares_itself else {}
    builder = getattr(keras.applications, str(backbone.builder))
    return builder(weights=None, include_top=False, input_shape=(size, size, 3), **options)


@pytest.mark.parametrize("name", ALL)
def test_a_backbone_is_one_flat_graph_of_built_in_layers(name: str) -> None:
    keras = __import__("keras")
    backbone = BACKBONES[name]
    build("cnn", 16)
    for kind in ("Add", "BatchNormalization", "LayerNormalization", "Multiply", "ReLU"):
        getattr(keras.layers, kind)()  # takes a number
    keras.layers.Activation("relu")
    keras.layers.Conv2D(1, 1)
    model = build(name, backbone.smallest_size)
    bare = [operation for operation in model.operations if not isinstance(operation, keras.layers.Layer)]
    assert [operation.name for operation in bare] == (["take"] if backbone.pixels == "caffe" else [])
    assert all(getattr(keras.layers, type(layer).__name__, None) is type(layer) for layer in model.layers)
    names = [operation.name for operation in model.operations]
    assert stable_names(names) == {name: name for name in stable_names(names)}  # counted from 0, whatever was before
    layers = base_layers(model)
    places = [[layer.name for layer in layers].index(block.first) for block in backbone.blocks]
    assert places == sorted(places)
    assert places[0] == 0
    for block in backbone.blocks:
        first = model.get_layer(block.first)
        keras.Model(first.input, model.output)  # one tensor leads into the block, or this is no graph
        if block.name.startswith("block"):  # named so by Keras, too
            inside = {layer.name for layer in layers if re.match(rf"{block.name}[a-z]?_", layer.name)}
            before = {layer.name for layer in layers[: [layer.name for layer in layers].index(block.first)]}
            assert not inside & before


@pytest.mark.parametrize("name", [name for name in ALL if name != "cnn"])
def test_a_backbone_answers_what_keras_own_does(name: str, tmp_path: Path) -> None:
    """With the weights out of a file as Keras 2 wrote it, and out of one with the names of Keras 1."""
    keras = __import__("keras")
    backbone = BACKBONES[name]
    size = backbone.smallest_size
    model = build(name, size)
    theirs = stir(keras_own(backbone, size, prepares=True))
    theirs.save(tmp_path / "two.h5")
    save_as_keras_1(tmp_path / "one.h5", theirs)
    rgb = np.random.default_rng(1).uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    prepared = rgb.copy()
    if name in PREPARED_BY:
        module = importlib.import_module(f"keras.applications.{PREPARED_BY[name]}")
        prepared = module.preprocess_input(prepared)
    expected = theirs.predict(prepared, verbose=0)
    features = keras.Model(model.input, model.get_layer("head_pool").input)
    for file in ("two.h5", "one.h5"):
        stir(model)
        assert load_layers(base_layers(model), tmp_path / file).missing == ()
        assert np.abs(features.predict(rgb, verbose=0) - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", [name for name in ALL if name != "cnn"])
def test_the_smallest_size_is_keras_own(name: str) -> None:
    backbone = BACKBONES[name]
    with pytest.raises(ValueError, match="at least"):
        keras_own(backbone, backbone.smallest_size - 1)
    with pytest.raises(UsageError, match=f"{backbone.smallest_size} pixels or more"):
        build(name, backbone.smallest_size - 1)


def test_weights_and_sizes_are_those_that_keras_names() -> None:
    """Address and checksum of every file, out of Keras' own source."""
    build("cnn", 16)
    for backbone in BACKBONES.values():
        if backbone.weights is None:
            continue
        builder = getattr(__import__("keras").applications, str(backbone.builder))
        source = Path(importlib.import_module(builder.__module__).__file__ or "").read_text()
        assert f'"{backbone.weights.checksum}"' in source
        assert backbone.weights.url.startswith("https://storage.googleapis.com/tensorflow/keras-applications/")


def test_statistics_are_learned_only_where_that_was_asked_for() -> None:
    rgb = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype(np.float32)
    answers = []
    for learn in (False, True):
        model = build("cnn", 16, learn_statistics=learn)
        assert [layer.name for layer in model.layers] == [layer.name for layer in build("cnn", 16).layers]
        assert model.get_layer("block1_bn").momentum == (0.9 if learn else 0.99)
        before = model.get_layer("block1_bn").get_weights()
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.train_on_batch(rgb, np.zeros(8))
        after = model.get_layer("block1_bn").get_weights()
        assert [np.array_equal(a, b) for a, b in zip(before[2:], after[2:], strict=True)] == [not learn] * 2
        twin = build("cnn", 16, learn_statistics=not learn)
        twin.set_weights(model.get_weights())
        answers.append(np.abs(model.predict(rgb, verbose=0) - twin.predict(rgb, verbose=0)).max())
    assert answers == [0, 0]  # the same model either way, once it is trained


@pytest.mark.parametrize(
    ("spec", "first"),
    [("block4", "block4_conv"), ("2", "block4_conv"), ("all", "block1_conv"), ("block3_bn", "block3_bn")],
)
def test_where_fine_tuning_begins(spec: str, first: str) -> None:
    layers = base_layers(build("cnn", 16))
    assert first_unfrozen(layers, BACKBONES["cnn"], spec) == first


@pytest.mark.parametrize(
    ("spec", "wrong", "said"),
    [("blok4", "called 'blok4'", "did you mean block4? Its blocks are block1, block2"),
     ("0", "has 5 blocks", "from 1 to 5"), ("6", "has 5 blocks", "from 1 to 5"),
     ("x", "called 'x'", "give one of its blocks, block1")],
)  # fmt: skip
def test_an_unknown_block_brings_offers(spec: str, wrong: str, said: str) -> None:
    with pytest.raises(UsageError, match=wrong) as refused:
        first_unfrozen(base_layers(build("cnn", 16)), BACKBONES["cnn"], spec)
    assert said in str(refused.value)
    assert "block5_conv" not in str(refused.value)


def test_a_model_that_could_not_be_read_again_is_not_made() -> None:
    import_keras("cpu")
    with pytest.raises(UsageError, match=r"2\.2 GB") as caught:
        build_classifier(ClassifierRecord(backbone="vgg16", units=65536, dropout=0.3, pooling="flatten"), 128, 128, 2)
    assert "--pooling average" in str(caught.value.next_step)
