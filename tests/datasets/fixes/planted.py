"""One fault of each kind that can be repaired, to be planted into a dataset of `make_yolo_dataset`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.read import open_dataset


def kinds_found(workspace: Workspace, name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for finding in check_dataset(open_dataset(name, workspace)).findings:
        found[finding.kind] = found.get(finding.kind, 0) + finding.count
    return found


def picture(root: Path, number: int, split: str = "train") -> Path:
    return root / split / "images" / f"{split}-{number:03d}.png"


def label(root: Path, number: int, split: str = "train") -> Path:
    return root / split / "labels" / f"{split}-{number:03d}.txt"


def write_with_pillow(path: Path, picture: Image.Image, **options: object) -> None:
    path.unlink(missing_ok=True)
    picture.save(path, **options)  # type: ignore[arg-type]


def rgb(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_CUBIC))


def plant_truncated(root: Path) -> None:
    path = picture(root, 1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def plant_misnamed(root: Path) -> None:
    write_with_pillow(picture(root, 4), rgb(104), format="JPEG")


def plant_cmyk(root: Path) -> None:
    picture(root, 5).unlink()
    write_with_pillow(picture(root, 5).with_suffix(".jpg"), rgb(105).convert("CMYK"), format="JPEG")


def plant_16_bit(root: Path) -> None:
    cv2.imwrite(str(picture(root, 6)), np.random.default_rng(6).integers(0, 65536, (48, 64, 3)).astype(np.uint16))


def plant_alpha(root: Path) -> None:
    seen = rgb(107)
    seen.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))))
    write_with_pillow(picture(root, 7), seen)


def plant_animated(root: Path) -> None:
    picture(root, 8).unlink()
    frames = [rgb(108), rgb(208)]
    write_with_pillow(
        picture(root, 8).with_suffix(".webp"), frames[0], format="WEBP", save_all=True, append_images=frames[1:]
    )


def plant_rotated(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(root, 9).unlink()
    write_with_pillow(picture(root, 9).with_suffix(".jpg"), rgb(109), format="JPEG", exif=exif, quality=95)


def plant_polygons(root: Path) -> None:
    label(root, 16).write_text("0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n")


def plant_copy_within(root: Path) -> None:
    shutil.copyfile(picture(root, 20), picture(root, 21))
    label(root, 21).write_text(label(root, 20).read_text() + "1 0.9 0.9 0.1 0.1\n")


def plant_copy_across(root: Path) -> None:
    shutil.copyfile(picture(root, 22), picture(root, 0, "test"))
    shutil.copyfile(label(root, 22), label(root, 0, "test"))


def plant_sibling_across(root: Path) -> None:
    for path, split, mark in ((picture(root, 23), "train", "a1"), (picture(root, 1, "valid"), "valid", "b2")):
        path.rename(path.with_name(f"street_jpg.rf.{mark}.png"))
        old = label(root, 23) if split == "train" else label(root, 1, "valid")
        old.rename(old.with_name(f"street_jpg.rf.{mark}.txt"))


def plant_near_across(root: Path) -> None:
    rng = np.random.default_rng(24)
    texture = cv2.resize(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(picture(root, 24)), texture)
    cv2.imwrite(str(picture(root, 2, "valid")), cv2.convertScaleAbs(texture[:, ::-1], alpha=0.8))


def add_line(number: int, line: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        label(root, number).write_text(label(root, number).read_text() + line)

    return plant


def write_yaml(extra: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        (root / "data.yaml").write_text((root / "data.yaml").read_text() + extra)

    return plant


PLANTED: dict[str, Callable[[Path], object]] = {
    "picture-unreadable": lambda root: picture(root, 0).write_bytes(b"<html>no picture</html>"),
    "picture-truncated": plant_truncated,
    "picture-empty": lambda root: picture(root, 2).write_bytes(b""),
    "picture-too-large": lambda root: write_with_pillow(picture(root, 3), Image.new("1", (8000, 8000))),
    "picture-misnamed": plant_misnamed,
    "picture-cmyk": plant_cmyk,
    "picture-16bit": plant_16_bit,
    "picture-alpha": plant_alpha,
    "picture-animated": plant_animated,
    "picture-rotated": plant_rotated,
    "picture-tiny": lambda root: write_with_pillow(picture(root, 10), Image.new("RGB", (5, 5))),
    "label-unknown-class": add_line(11, "9 0.5 0.5 0.1 0.1\n"),
    "label-nan": add_line(12, "0 nan 0.5 0.1 0.1\n"),
    "label-not-a-number": add_line(13, "cat 0.5 0.5 0.1 0.1\n"),
    "label-row-length": add_line(14, "0 0.5 0.5 0.1\n"),
    "label-out-of-range": add_line(15, "0 320 240 50 50\n"),
    "label-polygons-mixed": plant_polygons,
    "label-no-area": add_line(17, "0 0.5 0.5 0 0.1\n"),
    "label-duplicate": lambda root: label(root, 18).write_text(label(root, 18).read_text() * 2),
    "label-clipped": add_line(19, "0 0.95 0.5 0.2 0.1\n"),
    "label-decimal-comma": lambda root: label(root, 25).write_text("0 0,5 0,5 0,1 0,1\n"),
    "label-encoding": lambda root: label(root, 26).write_text("0 0.5 0.5 0.1 0.1\n", encoding="utf-16"),
    "label-without-picture": lambda root: (root / "train" / "labels" / "stray.txt").write_text("0 0.5 0.5 0.1 0.1\n"),
    "cache-file": lambda root: (root / "train" / "labels.cache").write_bytes(b"\x80\x04pickle"),
    "yaml-download": write_yaml("download: https://example.org/x.zip\n"),
    "yaml-path": write_yaml(""),
    "copy-within": plant_copy_within,
    "copy-across": plant_copy_across,
    "sibling-across": plant_sibling_across,
    "near-across": plant_near_across,
}
