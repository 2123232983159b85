"""Augmentation: presets, refusals, and random numbers that can be had again."""

import subprocess
import sys

import numpy as np
import pytest

from lensmith.core.errors import UsageError
from lensmith.datasets.augment import PRESETS, Transform, build_augmentation, find_preset, sample_seed


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_and_keeps_pictures_pictures(name: str, picture: np.ndarray) -> None:
    changed = build_augmentation(find_preset(name))(image=picture)["image"]
    assert changed.dtype == np.uint8
    assert changed.ndim == 3
    assert changed.shape[2] == 3


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        pytest.param(Transform("HorizontalFlop"), "no transform called 'HorizontalFlop'", id="unknown transform"),
        pytest.param(Transform("Lambda"), "no transform called 'Lambda'", id="code"),
        pytest.param(Transform("Compose"), "no transform called 'Compose'", id="not a transform"),
        pytest.param(Transform("HorizontalFlip", {"prob": 1}), "takes no argument 'prob'", id="unknown argument"),
        pytest.param(Transform("HorizontalFlip", {"p": 7}), "does not take these values", id="value out of range"),
    ],
)
def test_mistakes_are_errors(transform: Transform, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build_augmentation([transform])


def test_an_unknown_preset_names_the_others() -> None:
    with pytest.raises(UsageError, match="default"):
        find_preset("wild")


def test_the_same_seed_gives_the_same_picture_in_any_compose(picture: np.ndarray) -> None:
    def draw(seed: int) -> bytes:
        compose = build_augmentation(find_preset("heavy"))
        compose.set_random_seed(seed)
        return compose(image=picture)["image"].tobytes()

    assert draw(sample_seed(1, 2, 3)) == draw(sample_seed(1, 2, 3))
    assert len({draw(sample_seed(1, epoch, index)) for epoch in range(3) for index in range(3)}) == 9


def test_a_box_past_the_edge_is_clipped_and_keeps_its_class(picture: np.ndarray) -> None:
    compose = build_augmentation([Transform("HorizontalFlip", {"p": 1.0})], boxes=True)
    done = compose(image=picture, bboxes=np.array([[0.9, 0.5, 0.3, 0.5]]), class_id=[3])
    assert done["bboxes"][0] == pytest.approx([0.125, 0.5, 0.25, 0.5], abs=1e-3)
    assert int(done["class_id"][0]) == 3


def test_albumentations_leaves_torch_alone() -> None:
    code = (
        "import sys; from lensmith.datasets.augment import build_augmentation, find_preset;"
        "import numpy; build_augmentation(find_preset('heavy'))(image=numpy.zeros((9, 9, 3), 'uint8'));"
        "print('albumentations' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["True", "False"]
