"""Checksums of the official pretrained detectors, and of those that this machine fetched before."""

from __future__ import annotations

import json
from pathlib import Path

from ..core.errors import DataError
from ..core.files import write_atomic
from ..core.isolation import cache_folder

# The sha256 of each file in Ultralytics' release v8.4.0. Ultralytics publishes no list; each value was found in two or
# more projects that do not copy from each other and that pin it. Where no two agree there is none here.
PUBLISHED: dict[str, str] = {
    "yolo26n.pt": "9b09cc8bf347f0fc8a5f7657480587f25db09b34bf33b0652110fb03a8ad4fef",
    "yolo26s.pt": "646f8bc3fe0a656803d95c294f7852321748cb29d13466a1af8862e2db384a1b",
    "yolo26m.pt": "401cea9ab23ad19246ff7744859816bc599f350e93c9dd30367b6f0a0745d0b7",
    "yolo26l.pt": "9fe3c544f2b19bebad7ea41e76d7ad3d88b7c2f10d11d24430c5311f6b32db26",
    "yolo26x.pt": "9fdd44a31c504547ffb81d2c6d9e6dac3493c8eaa8b0398d3f43bae6c7003e92",
    "yolo11n.pt": "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1",
    "yolo11s.pt": "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5",
    "yolo11m.pt": "d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95",
    "yolo11l.pt": "9ebd0e09d59811db4b1d61e2bc6730649608b1ac47f8dd01e2da6bca7c20023f",
    "yolo11x.pt": "7bc158aa95c0ebfdd87f70f01653c1131b93e92522dbe15c228bcd742e773a24",
    "yolov8n.pt": "f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36",
    "yolov8s.pt": "1f47a78bf100391c2a140b7ac73a1caae18c32779be7d310658112f7ac9aa78a",
    "yolov8m.pt": "5d4a90cdc7a21786cc59cd19778e9eafff836df9e2da32524737c7ee6efe4fe5",
    "yolov8l.pt": "64c9115303f6a25575f82200d1b22ec409fa6bd7d08d0313884fc20d919478cd",
    "yolov8x.pt": "3df4ada6b4dad6d657868f2fdf7faecfb34dcfccf3a25c4b82079064718524c8",
    "rtdetr-l.pt": "6de60b10d4bc566f00cda0f5b4d64afe4b66d48dc9695d2171effb7859d8e73f",
}
# The same detectors as they were published before release v8.2.0, which a mirror may still hold.
_EARLIER: dict[str, str] = {
    "yolov8n.pt": "31e20dde3def09e2cf938c7be6fe23d9150bbbe503982af13345706515f2ef95",
}


def accepted(asset: str) -> tuple[str, ...]:
    """The checksums that a file of this name may have when it is fetched: published, or the one it had before.

    Returns:
        sha256 in hexadecimal, the one to be expected first; nothing for a file that nobody knows.
    """
    if asset in PUBLISHED:
        return tuple(table[asset] for table in (PUBLISHED, _EARLIER) if asset in table)
    before = _read().get(asset)
    return (before,) if before else ()


def remember(asset: str, sha256: str) -> None:
    """Note what a file was when it was first fetched, so that another under its name is noticed."""
    write_atomic(_path(), json.dumps(_read() | {asset: sha256}, indent=1, sort_keys=True) + "\n")


def check_cached(path: Path, sha256: str) -> None:
    """Refuse a file of our cache that is not the one that was fetched.

    Raises:
        DataError: it was changed.
    """
    expected = accepted(path.name)
    if expected and sha256 not in expected:
        raise DataError(
            f"This file was changed after it was fetched: its sha256 is {sha256}, and was {expected[0]}.",
            where=path,
            next_step="remove it, and it will be fetched again",
        )


def _read() -> dict[str, str]:
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _path() -> Path:
    return cache_folder("pretrained") / "checksums.json"
