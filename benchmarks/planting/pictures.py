"""Faults of picture files, one picture each, and odd but good files that must not be called faulty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from . import encode as e
from .site import Site, jpeg

_HTML = (
    b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>" + b"<p>gone</p>" * 60 + b"</body></html>"
)
_DAMAGED = ("picture-truncated", "picture-unreadable")


class Fault(NamedTuple):
    """What is planted, in words; the suffix of the file; and the file's bytes made of a good picture."""

    kind: str | tuple[str, ...]
    variant: str
    suffix: str
    make: Callable[[np.ndarray], bytes]
    also: tuple[str, ...] = ()


def _after_thumbnail(bgr: np.ndarray) -> bytes:
    data, end = e.with_thumbnail(bgr)
    return data[: end + 40]


def _padded(bgr: np.ndarray) -> bytes:
    data = jpeg(bgr)
    return e.cut(data, 0.5) + bytes(len(data) - len(data) // 2)


FAULTS: tuple[Fault, ...] = (
    Fault("picture-empty", "JPEG of no bytes", ".jpg", lambda _: b""),
    Fault("picture-empty", "PNG of no bytes", ".png", lambda _: b""),
    Fault("picture-truncated", "JPEG after 10%", ".jpg", lambda p: e.cut(jpeg(p), 0.1)),
    Fault("picture-truncated", "JPEG after 50%", ".jpg", lambda p: e.cut(jpeg(p), 0.5)),
    Fault("picture-truncated", "JPEG after 99%", ".jpg", lambda p: e.cut(jpeg(p), 0.99)),
    Fault("picture-truncated", "JPEG with a thumbnail after 60%", ".jpg", lambda p: e.cut(e.with_thumbnail(p)[0], 0.6)),
    Fault(_DAMAGED, "JPEG right after its thumbnail", ".jpg", _after_thumbnail),
    Fault(_DAMAGED, "JPEG inside its thumbnail", ".jpg", lambda p: e.with_thumbnail(p)[0][:900]),
    Fault(_DAMAGED, "JPEG after 50%, filled up with zeros", ".jpg", _padded),
    Fault(_DAMAGED, "JPEG after 50%, then an end marker", ".jpg", lambda p: e.cut(jpeg(p), 0.5) + b"\xff\xd9"),
    Fault(
        "picture-truncated",
        "progressive JPEG after 40%",
        ".jpg",
        lambda p: e.cut(e.save(e.pillow(p), "JPEG", {"progressive": True}), 0.4),
    ),
    Fault("picture-truncated", "PNG after 10%", ".png", lambda p: e.cut(e.plain(p, "PNG"), 0.1)),
    Fault("picture-truncated", "PNG after 50%", ".png", lambda p: e.cut(e.plain(p, "PNG"), 0.5)),
    Fault("picture-truncated", "PNG after 99%", ".png", lambda p: e.cut(e.plain(p, "PNG"), 0.99)),
    Fault(_DAMAGED, "PNG with one byte changed", ".png", lambda p: e.flipped_byte(e.plain(p, "PNG"))),
    Fault(_DAMAGED, "WebP after 50%", ".webp", lambda p: e.cut(e.plain(p, "WEBP"), 0.5)),
    Fault(_DAMAGED, "BMP after 50%", ".bmp", lambda p: e.cut(e.plain(p, "BMP"), 0.5)),
    Fault(_DAMAGED, "TIFF after 50%", ".tif", lambda p: e.cut(e.plain(p, "TIFF"), 0.5)),
    Fault(_DAMAGED, "JPEG after 20 bytes", ".jpg", lambda p: jpeg(p)[:20]),
    Fault("picture-unreadable", "web page called .jpg", ".jpg", lambda _: _HTML),
    Fault("picture-unreadable", "text called .png", ".png", lambda _: b"not found\n"),
    Fault("picture-unreadable", "zeros called .jpg", ".jpg", lambda _: bytes(9000)),
    Fault("picture-unreadable", "noise called .png", ".png", lambda p: p.tobytes()[:5000]),
    Fault("picture-unreadable", "archive called .jpg", ".jpg", lambda _: b"PK\3\4" + bytes(400)),
    Fault(
        "picture-unreadable",
        "HEIC header called .jpg",
        ".jpg",
        lambda _: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(800),
    ),
    Fault("picture-misnamed", "PNG called .jpg", ".jpg", lambda p: e.plain(p, "PNG")),
    Fault("picture-misnamed", "JPEG called .png", ".png", jpeg),
    Fault("picture-misnamed", "WebP called .png", ".png", lambda p: e.plain(p, "WEBP")),
    Fault("picture-misnamed", "WebP called .jpg", ".jpg", lambda p: e.plain(p, "WEBP")),
    Fault("picture-misnamed", "BMP called .jpeg", ".jpeg", lambda p: e.plain(p, "BMP")),
    Fault("picture-misnamed", "TIFF called .png", ".png", lambda p: e.plain(p, "TIFF")),
    Fault("picture-cmyk", "CMYK JPEG with Adobe's marker", ".jpg", lambda p: e.in_mode(p, "CMYK", "JPEG")),
    Fault(
        "picture-cmyk", "CMYK JPEG without it", ".jpg", lambda p: e.without_segment(e.in_mode(p, "CMYK", "JPEG"), 0xEE)
    ),
    Fault("picture-cmyk", "CMYK TIFF", ".tif", lambda p: e.in_mode(p, "CMYK", "TIFF")),
    Fault("picture-16bit", "grey PNG", ".png", lambda p: e.deep(p, ".png", grey=True)),
    Fault("picture-16bit", "colour PNG", ".png", lambda p: e.deep(p, ".png", grey=False)),
    Fault("picture-16bit", "grey TIFF", ".tif", lambda p: e.deep(p, ".tif", grey=True)),
    Fault("picture-16bit", "colour TIFF", ".tif", lambda p: e.deep(p, ".tif", grey=False)),
    Fault("picture-alpha", "RGBA PNG", ".png", lambda p: e.transparent(p, "RGBA", "PNG")),
    Fault("picture-alpha", "grey PNG with alpha", ".png", lambda p: e.transparent(p, "LA", "PNG")),
    Fault("picture-alpha", "palette PNG with a transparent colour", ".png", e.palette_with_hole),
    Fault("picture-alpha", "RGBA WebP", ".webp", lambda p: e.transparent(p, "RGBA", "WEBP")),
    Fault("picture-alpha", "RGBA TIFF", ".tif", lambda p: e.transparent(p, "RGBA", "TIFF")),
    Fault("picture-animated", "APNG", ".png", lambda p: e.animated(p, "PNG")),
    Fault("picture-animated", "animated WebP", ".webp", lambda p: e.animated(p, "WEBP"), ("picture-alpha",)),
    Fault("picture-animated", "TIFF of three pages", ".tif", lambda p: e.animated(p, "TIFF")),
    Fault(
        ("picture-animated", "picture-misnamed", "picture-unreadable"),
        "animated GIF called .png",
        ".png",
        lambda p: e.animated(p, "GIF"),
    ),
    *(Fault("picture-rotated", f"JPEG orientation {n}", ".jpg", lambda p, n=n: e.turned(p, n)) for n in range(2, 9)),
    Fault("picture-rotated", "PNG orientation 6", ".png", lambda p: e.turned(p, 6, "PNG")),
    Fault("picture-rotated", "WebP orientation 8", ".webp", lambda p: e.turned(p, 8, "WEBP")),
    Fault("picture-rotated", "TIFF orientation 6", ".tif", lambda p: e.turned(p, 6, "TIFF")),
    Fault("picture-tiny", "1 x 1", ".png", lambda p: e.plain(p[:1, :1], "PNG")),
    Fault("picture-tiny", "3 x 2", ".png", lambda p: e.plain(p[:2, :3], "PNG")),
    Fault("picture-tiny", "5 x 6", ".jpg", lambda p: jpeg(p[:6, :5])),
    Fault("picture-too-large", "67 megapixels in a small PNG", ".png", lambda _: e.huge()),
    Fault(
        "picture-too-large", "a header that says 200 megapixels", ".png", lambda p: e.claims(p, 20000, 10000), _DAMAGED
    ),
)


class Good(NamedTuple):
    """An odd file that any library decodes to the right pixels."""

    variant: str
    name: str
    make: Callable[[np.ndarray], bytes]


GOOD: tuple[Good, ...] = (
    Good("JPEG with a colour profile", "{}.jpg", e.with_profile),
    Good("RGB JPEG with Adobe's marker", "{}.jpg", lambda p: e.save(e.pillow(p), "JPEG", {"keep_rgb": True})),
    Good("grey JPEG", "{}.jpg", lambda p: e.in_mode(p, "L", "JPEG")),
    Good("grey PNG", "{}.png", lambda p: e.in_mode(p, "L", "PNG")),
    Good("progressive JPEG", "{}.jpg", lambda p: e.save(e.pillow(p), "JPEG", {"progressive": True})),
    Good("JPEG with zeros after its end", "{}.jpg", lambda p: jpeg(p) + bytes(2048)),
    Good("JPEG with text after its end", "{}.jpg", lambda p: jpeg(p) + b"\r\nSamsung trailer 0123456789"),
    Good("JPEG with a thumbnail", "{}.jpg", lambda p: e.with_thumbnail(p)[0]),
    Good("JPEG orientation 1", "{}.jpg", lambda p: e.turned(p, 1)),
    Good("JPEG orientation 0, which means nothing", "{}.jpg", lambda p: e.turned(p, 0)),
    Good(
        "JPEG with restart markers",
        "{}.jpg",
        lambda p: cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_RST_INTERVAL, 4])[1].tobytes(),
    ),
    Good("JPEG of two pictures (MPO)", "{}.jpg", e.two_pictures),
    Good("JPEG called .jpeg", "{}.jpeg", jpeg),
    Good("JPEG called .JPG", "{}.JPG", jpeg),
    Good("palette PNG", "{}.png", lambda p: e.save(e.pillow(p).quantize(128), "PNG")),
    Good("PNG with bytes after its end", "{}.png", lambda p: e.plain(p, "PNG") + b"trailing"),
    Good("PNG called .PNG", "{}.PNG", lambda p: e.plain(p, "PNG")),
    Good("BMP", "{}.bmp", lambda p: e.plain(p, "BMP")),
    Good("TIFF", "{}.tiff", lambda p: e.plain(p, "TIFF")),
    Good("WebP", "{}.webp", lambda p: e.plain(p, "WEBP")),
    Good("WebP without loss", "{}.webp", lambda p: e.save(e.pillow(p), "WEBP", {"lossless": True})),
    Good("very wide JPEG", "{}.jpg", lambda p: jpeg(np.hstack([p[:60], p[-60:, ::-1], p[20:80]]))),
    Good("name with spaces, brackets and letters of other scripts", "{} (Kopie) ä 猫.jpg", jpeg),
    Good(
        "28 pixels wide, as digits are",
        "{}.png",
        lambda p: e.plain(cv2.resize(p, (28, 28), interpolation=cv2.INTER_AREA), "PNG"),
    ),
    Good("one colour: red", "{}.png", lambda _: e.plain(np.full((96, 128, 3), (40, 40, 210), np.uint8), "PNG")),
    Good("one colour: blue", "{}.png", lambda _: e.plain(np.full((96, 128, 3), (200, 70, 20), np.uint8), "PNG")),
    Good("one colour: grey", "{}.jpg", lambda _: jpeg(np.full((96, 128, 3), 140, np.uint8))),
)


def plant_picture_faults(site: Site, faults: tuple[Fault, ...] = FAULTS) -> None:
    """Put each fault in the place of a clean picture; its label stays right."""
    for fault in faults:
        shot = site.take()
        data = fault.make(shot.bgr())
        shot.image = _replace(shot.image, shot.image.with_suffix(fault.suffix), data)
        if site.layout == "folder":
            shot.label = shot.image
        site.plant(fault.kind, fault.variant, shot.image, shot.label)
        for kind in fault.also:
            site.allow(kind, shot.image, shot.label)


def plant_good_pictures(site: Site, good: tuple[Good, ...] = GOOD) -> None:
    """Put each odd but good file in the place of a clean picture; nothing is to be found there."""
    for row in good:
        shot = site.take()
        data = row.make(shot.bgr())
        shot.image = _replace(shot.image, shot.image.with_name(row.name.format(shot.image.stem)), data)
        if site.layout == "folder":
            shot.label = shot.image
        elif site.layout == "yolo":
            shot.label = shot.label.rename(shot.label.with_name(shot.image.stem + ".txt"))


def _replace(old: Path, new: Path, data: bytes) -> Path:
    old.unlink()
    new.write_bytes(data)
    return new
