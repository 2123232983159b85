"""Scenes of handwritten digits: a small real dataset that needs no key and no network.

The digits are the 1,797 of scikit-learn's `load_digits` (8 x 8 pixels, 16 grey levels; Alpaydin and Kaynak, "Optical
Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998, CC BY 4.0). They are divided first and
scattered over scenes afterwards, so that no digit of a test scene was ever seen in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml

from ..core.crop import CROP_MARGIN, cut_crop
from ..core.files import whole_folder
from ..core.images import write_image
from .model import SPLITS, Split

NAMES = tuple("0123456789")
_SHARES: dict[Split, float] = {"train": 0.7, "valid": 0.1, "test": 0.2}
_INK = 0.25  # share of full ink from which a pixel belongs to the digit's box


@dataclass(frozen=True)
class DigitsConfig:
    """How the scenes are made.

    Attributes:
        scenes: Scenes per split.
        size: Width and height of a scene in pixels.
        digits: Fewest and most digits in a scene.
        digit_size: Smallest and largest side of a digit in pixels.
        seed: Seed of everything random.
    """

    scenes: tuple[tuple[Split, int], ...] = (("train", 400), ("valid", 50), ("test", 80))
    size: int = 160
    digits: tuple[int, int] = (4, 7)
    digit_size: tuple[int, int] = (28, 56)
    seed: int = 0


def make_digit_datasets(detection: Path, classification: Path, config: DigitsConfig | None = None) -> None:
    """Write the scenes with their boxes (YOLO layout) and the digits cut from them (folder per class).

    Args:
        detection: Folder of the detection dataset; must not exist.
        classification: Folder of the classification dataset; must not exist.
        config: How; the default takes a few seconds.

    Raises:
        DataError: one of the folders exists.
    """
    config = config or DigitsConfig()
    glyphs = _divided_digits(config.seed)
    rng = np.random.default_rng(config.seed)
    with whole_folder(detection) as scenes, whole_folder(classification) as crops:
        for split, count in config.scenes:
            for part in ("images", "labels"):
                (scenes / split / part).mkdir(parents=True)
            for name in NAMES:
                (crops / split / name).mkdir(parents=True)
            for number in range(count):
                bgr, xyxy, class_id = _scene(glyphs[split], config, rng)
                stem = f"{split}-{number:04d}"
                write_image(scenes / split / "images" / f"{stem}.png", bgr)
                (scenes / split / "labels" / f"{stem}.txt").write_text(
                    _rows(xyxy, class_id, config.size), encoding="utf-8"
                )
                for index, (box, digit) in enumerate(zip(xyxy, class_id, strict=True)):
                    write_image(crops / split / NAMES[digit] / f"{stem}-{index}.png", cut_crop(bgr, box, CROP_MARGIN))
        _write_data_yaml(scenes / "data.yaml", detection)


def _divided_digits(seed: int) -> dict[Split, list[tuple[np.ndarray, int]]]:
    """Each split's own digits: ink 0..1 float32 `(8, 8)`, and the class; every class in the same shares."""
    from sklearn.datasets import load_digits

    flat, target = load_digits(return_X_y=True)
    ink = flat.reshape(-1, 8, 8).astype(np.float32) / 16
    rng = np.random.default_rng(seed)
    divided: dict[Split, list[tuple[np.ndarray, int]]] = {split: [] for split in SPLITS}
    for digit in range(len(NAMES)):
        order = rng.permutation(np.flatnonzero(target == digit))
        cuts = np.cumsum([_SHARES[split] for split in SPLITS])[:-1] * len(order)
        for split, part in zip(SPLITS, np.split(order, cuts.astype(int)), strict=True):
            divided[split] += [(ink[i], digit) for i in part]
    return divided


def _scene(
    glyphs: list[tuple[np.ndarray, int]], config: DigitsConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One scene: BGR uint8 `(size, size, 3)`, boxes xyxy in pixels float32 `(n, 4)`, classes int64 `(n,)`."""
    size = config.size
    scene = _paper(size, rng)
    boxes: list[tuple[int, int, int, int]] = []
    classes: list[int] = []
    for _ in range(rng.integers(config.digits[0], config.digits[1] + 1)):
        ink, digit = glyphs[rng.integers(len(glyphs))]
        side = int(rng.integers(config.digit_size[0], config.digit_size[1] + 1))
        big = np.clip(cv2.resize(ink, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
        ys, xs = np.nonzero(big > _INK)
        big = big[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        height, width = big.shape
        spot = _free_spot(boxes, width, height, size, rng)
        if spot is None:
            continue
        x, y = spot
        tone = rng.uniform(0, 110, 3)
        patch = scene[y : y + height, x : x + width]
        patch += (tone - patch) * big[:, :, None]
        boxes.append((x, y, x + width, y + height))
        classes.append(digit)
    noisy = scene + rng.normal(0, 5, scene.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), np.array(boxes, np.float32), np.array(classes, np.int64)


def _paper(size: int, rng: np.random.Generator) -> np.ndarray:
    """Soft light paper in changing colours, float32 `(size, size, 3)`."""
    coarse = rng.uniform(170, 250, (4, 4, 3)).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)


def _free_spot(
    taken: list[tuple[int, int, int, int]], width: int, height: int, size: int, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Top left corner where a box of this size touches no other; None when twenty tries find none."""
    for _ in range(20):
        x, y = int(rng.integers(0, size - width)), int(rng.integers(0, size - height))
        if all(
            x >= right or x + width <= left or y >= bottom or y + height <= top for left, top, right, bottom in taken
        ):
            return x, y
    return None


def _rows(xyxy: np.ndarray, class_id: np.ndarray, size: int) -> str:
    rows = []
    for (left, top, right, bottom), digit in zip(xyxy / size, class_id, strict=True):
        centre = f"{(left + right) / 2:.6f} {(top + bottom) / 2:.6f}"
        rows.append(f"{digit} {centre} {right - left:.6f} {bottom - top:.6f}\n")
    return "".join(rows)


def _write_data_yaml(path: Path, final: Path) -> None:
    data = {"path": str(final.resolve()), "train": "train/images", "val": "valid/images", "test": "test/images"}
    text = yaml.safe_dump({**data, "nc": len(NAMES), "names": list(NAMES)}, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
