"""Pictures that show the same thing, and pictures that only seem to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import cv2
import numpy as np

from .photos import draw_photograph
from .site import Row, Shot, Site, decode, jpeg

Edit = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _brighter(share: float) -> Edit:
    return lambda bgr, _: np.clip(bgr.astype(np.float32) * (1 + share), 0, 255).astype(np.uint8)


def _crop(off: float, place: str) -> Edit:
    """Cut off a share of each side."""

    def crop(bgr: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = bgr.shape[:2]
        h, w = round(height * (1 - off)), round(width * (1 - off))
        y, x = {
            "centre": ((height - h) // 2, (width - w) // 2),
            "corner": (0, 0),
            "random": (int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))),
        }[place]
        return bgr[y : y + h, x : x + w]

    return crop


def _quality(quality: int) -> Edit:
    return lambda bgr, _: decode(jpeg(bgr, quality))


_AREA = 1 - 0.9**0.5
EDITS: dict[str, Edit] = {
    "mirrored": lambda bgr, _: bgr[:, ::-1],
    "upside down": lambda bgr, _: bgr[::-1],
    "quarter turn right": lambda bgr, _: np.rot90(bgr, -1),
    "half turn": lambda bgr, _: np.rot90(bgr, 2),
    "quarter turn left": lambda bgr, _: np.rot90(bgr, 1),
    "JPEG quality 30": _quality(30),
    "25% brighter": _brighter(0.25),
    "25% darker": _brighter(-0.25),
    "half the size": lambda bgr, _: cv2.resize(bgr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "grey": lambda bgr, _: cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR),
    "cropped by 10% of its area, centred": _crop(_AREA, "centre"),
    "cropped by 10% of its area, corner": _crop(_AREA, "corner"),
    "cropped by 10% of each side, centred": _crop(0.1, "centre"),
    "cropped by 10% of each side, corner": _crop(0.1, "corner"),
    "cropped by 10% of each side, anywhere": _crop(0.1, "random"),
    "mirrored, 15% brighter, quality 50": lambda bgr, rng: _quality(50)(_brighter(0.15)(bgr[:, ::-1], rng), rng),
}


def plant_edits(site: Site, each: int, edits: Iterable[str] = EDITS) -> None:
    """Edited photographs in another split than the photograph itself; and one in the same."""
    for number in range(each):
        for edit in edits:
            shot = site.take("train")
            bgr = np.ascontiguousarray(EDITS[edit](shot.bgr(), site.rng))
            split = ("valid", "test")[number % 2]
            copy = _put(site, split, f"other-{len(site.shots):04d}.jpg", jpeg(bgr, 88), shot)
            site.plant_pair("near-across", edit, shot.image, copy.image)
    shot = site.take("train")
    copy = _put(site, "train", "again.jpg", jpeg(np.ascontiguousarray(shot.bgr()[:, ::-1]), 80), shot)
    site.plant_pair("near-within", "mirrored", shot.image, copy.image)


def plant_copies(site: Site) -> None:
    """The same bytes under another name, in the same split and in others."""
    for number, split in enumerate(("valid", "test", "valid", "test")):
        shot = site.take("train")
        copy = _put(site, split, f"copy-{number}.jpg", shot.image.read_bytes(), shot)
        site.plant_pair("copy-across", f"train and {split}", shot.image, copy.image)
    shot = site.take("valid")
    copy = _put(site, "test", shot.image.name, shot.image.read_bytes(), shot)
    site.plant_pair("copy-across", "valid and test, the same name", shot.image, copy.image)
    for split in ("train", "valid", "test"):
        shot = site.take(split)
        copy = _put(site, split, f"Copy of {shot.image.name}", shot.image.read_bytes(), shot)
        site.plant_pair("copy-within", split, shot.image, copy.image)


def plant_two_classes(site: Site) -> None:
    """The same picture as an example of two classes, in one split."""
    for split in ("train", "valid"):
        shot = site.take(split, 0)
        copy = site.add(split, f"also-{split}.jpg", shot.image.read_bytes(), 1)
        site.plant("label-conflict", f"two classes in {split}", shot.image, copy.image)
        site.allow("copy-within", shot.image, copy.image)


def plant_siblings(site: Site, count: int = 3) -> None:
    """What Roboflow's augmentation makes of one photograph: turned and brightened, named alike."""
    for number in range(count):
        bgr = site.photos.take()
        rows: list[Row] = [] if site.layout == "folder" else [(0, 0.5, 0.5, 0.4, 0.4)]
        shots = []
        for place, split in enumerate(("train", "train", "valid")):
            turn = cv2.getRotationMatrix2D((bgr.shape[1] / 2, bgr.shape[0] / 2), 7 * place - 5, 1.1)
            made = cv2.warpAffine(bgr, turn, (bgr.shape[1], bgr.shape[0]))
            name = f"IMG_{4000 + 37 * number}_jpg.rf.{site.rng.integers(2**60):032x}.jpg"
            shots.append(site.add(split, name, jpeg(made), 0, rows))
        first, within, across = (shot.image for shot in shots)
        site.plant_pair("sibling-across", "turned by 7 degrees", first, across)
        for kind in ("sibling-across", "near-within"):
            site.allow(kind, first, within, across)


