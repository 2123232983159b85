"""The input fits the pictures, and what is done to small and grey ones is said."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.classify.sizing import choose_input
from lensmith.datasets.model import Item
from tests.helpers import make_picture


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Handwritten digits of 28 pixels in one channel."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("digits")
    items = []
    for number, glyph in enumerate(load_digits().images[:20]):
        path = folder / f"{number}.png"
        grey = cv2.resize((glyph / 16 * 255).astype(np.uint8), (28, 28), interpolation=cv2.INTER_CUBIC)
        path.write_bytes(cv2.imencode(".png", grey)[1].tobytes())
        items.append(Item(path, "train", class_id=0))
    return items


def pictures(folder: Path, *sides: tuple[int, int]) -> list[Item]:
    return [
        Item(make_picture(folder / f"{number}.png", width, height, number), "train", class_id=0)
        for number, (width, height) in enumerate(sides)
    ]


@pytest.mark.parametrize(
    ("backbone", "imgsz", "side", "about_size"),
    [
        ("vgg16", None, 32, "enlarged to 32, the smallest that vgg16 takes"),
        ("xception", None, 71, "enlarged to 71, the smallest that xception takes"),
        ("cnn", None, 28, "sees them at 28 pixels, not at its usual 96"),
        ("vgg16", 64, 64, "enlarged to 64, which shows no more"),
    ],
)
def test_digits_of_28_pixels(digits: list[Item], backbone: str, imgsz: int | None, side: int, about_size: str) -> None:
    choice = choose_input(backbone, imgsz, digits)
    assert (choice.preprocessing.width, choice.preprocessing.height) == (side, side)
    assert about_size in choice.remarks[0]
    assert "half of them 28 pixels or less" in choice.remarks[0]
    assert choice.remarks[1:] == ("the pictures are grey and are shown as three equal channels",)


@pytest.mark.parametrize(
    ("sides", "side"),
    [
        ([(640, 480), (300, 400)], 224),  # large enough: the backbone's own
        ([(90, 60), (64, 70), (500, 400)], 64),  # the median of the short sides counts
        ([(120, 65), (65, 80)], 96),  # rounded up
        ([(200, 1)], 32),
        ([], 224),
    ],
)
def test_the_size_follows_the_short_sides(tmp_path: Path, sides: list[tuple[int, int]], side: int) -> None:
    choice = choose_input("vgg16", None, pictures(tmp_path, *sides))
    assert choice.preprocessing.width == side
    assert len(choice.remarks) == (side < 224)
    assert choice.preprocessing.resize == "stretch"


def test_a_size_that_was_asked_for_stays(tmp_path: Path) -> None:
    choice = choose_input("vgg16", 160, pictures(tmp_path, (640, 480)))
    assert choice.preprocessing.width == 160
    assert choice.remarks == ()


def test_some_grey_pictures_and_some_that_are_none(tmp_path: Path, digits: list[Item]) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    mixed = [*pictures(tmp_path, (640, 480), (640, 480)), digits[0], Item(broken, "train", class_id=0)]
    assert choose_input("vgg16", None, mixed).remarks == (
        "some pictures are grey: they are shown as three equal channels",
    )
