"""What was found out once about a bundle on this machine, kept in the cache until anything of it changes."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from importlib import metadata
from typing import Any

from ...core.files import sha256_of, write_atomic
from ...core.isolation import cache_folder
from ...weights.bundle import BUNDLE_NAME, Bundle

_LIBRARIES = {
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "ultralytics": ("ultralytics", "torch"),
    "keras": ("keras", "tensorflow", "torch"),
    "tensorrt": ("tensorrt", "torch"),
}
_LARGEST_BYTES = 1 << 16


class Memo:
    """One small JSON object in the cache.

    Args:
        kind: The folder of the cache: "golden", "engine".
        bundle: What it is about. bundle.json carries the hash of every file in the bundle, so its own hash stands for
            all of it.
        engines: Whose libraries' versions count.
        more: Whatever else must be the same: the device, the number of cores.
    """

    def __init__(self, kind: str, bundle: Bundle, engines: Iterable[str], *more: object) -> None:
        parts = [sha256_of(bundle.folder / BUNDLE_NAME), platform.node(), platform.machine(), *map(str, more)]
        for engine in engines:
            parts.append(engine)
            parts.extend(f"{library} {_version(library)}" for library in _LIBRARIES.get(engine, ()))
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
        self._path = cache_folder(kind) / f"{key}.json"

    def read(self) -> dict[str, Any] | None:
        """What was kept; None where nothing was, or it is damaged."""
        try:
            with self._path.open("rb") as file:
                found = json.loads(file.read(_LARGEST_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def keep(self, found: dict[str, Any]) -> None:
        """Keep this; where the cache cannot be written, it is found out again next time."""
        try:
            write_atomic(self._path, json.dumps(found) + "\n")
        except OSError:
            return


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "none"
