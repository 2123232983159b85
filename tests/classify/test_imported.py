"""A `.keras` file of another program becomes a bundle that answers as Keras does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lensmith.classify.imported import import_keras_file
from lensmith.core.errors import DataError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.predict.imported import ImportConfig, fixed_pictures
from lensmith.predict.model import open_model
from lensmith.weights.architecture import import_keras

pytestmark = pytest.mark.keras
SIDE = 32


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that anybody could have made, with one answer for two classes."""
    keras, _ = import_keras("cpu")
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((SIDE, SIDE, 3)), keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    path = tmp_path_factory.mktemp("foreign") / "two.keras"
    model.compile("adam", "binary_crossentropy")
    model.save(path)
    return path


def test_it_answers_as_keras_does(foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CV_CACHE", str(tmp_path / "cache"))
    config = ImportConfig(classes=("cat", "dog"), scale="-1-1")
    done = import_keras_file(foreign, Workspace(tmp_path), config)
    record = done.bundle.record
    assert (record.origin, record.classifier, record.names) == ("imported", None, ("cat", "dog"))
    pictures = fixed_pictures(SIDE, SIDE)
    keras, _ = import_keras("cpu")
    second = keras.models.load_model(foreign, compile=False).predict(
        pictures[..., ::-1].astype("float32") / 127.5 - 1, verbose=0
    )
    found = open_model(done.bundle, engine="onnxruntime").engine.infer(pictures)
    np.testing.assert_allclose(found, np.concatenate([1 - second, second], axis=1), atol=1e-4)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (ImportConfig(scale="0-1"), "classes are called"),
        (ImportConfig(classes=("a", "b")), "numbers it takes for a pixel"),
        (ImportConfig(classes=("a", "b"), scale="0-1", imgsz=64), "32 x 32 pixels only"),
        (ImportConfig(task="detect", classes=("a", "b"), scale="0-1"), "taken in as a classifier"),
    ],
)
def test_what_the_file_does_not_say_must_be_said(
    foreign: Path, tmp_path: Path, config: ImportConfig, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        import_keras_file(foreign, Workspace(tmp_path), config)


def test_a_file_cut_short_is_refused(foreign: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.keras"
    cut.write_bytes(foreign.read_bytes()[:-100])
    with pytest.raises(DataError, match="cut short"):
        import_keras_file(cut, Workspace(tmp_path), ImportConfig(classes=("a", "b"), scale="0-1"))
