"""Records of older bundles, read as if this version had written them. The file itself is never rewritten.

Each step takes the plain content of one schema version to the next, so that a change of the schema needs one function.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from ..core.install import pip_command
from .record import SCHEMA_VERSION

Content = dict[str, Any]


def _to_2(old: Content) -> Content:
    """Version 2 knows where a bundle comes from, and files in folders. Until then every bundle was trained here."""
    return {**old, "schema_version": 2, "origin": "trained", "exported": None}


_STEPS: dict[int, Callable[[Content], Content]] = {1: _to_2}


def migrated(content: object, path: Path) -> Content:
    """What a `bundle.json` holds, as the schema of this version has it.

    Args:
        content: As parsed from JSON.
        path: The file, for messages.

    Raises:
        DataError: it is no record, says no version, or a newer Lensmith made it.
    """
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError("bundle.json cannot be used: schema_version: it says no version", where=path)
    if version > SCHEMA_VERSION:
        raise DataError(
            f"This model was made by a newer Lensmith: its record has schema version {version}, and Lensmith"
            f" {metadata.version('lensmith')}, which is installed here, knows versions up to {SCHEMA_VERSION}.",
            where=path,
            next_step=pip_command("-U lensmith"),
        )
    while version < SCHEMA_VERSION:
        content = _STEPS[version](content)
        version += 1
    return content
