"""Weights out of Keras' files: found by name, refused where they belong to another network or are no plain weights."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.core.errors import DataError
from lensmith.weights.architecture import base_layers
from lensmith.weights.keras_files import load_layers
from tests.weights.keras_models import build, hollow_file

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def vgg16() -> Any:
    return build("vgg16", 32)


@pytest.fixture(scope="module")
def cnn() -> Any:
    return build("cnn", 16)


def weights_of(model: Any) -> list[np.ndarray]:
    return [array for layer in model.layers for array in layer.get_weights()]


@pytest.mark.parametrize("kind", ["weights.h5", "keras"])
def test_weights_of_the_bare_backbone_load_by_name(kind: str, vgg16: Any, tmp_path: Path) -> None:
    keras = __import__("keras")
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(48, 48, 3))
    path = tmp_path / f"base.{kind}"
    (base.save_weights if kind == "weights.h5" else base.save)(path)
    loaded = load_layers(base_layers(vgg16), path)
    assert (len(loaded.layers), loaded.missing) == (13, ())
    ours, theirs = vgg16.get_layer("block4_conv2"), base.get_layer("block4_conv2")
    assert np.array_equal(ours.get_weights()[0], theirs.get_weights()[0])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "builder"), [("convnext_tiny", "ConvNeXtTiny"), ("xception", "Xception")])
def test_layers_that_keras_nests_or_numbers_load_by_name(name: str, builder: str, tmp_path: Path) -> None:
    base = None
    model = build(name, 71)
    for _ in range(2):  # the second has other numbers
        base = getattr(__import__("keras").applications, builder)(
            weights=None, include_top=False, input_shape=(71, 71, 3)
        )
    assert base is not None
    base.save_weights(tmp_path / "base.weights.h5")
    assert load_layers(base_layers(model), tmp_path / "base.weights.h5").missing == ()
    ours = [array for layer in base_layers(model) for array in layer.get_weights()]
    for a, b in zip(ours, base.get_weights(), strict=True):
        assert np.array_equal(a.ravel(), b.ravel())


def test_our_own_small_network_loads_into_another(cnn: Any, tmp_path: Path) -> None:
    cnn.save_weights(tmp_path / "cnn.weights.h5")
    other = build("cnn", 28, learn_statistics=True)
    assert load_layers(base_layers(other), tmp_path / "cnn.weights.h5").missing == ()
    for a, b in zip(weights_of(cnn)[:-4], weights_of(other)[:-4], strict=True):
        assert np.array_equal(a, b)


VGG = {
    f"block{block}_conv{n}": ((3, 3, before, filters), (filters,))
    for block, filters, convs in ((1, 64, 2), (2, 128, 2), (3, 256, 3), (4, 512, 3), (5, 512, 3))
    for n in range(1, convs + 1)
    for before in [filters if n > 1 else {64: 3, 128: 64, 256: 128}.get(filters, 512 if block == 5 else 256)]
}
DEEPER = {"block3_conv4": ((3, 3, 256, 256), (256,)), "block4_conv4": ((3, 3, 512, 512), (512,))}
TOP = {"fc1": ((25088, 64), (64,)), "predictions": ((64, 10), (10,)), "conv2d_7": ((1, 1, 64, 1), (1,))}


@pytest.mark.parametrize("kind", ["legacy.h5", "weights.h5"])
@pytest.mark.parametrize(
    ("layers", "said"),
    [
        pytest.param(VGG | DEEPER, "(?s)this file also holds block3_conv4, block4_conv4.*of vgg19;", id="deeper"),
        pytest.param({k: v for k, v in VGG.items() if k != "block2_conv2"}, "lacks block2_conv2", id="shallower"),
        pytest.param(VGG | {"block1_conv1": ((3, 3, 3, 32), (32,))},
                     r"block1_conv1 is \[\(3, 3, 3, 32\), \(32,\)\], not \[\(3, 3, 3, 64\), \(64,\)\]", id="shape"),
        pytest.param({"conv1_conv": ((7, 7, 3, 64), (64,))},
                     r"None of the 13 layers .* conv1_conv. .*\(7, 7, 3, 64\).*block1_conv1 is .*\(3, 3, 3, 64\)",
                     id="resnet"),
    ],
)  # fmt: skip
def test_weights_of_another_network_are_refused(kind: str, layers: dict, said: str, vgg16: Any, tmp_path: Path) -> None:
    before = weights_of(vgg16)
    with pytest.raises(DataError, match=said):
        load_layers(base_layers(vgg16), hollow_file(tmp_path / f"other.{kind}", layers))
    assert all(np.array_equal(a, b) for a, b in zip(before, weights_of(vgg16), strict=True))


@pytest.mark.parametrize("kind", ["legacy.h5", "weights.h5"])
def test_a_top_is_passed_over_and_a_missing_end_is_told(kind: str, vgg16: Any, tmp_path: Path) -> None:
    start = {name: shapes for name, shapes in VGG.items() if not name.startswith("block5")}
    loaded = load_layers(base_layers(vgg16), hollow_file(tmp_path / f"part.{kind}", start | TOP))
    assert len(loaded.layers) == 10
    assert loaded.missing == ("block5_conv1", "block5_conv2", "block5_conv3")
    assert not np.any(vgg16.get_layer("block4_conv3").get_weights()[0])


def hostile_files(folder: Path) -> dict[str, Path]:
    import h5py

    paths = {name: folder / f"{name}.h5" for name in ("link", "external", "shape", "strange", "cut", "text")}
    (folder / "secret").write_bytes(b"\0" * 64)
    for name in ("link", "external", "shape", "strange", "cut"):
        with h5py.File(paths[name], "w") as file:
            layer = file.create_group("other" if name == "strange" else "block1_conv")
            variables = layer.create_group("vars")
            variables.attrs["name"] = str(layer.name).strip("/")
            if name == "link":
                variables["0"] = h5py.ExternalLink("somewhere.h5", "/x")
            elif name == "external":
                variables.create_dataset("0", (3, 3, 3, 32), "f4", external=[(str(folder / "secret"), 0, 3456)])
            else:
                variables["0"] = np.zeros((2, 2), np.float32)
    paths["cut"].write_bytes(paths["cut"].read_bytes()[:300])
    paths["text"].write_text("these are no weights")
    paths["bomb"] = folder / "bomb.keras"
    with zipfile.ZipFile(paths["bomb"], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", b"\0" * 5_000_000)
    return paths


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("link", "is a link"), ("external", "not a plain array"), ("shape", "belong to another network"),
        ("strange", "None of the 10 layers"), ("cut", "cannot be read"), ("text", "cannot be read"),
        ("bomb", "too much"),
    ],
)  # fmt: skip
def test_files_that_are_refused(name: str, said: str, cnn: Any, tmp_path: Path) -> None:
    before = weights_of(cnn)
    path = hostile_files(tmp_path)[name]
    with pytest.raises(DataError, match=said):
        load_layers(base_layers(cnn), path)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights_of(cnn), strict=True))
