"""Odd pictures: one of each kind that cameras, scanners, web pages and fools make, damage to them, and bombs."""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import cache

import numpy as np
from PIL import ExifTags, Image

WIDTH, HEIGHT = 64, 48


@cache
def kinds() -> dict[str, bytes]:
    """File contents by a name with the suffix that such files have. All are whole pictures."""
    rgb = _picture()
    made: dict[str, bytes] = {}
    for quality in (30, 95):
        made[f"quality-{quality}.jpg"] = _saved(rgb, "JPEG", quality=quality)
    made["progressive.jpg"] = _saved(rgb, "JPEG", progressive=True)
    made["colour-444.jpg"] = _saved(rgb, "JPEG", subsampling=0)
    made["grey.jpg"] = _saved(rgb.convert("L"), "JPEG")
    made["print.jpg"] = _saved(rgb.convert("CMYK"), "JPEG")
    made["comment.jpg"] = _saved(rgb, "JPEG", comment=b"x" * 5000)
    for orientation in range(1, 9):
        made[f"turned-{orientation}.jpg"] = _saved(rgb, "JPEG", exif=_exif(orientation))
    made["two.jpg"] = _saved(rgb, "MPO", save_all=True, append_images=[rgb])
    for mode in ("RGB", "RGBA", "P", "1", "L", "LA", "I;16"):
        made[f"{mode.replace(';', '-')}.png"] = _saved(_of_mode(rgb, mode), "PNG")
    made["see-through.png"] = _saved(rgb.convert("P"), "PNG", transparency=3)
    made["turned.png"] = _saved(rgb, "PNG", exif=_exif(6))
    made["moving.png"] = _saved(rgb, "PNG", save_all=True, append_images=[rgb.rotate(180)])
    made["profile.png"] = _saved(rgb, "PNG", icc_profile=b"\0" * 300)
    made["lossy.webp"] = _saved(rgb, "WEBP")
    made["lossless.webp"] = _saved(rgb.convert("RGBA"), "WEBP", lossless=True)
    made["moving.webp"] = _saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)])
    made["plain.bmp"] = _saved(rgb, "BMP")
    made["palette.bmp"] = _saved(rgb.convert("P"), "BMP")
    for packing in ("raw", "tiff_lzw", "tiff_deflate", "packbits"):
        made[f"{packing}.tif"] = _saved(rgb, "TIFF", compression=packing)
    made["deep.tif"] = _saved(_of_mode(rgb, "I;16"), "TIFF")
    made["print.tif"] = _saved(rgb.convert("CMYK"), "TIFF")
    made["pages.tif"] = _saved(rgb, "TIFF", save_all=True, append_images=[rgb])
    made["png-called.jpg"] = made["RGB.png"]
    made["jpeg-called.png"] = made["quality-95.jpg"]
    made["gap.jpg"] = made["quality-95.jpg"] + b"\0" * 100
    return made


NO_PICTURES: dict[str, bytes] = {
    "empty.jpg": b"",
    "page.jpg": b"<!doctype html><html><body>404</body></html>",
    "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "script.png": b"%!PS\n(/etc/passwd) (r) file\n",
    "program.jpg": b"\x7fELF" + bytes(200),
    "noughts.png": bytes(5000),
    "magic.jpg": b"\xff\xd8\xff",
    "magic.png": b"\x89PNG\r\n\x1a\n",
    "magic.webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "magic.tif": b"II*\0\x08\0\0\0",
    "phone.jpg": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300),
    "text.bmp": b"BM" + b"hello" * 20,
}


def damaged(number: int) -> tuple[str, bytes]:
    """A picture with some damage: always the same for a number."""
    rng = random.Random(number)
    sources = list(kinds().items())
    name, data = rng.choice(sources)
    mutable = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        if mutable:
            _damage(mutable, rng, [other for _, other in sources])
    if name.endswith(".png") and rng.random() < 0.5:
        _mend_png(mutable)
    return f"{number:05d}-{name}", bytes(mutable)


def bombs() -> dict[str, bytes]:
    """Small files that ask for gigabytes, or for hours."""
    ihdr = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(30 << 20), 9)
    huge = _png([(b"IHDR", ihdr), (b"IDAT", rows), (b"IEND", b"")])
    wide = _png([(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 1, 8, 2, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")])
    flat = _png([(b"IHDR", struct.pack(">IIBBBBB", 7000, 7000, 16, 6, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")])
    jpeg, whole = bytearray(kinds()["quality-95.jpg"]), kinds()["RGB.png"]
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    scan = kinds()["progressive.jpg"]
    first = scan.index(b"\xff\xda")
    text = b"Comment\0\0" + zlib.compress(bytes(200 << 20), 9)
    loop = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 256, 4, 1, 64) + struct.pack("<I", 8)
    tall = bytearray(kinds()["raw.tif"])
    for tag in (256, 257):
        at = tall.index(struct.pack("<H", tag), 8 if tall[4:8] == b"\x08\0\0\0" else struct.unpack("<I", tall[4:8])[0])
        tall[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 60_000)
    return {
        "fifty-thousand.png": huge,
        "two-billion-wide.png": wide,
        "forty-nine-deep.png": flat,
        "sixty-five-thousand.jpg": bytes(jpeg),
        "ten-thousand-scans.jpg": scan[:first] + scan[first:-2] * 3000 + b"\xff\xd9",
        "text.png": _with_chunk(whole, b"zTXt", text),
        "profile.png": _with_chunk(whole, b"iCCP", text),
        "frames.png": _with_chunk(whole, b"acTL", struct.pack(">II", 2**31 - 1, 0)),
        "loop.tif": loop,
        "tall.tif": bytes(tall),
        "large.webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff" + bytes(8),
        "large.bmp": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0),
    }


def _picture() -> Image.Image:
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), "RGB")
    return coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def _of_mode(rgb: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    return rgb.convert(mode)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def _png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk behind its first."""
    return png[:33] + _png([(kind, data)])[8:] + png[33:]


def _damage(data: bytearray, rng: random.Random, others: list[bytes]) -> None:
    at = rng.randrange(len(data))
    if rng.random() < 0.3:  # headers are where the interesting numbers stand
        at = rng.randrange(min(len(data), 300))
    match rng.randrange(9):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            data[at] = rng.randrange(256)
        case 2:
            data[at : at + 4] = rng.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff"])
        case 3:
            del data[at : at + rng.randrange(1, 200)]
        case 4:
            data[at:at] = rng.randbytes(rng.randrange(1, 200))
        case 5:
            data[at : at + 200] = bytes(min(200, len(data) - at))
        case 6:
            del data[at:]
        case 7:
            data[at:at] = data[at : at + rng.randrange(1, 500)]
        case 8:
            other = rng.choice(others)
            data[at:] = other[rng.randrange(len(other)) :]


def _mend_png(data: bytearray) -> None:
    """Right sums over damaged chunks, so that not everything ends at the first of them."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            return
        data[at + 8 + length : at + 12 + length] = zlib.crc32(data[at + 4 : at + 8 + length]).to_bytes(4, "big")
        at += 12 + length
