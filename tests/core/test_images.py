"""The one decoder: every odd picture means what a person sees, or is refused with a reason."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lensmith.core.image_parts import reaches_jpeg_end
from lensmith.core.images import (
    ImageError,
    inspect_bytes,
    inspect_image,
    read_image,
    write_image,
)
from lensmith.core.small_images import decode_small


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


@pytest.mark.parametrize("kind", ["empty", "text", "cut JPEG", "cut PNG", "bomb", "folder", "pipe", "missing"])
def test_unusable_files_are_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.jpg" if kind == "cut JPEG" else "a.png")
    words = {"empty": "empty", "text": "not a picture", "cut JPEG": "cut short", "cut PNG": "cut short|damaged",
             "bomb": "megapixels", "folder": "folder", "pipe": "no ordinary", "missing": "no such file"}  # fmt: skip
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
    elif kind == "pipe":
        os.mkfifo(path)
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


def _photo(size: tuple[int, int] = (640, 480), **options: object) -> bytes:
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    coarse.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def _exif_with_thumbnail() -> bytes:
    """An APP1 segment that holds a whole small JPEG, end marker included."""
    thumbnail = _photo((64, 48))
    body = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture(tmp_path: Path, share: float, progressive: bool) -> None:
    photo = _photo(progressive=progressive)
    whole = photo[:2] + _exif_with_thumbnail() + photo[2:]
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert inspect_image(path).plain
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ImageError, match="cut short") as caught:
        inspect_image(path)
    assert caught.value.fault == "truncated"


def _with(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("zeros", lambda data: _with(data, len(data) // 2, bytes(300))),
        ("a piece is missing", lambda data: data[: len(data) // 2] + data[len(data) // 2 + 300 :]),
        ("cut off, and an end put on", lambda data: data[: len(data) // 2] + b"\xff\xd9"),
        ("a marker where none belongs", lambda data: _with(data, len(data) // 2, b"\xff\x31")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damage_is_noticed_though_the_end_is_there(what: str, change: Callable[[bytes], bytes]) -> None:
    data = change(_photo())
    with pytest.raises(ImageError, match=r"damaged|cut short"):
        decode_small(data, None, inspect_bytes(data, None), 56)


@pytest.mark.parametrize(
    "data",
    [
        _photo(),
        _photo(progressive=True),
        _photo() + b"trailing bytes",
        _photo()[:-2] + b"\0\0\xff\xd9",
        _photo()[:2] + _exif_with_thumbnail() + _photo()[2:],
        _photo(subsampling=0),
        _photo(restart_marker_blocks=4),
    ],
)
def test_nothing_is_wrong_with_odd_but_whole_photographs(data: bytes) -> None:
    grey = decode_small(data, None, inspect_bytes(data, None), 100)
    assert grey.dtype == np.uint8
    assert 100 <= grey.shape[1] <= 320


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_small_picture_is_upright_like_the_large_one(tmp_path: Path, suffix: str) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        path = tmp_path / f"{orientation}{suffix}"
        Image.fromarray(_gradient(400, 240)).save(path, exif=exif, quality=95)
        data = path.read_bytes()
        small = decode_small(data, path, inspect_bytes(data, path), 60)
        large = cv2.resize(read_image(path), small.shape[::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - cv2.cvtColor(large, cv2.COLOR_BGR2GRAY)).mean() < 3, path.name


@pytest.mark.parametrize(
    ("mode", "suffix", "bits", "transparent", "frames"),
    [
        ("RGB", ".png", 8, False, 1),
        ("RGBA", ".png", 8, True, 1),
        ("LA", ".png", 8, True, 1),
        ("I;16", ".png", 16, False, 1),
        ("I;16", ".tif", 16, False, 1),
        ("RGBA", ".webp", 8, True, 1),
        ("RGB", ".webp", 8, False, 3),
        ("RGB", ".tif", 8, False, 3),
        ("RGB", ".png", 8, False, 3),
    ],
)
def test_what_the_header_says(
    tmp_path: Path, mode: str, suffix: str, bits: int, transparent: bool, frames: int
) -> None:
    first = Image.fromarray(_gradient())
    if mode == "I;16":
        first = Image.fromarray(np.arange(960, dtype=np.uint16).reshape(24, 40) * 60)
    else:
        first = first.convert(mode)
    if transparent:
        first.putalpha(90)
    path = tmp_path / f"a{suffix}"
    more = [first.rotate(90 * turn) for turn in range(1, frames)]
    first.save(path, **({"save_all": True, "append_images": more} if more else {}))
    info = inspect_image(path)
    assert (info.bits, info.transparent, info.frames, info.misnamed) == (bits, transparent, frames, False)
    assert info.plain is (suffix == ".png" and mode == "RGB" and frames == 1)


@pytest.mark.parametrize("end", [b"\xff\xe1\x00\x04ab", b"\xff\xe1\xff\xff", b"\xff" * 1000, b"\xff\xe1\x00\x00"])
def test_a_jpeg_without_end_is_gone_through_once(end: bytes) -> None:
    class Counted(bytes):
        looked_at = 0

        def find(self, what: bytes, start: int = 0) -> int:  # type: ignore[override]
            found = super().find(what, start)
            Counted.looked_at += (len(self) if found < 0 else found) - start
            return found

        def __getitem__(self, key):
            Counted.looked_at += 1
            return super().__getitem__(key)

    whole = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    assert reaches_jpeg_end(whole)
    assert reaches_jpeg_end(whole[:-2] + b"\xff" * 1000 + b"\xff\xd9")
    data = Counted(whole[:-2] + end + bytes(16 << 20))
    assert not reaches_jpeg_end(data)
    assert Counted.looked_at < 2 * len(data)
