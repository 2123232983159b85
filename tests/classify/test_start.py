"""What a training starts from, and what the person is told about it before any picture is read."""

from pathlib import Path

import numpy as np
import pytest

from lensmith.classify.config import FinetuneConfig
from lensmith.classify.start import build_model
from lensmith.core.errors import DataError, NotFoundError, UsageError
from lensmith.weights.architecture import import_keras
from lensmith.weights.bundle import Preprocessing

pytestmark = pytest.mark.keras


def start(size: int = 32, **options: object) -> tuple[object, str]:
    import_keras("cpu")
    config = FinetuneConfig(**{"units": 8, "backbone": "vgg16", **options}).resolved()  # pyright: ignore[reportArgumentType]
    return build_model(config, Preprocessing(width=size, height=size, resize="stretch"), 2)


def test_random_weights_learn_everything_and_their_statistics(capsys: pytest.CaptureFixture[str]) -> None:
    model, layer = start(16, backbone="cnn")
    assert layer == "block1_conv"
    assert all(one.trainable for one in model.layers)  # pyright: ignore[reportAttributeAccessIssue]
    said = capsys.readouterr().err
    assert "cnn starts from random weights" in said
    assert "warning" not in said


def test_a_frozen_part_of_random_weights_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    start(16, backbone="cnn", epochs_frozen=2, unfreeze="block4")
    said = capsys.readouterr().err
    assert "--epochs-frozen 0" in said
    assert "--unfreeze all" in said


def test_trained_weights_are_loaded_and_counted(trained_vgg16: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, layer = start(weights=trained_vgg16, unfreeze="2")
    assert layer == "block4_conv1"
    assert "13 of 13 layers of vgg16 loaded" in capsys.readouterr().err
    kernel = model.get_layer("block1_conv1").get_weights()[0]  # pyright: ignore[reportAttributeAccessIssue]
    assert np.abs(kernel.sum(axis=(0, 1, 2))).max() > 1  # random ones are ten times smaller


def test_a_file_that_holds_a_part_names_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, _ = start(weights="none")
    import keras

    part = keras.Model(model.input, model.get_layer("block4_pool").output)  # pyright: ignore[reportAttributeAccessIssue]
    part.save_weights(tmp_path / "part.weights.h5")
    start(weights=tmp_path / "part.weights.h5")
    said = capsys.readouterr().err
    assert "10 of 13 layers" in said
    assert "start from random weights: block5_conv1, block5_conv2, block5_conv3" in said


def test_mistakes_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such weights file"):
        start(weights=tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(DataError, match="cannot be read"):
        start(weights=tmp_path / "text.h5")
    with pytest.raises(UsageError, match="no block or layer called 'block9'") as refused:
        start(weights="none", unfreeze="block9")
    assert "did you mean block" in str(refused.value)
