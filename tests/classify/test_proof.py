"""A finished model is rebuilt from its record in another process, and its file is anyone's."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.classify.export import export_portable
from lensmith.classify.proof import TOLERANCE, difference, prove
from lensmith.core.errors import DataError, LensmithError
from lensmith.predict.engines.keras import NATIVE_NAME, predict_probabilities
from lensmith.predict.engines.onnx import OnnxEngine
from lensmith.weights.backbones import BACKBONES
from lensmith.weights.bundle import (
    PORTABLE_NAME,
    Activation,
    Bundle,
    BundleRecord,
    ClassifierRecord,
    Preprocessing,
    write_bundle,
)
from tests.weights.keras_models import build, stir

pytestmark = pytest.mark.keras

QUICK = ("vgg16", "mobilenetv3", "cnn")
# The whole training of test_finetune exports VGG16.
ALL = [pytest.param(name, marks=[] if name in {"mobilenetv3", "cnn"} else pytest.mark.slow) for name in BACKBONES]
# What anyone could write who has Keras and never heard of Lensmith.
ANYONE = """
import json, sys
import keras, numpy as np
assert "lensmith" not in sys.modules
for folder in sys.argv[1:]:
    model = keras.models.load_model(folder + "/model.keras", safe_mode=True)
    golden = np.load(folder + "/golden.npz", allow_pickle=False)
    rgb = golden["inputs"][..., ::-1].astype("float32")
    print(json.dumps(float(abs(model.predict(rgb, verbose=0) - golden["outputs"]).max())))
"""


def write(
    target: Path,
    name: str,
    change: Callable[[Any], None] = lambda _model: None,
    portable: bool = False,
    activation: Activation = "leaky_relu",
) -> Bundle:
    """A bundle of a small classifier whose golden samples were taken before `change`."""
    size = BACKBONES[name].smallest_size
    model = stir(build(name, size, activation=activation))
    record = BundleRecord(
        name=name, task="classify", names=("cat", "dog"),
        preprocessing=Preprocessing(width=size, height=size, resize="stretch"),
        classifier=ClassifierRecord(backbone=name, units=8, dropout=0.2, activation=activation),
    )  # fmt: skip
    pictures = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    golden = (pictures, predict_probabilities(model, pictures))
    change(model)

    def fill(folder: Path) -> None:
        model.save(folder / NATIVE_NAME)
        if portable:
            export_portable(model, record, folder / NATIVE_NAME, folder / PORTABLE_NAME)

    return write_bundle(target, record, fill, golden=golden)


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write(tmp_path_factory.mktemp("bundles") / "cnn", "cnn")


def test_a_true_bundle_is_proven(cnn: Bundle) -> None:
    assert prove(cnn.folder) <= TOLERANCE


def test_a_model_that_answers_something_else_is_an_error(tmp_path: Path) -> None:
    bundle = write(tmp_path / "odd", "cnn", lambda model: model.get_layer("head_classes").bias.assign([1.0, -1.0]))
    with pytest.raises(DataError, match="answers differ from the trained model's by 0"):
        difference(bundle.folder, "cpu")


def test_a_changed_file_is_an_error(cnn: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in cnn.folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes() + (b"x" if path.name == NATIVE_NAME else b""))
    with pytest.raises(LensmithError, match="changed after it was made"):
        prove(copy)


def anyone(*folders: Path) -> list[float]:
    command = [sys.executable, "-c", ANYONE, *map(str, folders)]
    done = subprocess.run(
        command, cwd=folders[0], env={"KERAS_BACKEND": "tensorflow", "HOME": str(folders[0]), "PATH": ""},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_native_file_loads_in_anyones_keras(tmp_path: Path) -> None:
    folders = [write(tmp_path / name, name).folder for name in QUICK]
    assert max(anyone(*folders)) <= TOLERANCE


@pytest.mark.slow
def test_the_native_file_of_every_other_backbone_too(tmp_path: Path) -> None:
    folders = [write(tmp_path / name, name).folder for name in BACKBONES if name not in QUICK]
    assert max(anyone(*folders)) <= TOLERANCE


def test_the_exact_gelu_is_portable(tmp_path: Path) -> None:
    """TensorFlow computes it with an operation that the exporter does not know by itself."""
    bundle = write(tmp_path / "gelu", "cnn", portable=True, activation="gelu")
    pictures, expected = bundle.golden()
    assert np.abs(OnnxEngine(bundle).infer(pictures) - expected).max() < 1e-4


@pytest.mark.parametrize("name", ALL)
def test_the_portable_model_gives_the_same(name: str, tmp_path: Path) -> None:
    bundle = write(tmp_path / name, name, portable=True)
    pictures, expected = bundle.golden()
    assert np.abs(OnnxEngine(bundle).infer(pictures) - expected).max() < 1e-3
