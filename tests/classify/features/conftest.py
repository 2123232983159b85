"""A small model, where it is cut, and a few pictures."""

from pathlib import Path
from typing import Any

import pytest

from lensmith.classify.features.cut import Cut, cut_model
from lensmith.datasets.model import Item
from lensmith.weights.architecture import build_classifier, import_keras
from lensmith.weights.bundle import ClassifierRecord
from tests.helpers import make_picture


@pytest.fixture(scope="module")
def model() -> Any:
    keras, _ = import_keras("cpu")
    keras.utils.set_random_seed(1)
    return build_classifier(ClassifierRecord(backbone="cnn", units=8, dropout=0.1), 32, 32, 2)


@pytest.fixture(scope="module")
def cut(model: Any) -> Cut:
    """Maps of 2 x 2 x 256."""
    return cut_model(model, "block5_conv")


@pytest.fixture
def pictures(tmp_path: Path) -> list[Item]:
    """Of two classes; 0, 1 and 2 are one picture."""
    paths = [make_picture(tmp_path / "set" / f"{n}.png", seed=max(n, 2)) for n in range(12)]
    return [Item(path, "train", class_id=n % 2) for n, path in enumerate(paths)]
