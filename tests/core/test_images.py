"""The one decoder: every odd picture means what a person sees, or is refused with a reason."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lensmith.core.images import ImageError, inspect_image, read_image, write_image


def _gradient(width: int = 40, height: int = 24) -> np.ndarray:
    """RGB: red grows to the right, green downwards."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 60)], axis=2).astype(np.uint8)


def _save(path: Path, kind: str) -> Path:
    rgb = Image.fromarray(_gradient())
    match kind:
        case "plain JPEG":
            rgb.save(path, quality=95)
        case "CMYK":
            rgb.convert("CMYK").save(path, quality=95)
        case "alpha":
            rgb.putalpha(200)
            rgb.save(path)
        case "palette":
            rgb.quantize(64).save(path)
        case "PNG named jpg":
            rgb.save(path, format="PNG")
        case "turned":  # stored lying on its side, EXIF 6: turn right to see it upright
            exif = Image.Exif()
            exif[274] = 6
            rgb.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    return path


@pytest.mark.parametrize(
    ("kind", "name", "plain"),
    [
        ("plain JPEG", "a.jpg", True),
        ("CMYK", "a.jpg", False),
        ("alpha", "a.png", False),
        ("palette", "a.png", False),
        ("PNG named jpg", "a.jpg", False),
        ("turned", "a.jpg", False),
    ],
)
def test_every_kind_decodes_to_what_a_person_sees(tmp_path: Path, kind: str, name: str, plain: bool) -> None:
    path = _save(tmp_path / name, kind)
    info = inspect_image(path)
    bgr = read_image(path)
    assert (info.width, info.height) == (40, 24)
    assert info.plain is plain
    assert bgr.shape == (24, 40, 3)
    assert np.abs(bgr[:, :, ::-1].astype(int) - _gradient()).mean() < 8


def test_grey_and_16_bit_become_three_8_bit_channels(tmp_path: Path) -> None:
    grey = np.tile(np.arange(0, 250, 10, dtype=np.uint8), (20, 1))
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name in ("grey.png", "deep.png"):
        bgr = read_image(tmp_path / name)
        assert bgr.dtype == np.uint8
        assert np.array_equal(bgr, np.repeat(grey[:, :, None], 3, axis=2)), name


def _bomb(path: Path) -> Path:
    """A PNG of a few hundred bytes that declares 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "cut JPEG", "cut PNG", "bomb", "folder", "missing"])
def test_unusable_files_are_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.jpg" if kind == "cut JPEG" else "a.png")
    words = {"empty": "empty", "text": "not a picture", "cut JPEG": "cut short", "cut PNG": "cut short|damaged",
             "bomb": "megapixels", "folder": "folder", "missing": "no such file"}  # fmt: skip
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("hello")
    elif kind.startswith("cut"):
        Image.effect_noise((200, 200), 80).save(path)
        path.write_bytes(path.read_bytes()[:4000])
    elif kind == "bomb":
        _bomb(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(ImageError, match=words[kind]):
        read_image(path)


def test_rotation_is_the_same_for_all_eight_orientations(tmp_path: Path) -> None:
    upright = _gradient()
    turns = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    for suffix in (".jpg", ".png"):
        for orientation, turn in turns.items():
            exif = Image.Exif()
            exif[274] = orientation
            picture = Image.fromarray(upright)
            path = tmp_path / f"{orientation}{suffix}"
            (picture.transpose(turn) if turn is not None else picture).save(path, exif=exif, quality=95)
            bgr = read_image(path)
            assert bgr.shape == (24, 40, 3), path.name
            assert np.abs(bgr[:, :, ::-1].astype(int) - upright).mean() < 8, path.name


def test_writing_round_trips(tmp_path: Path) -> None:
    bgr = np.ascontiguousarray(_gradient()[:, :, ::-1])
    write_image(tmp_path / "ü ö.png", bgr)
    assert np.array_equal(read_image(tmp_path / "ü ö.png"), bgr)
    with pytest.raises((OSError, cv2.error)):
        write_image(tmp_path / "a.unknown", bgr)
