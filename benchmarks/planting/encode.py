"""Picture files as cameras, phones, drawing programs and broken downloads make them."""

from __future__ import annotations

import io
import zlib
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms

from .site import jpeg

Bgr = np.ndarray


def pillow(bgr: Bgr) -> Image.Image:
    """The same picture for Pillow."""
    return Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1]))


def save(image: Image.Image, kind: str, options: dict[str, Any] | None = None) -> bytes:
    """The bytes of a picture file."""
    stream = io.BytesIO()
    image.save(stream, kind, **(options or {}))
    return stream.getvalue()


def plain(bgr: Bgr, kind: str) -> bytes:
    """An ordinary file of this kind."""
    return save(pillow(bgr), kind)


def in_mode(bgr: Bgr, mode: str, kind: str) -> bytes:
    """The picture in one of Pillow's modes: "L", "CMYK", "P", ..."""
    return save(pillow(bgr).convert(mode), kind)


def deep(bgr: Bgr, suffix: str, *, grey: bool) -> bytes:
    """16 bits a channel, all of them used."""
    wide = bgr.astype(np.uint16) * 257
    wide += np.arange(wide.shape[1], dtype=np.uint16)[None, :, None] % 97
    return cv2.imencode(suffix, wide[:, :, 1] if grey else wide)[1].tobytes()


def transparent(bgr: Bgr, mode: str, kind: str) -> bytes:
    """The left half half transparent, in mode "RGBA" or "LA"."""
    image = pillow(bgr)
    mask = Image.new("L", image.size, 255)
    mask.paste(96, (0, 0, image.width // 2, image.height))
    image.putalpha(mask)
    return save(image if mode == "RGBA" else image.convert(mode), kind)


def palette_with_hole(bgr: Bgr) -> bytes:
    """A palette PNG one of whose colours is transparent."""
    return save(pillow(bgr).quantize(64), "PNG", {"transparency": 3})


def animated(bgr: Bgr, kind: str) -> bytes:
    """Three frames that differ."""
    frames = [pillow(np.roll(bgr, 20 * step, axis=1)) for step in range(3)]
    return save(frames[0], kind, {"save_all": True, "append_images": frames[1:], "duration": 80})


def turned(bgr: Bgr, orientation: int, kind: str = "JPEG") -> bytes:
    """A picture whose EXIF says how it is to be turned."""
    exif = Image.Exif()
    exif[274] = orientation
    return save(pillow(bgr), kind, {"exif": exif} if kind != "TIFF" else {"tiffinfo": {274: orientation}})


def with_thumbnail(bgr: Bgr) -> tuple[bytes, int]:
    """A JPEG with a small JPEG in its EXIF, as cameras write it, and where that small one ends."""
    small = jpeg(cv2.resize(bgr, (80, 60), interpolation=cv2.INTER_AREA), 70)
    # Little-endian TIFF: an empty first directory that points to a second, which holds offset and length of the JPEG.
    tiff = b"II*\0\x08\0\0\0" + b"\0\0" + (14).to_bytes(4, "little") + (2).to_bytes(2, "little")
    start = len(tiff) + 2 * 12 + 4
    for tag, value in ((0x0201, start), (0x0202, len(small))):
        tiff += tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little")
        tiff += value.to_bytes(4, "little")
    body = b"Exif\0\0" + tiff + b"\0\0\0\0" + small
    head = b"\xff\xd8\xff\xe1" + (len(body) + 2).to_bytes(2) + body
    return head + jpeg(bgr)[2:], len(head)


def without_segment(data: bytes, marker: int) -> bytes:
    """A JPEG without its segments of one kind (0xEE is Adobe's)."""
    kept, position = data[:2], 2
    while data[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if data[position + 1] != marker:
            kept += data[position:end]
        position = end
    return kept + data[position:]


def with_profile(bgr: Bgr) -> bytes:
    """A JPEG with a colour profile."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return save(pillow(bgr), "JPEG", {"icc_profile": profile, "quality": 90})


def two_pictures(bgr: Bgr) -> bytes:
    """An MPO file as many phones and cameras write it under .jpg: the picture, and a second for depth or preview."""
    image = pillow(bgr)
    return save(image, "MPO", {"save_all": True, "append_images": [image.resize((64, 48))]})


def huge(bits: int = 1, side: int = 8192) -> bytes:
    """A small PNG file with 67 million pixels."""
    return save(Image.new("1" if bits == 1 else "L", (side, side)), "PNG")


def claims(bgr: Bgr, width: int, height: int) -> bytes:
    """A PNG whose header says that it is larger than it is."""
    data = bytearray(plain(bgr, "PNG"))
    data[16:24] = width.to_bytes(4) + height.to_bytes(4)
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    return bytes(data)


def cut(data: bytes, share: float) -> bytes:
    """The first part of a file."""
    return data[: int(len(data) * share)]


def flipped_byte(data: bytes) -> bytes:
    """One byte in the middle is another, as a bad disk leaves it."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
