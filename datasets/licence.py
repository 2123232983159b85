"""What a dataset says its licence is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import DataError
from .formats.data_yaml import read_yaml
from .formats.json_stream import entries

_LINE = re.compile(r"^[\s#*-]*licen[sc]e\**\s*:\**\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_READMES = ("README.dataset.txt", "README.roboflow.txt", "README.md", "README.txt", "README")
_MOST_BYTES = 1 << 20
_MOST_CHARACTERS = 200


def stated_licence(folder: Path, coco: Sequence[Path] = ()) -> str | None:
    """The licence as a dataset's own files state it: data.yaml, a README, or the COCO file; None when none does.

    Raises:
        DataError: data.yaml is damaged.
    """
    for name in ("data.yaml", "data.yml"):
        if (path := folder / name).is_file() and not path.is_symlink():
            content = read_yaml(path)
            about = content.get("roboflow")
            stated = about.get("license") if isinstance(about, dict) else content.get("license")
            if isinstance(stated, str) and stated:
                return stated[:_MOST_CHARACTERS]
    for path in (folder / name for name in _READMES):
        usable = path.is_file() and not path.is_symlink() and path.stat().st_size <= _MOST_BYTES
        if usable and (found := _LINE.search(path.read_text(encoding="utf-8", errors="replace"))):
            return found[1][:_MOST_CHARACTERS]
    for path in coco:
        if found := _of_coco(path):
            return found
    return None


def _of_coco(path: Path) -> str | None:
    """The names of `licenses`, where they stand before the pictures, as they do everywhere."""
    names: dict[str, None] = {}
    try:
        for key, entry in entries(path, {"licenses", "images", "annotations"}):
            if key != "licenses":
                break
            if isinstance(entry, dict) and entry.get("name"):
                names[str(entry["name"])] = None
    except DataError:  # the reader of the dataset says so
        return None
    return ", ".join(names)[:_MOST_CHARACTERS] or None