def plant_frames(site: Site, frames: list[np.ndarray]) -> None:
    """Frames of one video, one after the other, dealt to the splits in turn."""
    shots = []
    for number, bgr in enumerate(frames):
        split = ("train", "train", "train", "valid", "test")[number % 5]
        rows: list[Row] = [] if site.layout == "folder" else [(0, 0.5, 0.5, 0.4, 0.4)]
        shots.append(site.add(split, f"kitchen_frame_{100 + number:05d}.jpg", jpeg(bgr), 0, rows))
    for before, after in pairwise(shots):
        if before.split != after.split:
            site.plant_pair(("frame-across", "near-across"), "neighbours", before.image, after.image)
    for kind in ("frame-across", "near-across", "near-within"):
        site.allow(kind, *(shot.image for shot in shots))


def draw_video(rng: np.random.Generator, count: int, width: int, height: int) -> list[np.ndarray]:
    """A camera that pans slowly over a scene, with noise of its own in each frame."""
    scene = draw_photograph(rng, width * 2, height * 2)
    frames = []
    for number in range(count):
        x, y = int(width * 0.015 * number), int(height * 0.01 * number)
        noise = rng.normal(0, 5, (height, width, 3))
        frames.append(np.clip(scene[y : y + height, x : x + width] + noise, 0, 255).astype(np.uint8))
    return frames


def plant_strangers(site: Site) -> None:
    """Pictures of one make that show different things: names, sizes and colours alike, and nothing else."""
    for number, split in enumerate(("train", "valid", "test", "train", "valid", "test")):
        name = ("video_frame_{:05d}.jpg" if number < 3 else "cat.{}.jpg").format(number + 1)
        site.add(split, name, jpeg(site.photos.take()), 0, [] if site.layout == "folder" else [(0, 0.5, 0.5, 0.4, 0.4)])
    for number, split in enumerate(("train", "valid", "test")):
        colour = [(210, 40, 40), (40, 190, 60), (30, 60, 220)][number]
        flat = np.full((120, 160, 3), colour, np.uint8)
        site.add(split, f"flat-{number}.png", cv2.imencode(".png", flat)[1].tobytes(), 1, _one_box(site))
        chart = np.full((120, 160, 3), 255, np.uint8)
        heights = site.rng.integers(10, 100, 8)
        for bar, tall in enumerate(heights):
            cv2.rectangle(chart, (8 + 19 * bar, 115 - int(tall)), (20 + 19 * bar, 115), (160, 90, 30), -1)
        site.add(split, f"chart-{number}.png", cv2.imencode(".png", chart)[1].tobytes(), 1, _one_box(site))
        page = np.full((160, 120, 3), 252, np.uint8)
        for line in range(10):
            words = "".join(chr(97 + int(value)) for value in site.rng.integers(0, 26, 12))
            cv2.putText(page, words, (6, 14 + 15 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (20, 20, 20), 1, cv2.LINE_AA)
        site.add(split, f"page-{number}.png", cv2.imencode(".png", page)[1].tobytes(), 2, _one_box(site))


def plant_letterboxed(site: Site) -> None:
    """Photographs of a telephone, seconds apart, of different things on one floor, with black bars above and below.

    Roboflow's "fit (black edges)" makes such pictures; bars and floor are all that they share.
    """
    floor = cv2.GaussianBlur(site.rng.normal(0, 1, (150, 260, 3)), (0, 0), 9) * 60 + (120, 160, 190)
    for number in range(24):
        split = ("train", "train", "valid", "train", "test", "train")[number % 6]
        y, x = int(site.rng.integers(0, 30)), int(site.rng.integers(0, 60))
        picture = np.clip(floor[y : y + 120, x : x + 200] + site.rng.normal(0, 3, (120, 200, 3)), 0, 255)
        thing = cv2.resize(site.photos.take(), (int(site.rng.integers(50, 100)), int(site.rng.integers(40, 80))))
        h, w = thing.shape[:2]
        top, left = int(site.rng.integers(0, 120 - h)), int(site.rng.integers(0, 200 - w))
        picture[top : top + h, left : left + w] = thing
        bars = cv2.copyMakeBorder(picture.astype(np.uint8), 40, 40, 0, 0, cv2.BORDER_CONSTANT)
        name = f"IMG_20260314_{203500 + 7 * number}_jpg.rf.{site.rng.integers(2**60):032x}.jpg"
        site.add(split, name, jpeg(bars), 0, _one_box(site))


def _one_box(site: Site) -> list[Row]:
    return [] if site.layout == "folder" else [(0, 0.5, 0.5, 0.4, 0.4)]


def _put(site: Site, split: str, name: str, data: bytes, like: Shot) -> Shot:
    return site.add(split, name, data, like.class_id, like.rows)
