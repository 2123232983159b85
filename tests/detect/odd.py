"""A small dataset with the ugly files of real life in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers import make_picture, make_yolo_dataset

UNREADABLE = ("broken.jpg", "empty.png", "text.png")
ODD = ("cmyk.jpg", "deep.png", "grey.png", "turned.jpg", "alpha.png", "badend.jpg", "jpeg named.png", "ünïcode ☃.png")


def make_odd_dataset(root: Path) -> Path:
    """Ordinary pictures, odd ones and unreadable ones; one bad label row, one empty label, one without label."""
    make_yolo_dataset(root, {"train": 8, "valid": 4, "test": 2})
    images, labels = root / "train" / "images", root / "train" / "labels"
    rgb = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    picture = Image.fromarray(rgb)
    picture.convert("CMYK").save(images / "cmyk.jpg")
    Image.fromarray(rgb[:, :, 0].astype(np.uint16) * 257).save(images / "deep.png")
    picture.convert("L").save(images / "grey.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(images / "turned.jpg", exif=turned)
    picture.convert("RGBA").save(images / "alpha.png")
    make_picture(images / "badend.jpg")
    with (images / "badend.jpg").open("ab") as file:
        file.write(b"trailing bytes")
    picture.save(images / "jpeg named.png", format="JPEG")
    picture.save(images / "ünïcode ☃.png")
    for name in ODD:
        (labels / f"{Path(name).stem}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    (labels / "grey.txt").write_text("")
    (labels / "alpha.txt").unlink()
    (labels / "deep.txt").write_text("0 0.5 0.5 0.4 0.4\nnot a row\n")
    make_picture(images / "broken.jpg")
    (images / "broken.jpg").write_bytes((images / "broken.jpg").read_bytes()[:300])
    (images / "empty.png").write_bytes(b"")
    (images / "text.png").write_text("hello")
    for name in UNREADABLE:
        (labels / f"{Path(name).stem}.txt").write_text("1 0.5 0.5 0.4 0.4\n")
    return root


def hashes(root: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by path."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
