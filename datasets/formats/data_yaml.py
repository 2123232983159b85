"""data.yaml: what is taken from one, and how ours is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from ...core.errors import DataError
from ...core.files import is_text
from ..model import Remark, Split

YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
"""What the file is called; the first that is there counts."""

_MOST_BYTES = 1 << 20
_LONGEST, _LONGEST_PART = 4000, 255  # a path, and one part of it in bytes
_NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
_KEYS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("val", "valid", "validation"),
    "test": ("test",),
}


def read_yaml(path: Path) -> dict[str, object]:
    """A data.yaml as text, lists and mappings; nothing in it is run and no value is converted.

    So a class called `no` or `01` keeps its name.

    Raises:
        DataError: it is not YAML, not a mapping, or larger than a megabyte.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError("data.yaml is larger than a megabyte; that is not what it is for.", where=path)
        text = path.read_bytes().decode("utf-8-sig")
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes nothing but text, lists, mappings
    except UnicodeDecodeError:
        raise DataError("data.yaml is not UTF-8 text.", where=path, next_step="save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        spot = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise DataError(f"data.yaml cannot be read{spot}.", where=path, next_step="correct it there") from None
    except RecursionError:
        raise DataError("data.yaml is nested too deeply.", where=path) from None
    if not isinstance(content, dict):
        raise DataError("data.yaml does not hold `key: value` lines.", where=path)
    return {str(key): value for key, value in content.items()}


def split_entries(content: dict[str, object], split: Split, path: Path | None) -> list[str]:
    """The folders that data.yaml names for a split, as written there; none when it is silent or says null.

    Raises:
        DataError: the entry is neither a path nor a list of paths.
    """
    value = next((content[key] for key in _KEYS[split] if content.get(key) not in (None, "")), None)
    entries = value if isinstance(value, list) else [value]
    if any(isinstance(entry, (dict, list)) for entry in entries):
        raise DataError(f"data.yaml: '{split}' must be a path or a list of paths.", where=path)
    entries = [str(entry).strip() for entry in entries if entry is not None]
    if any("\0" in entry or not is_text(entry) for entry in entries):
        raise DataError(f"data.yaml: the '{split}' path holds characters that no path can have.", where=path)
    if any(len(entry) > _LONGEST or max(map(len, entry.encode().split(b"/"))) > _LONGEST_PART for entry in entries):
        raise DataError(f"data.yaml: the '{split}' path is longer than any path can be.", where=path)
    return [entry for entry in entries if entry and entry.lower() not in {"null", "~"}]


def read_names(content: dict[str, object], root: Path, path: Path | None) -> tuple[tuple[str, ...], list[Remark]]:
    """The ordered class names: `names:` as a list or as `0: cat`, else the lines of a classes.txt; and remarks.

    Raises:
        DataError: there are no names, one is empty or stands twice, or the numbers have gaps.
    """
    given = content.get("names")
    if isinstance(given, dict):
        names = _numbered(given, path)
    elif isinstance(given, list):
        names = [str(name) for name in given if not isinstance(name, (dict, list))]
        if len(names) != len(given):
            raise DataError("data.yaml: every entry of `names` must be plain text.", where=path)
    else:
        names = _from_text_file(root)
    names = [name.strip() for name in names]
    if not names:
        raise DataError(
            "The class names are missing.",
            where=path or root,
            next_step="add a line such as `names: [cat, dog]` to data.yaml, in the order of the ids in the label files",
        )
    if not all(names):
        raise DataError(f"data.yaml: the class name number {names.index('')} is empty.", where=path or root)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"data.yaml: the class name '{twice[0]}' stands twice.", where=path or root)
    count = str(content.get("nc", len(names)))
    if count == str(len(names)):
        return tuple(names), []
    what = f"data.yaml: nc says {count}, but there are {len(names)} names."
    return tuple(names), [Remark("yaml-names", what, (path,) if path else ())]


def _numbered(given: dict[object, object], path: Path | None) -> list[str]:
    try:
        by_id = {int(str(key)): str(value) for key, value in given.items()}
    except ValueError:
        raise DataError("data.yaml: the keys of `names` must be the class ids 0, 1, 2, ...", where=path) from None
    if sorted(by_id) != list(range(len(by_id))):
        raise DataError("data.yaml: the class ids in `names` must run 0, 1, 2, ... without gaps.", where=path)
    return [by_id[number] for number in range(len(by_id))]


def _from_text_file(root: Path) -> list[str]:
    """The lines of the first file of class names that other tools leave."""
    homes = (root, root / "labels", root / "train", root / "train" / "labels", root / "labels" / "train")
    for path in (home / name for home in homes for name in _NAME_FILES):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MOST_BYTES:
            text = path.read_text(encoding="utf-8-sig", errors="replace")
            return [line for line in text.splitlines() if line.strip()]
    return []


def write_data_yaml(
    folder: Path, final: Path | None, splits: Mapping[Split, Sequence[str]], names: Sequence[str]
) -> None:
    """Write our own data.yaml.

    Args:
        folder: The folder to write it into.
        final: The absolute path that this folder will have, for `path:`; None leaves it out, so that the folder can be
            moved and sent: then paths count from data.yaml.
        splits: Picture folders of each split that has any, relative to the folder.
        names: Class names in order.
    """
    keys = {"train": "train", "valid": "val", "test": "test"}
    content: dict[str, object] = {} if final is None else {"path": str(final)}
    for split, places in splits.items():
        content[keys[split]] = places[0] if len(places) == 1 else list(places)
    if "val" not in content:
        content["val"] = None
    content |= {"nc": len(names), "names": list(names)}
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    (folder / "data.yaml").write_text(text, encoding="utf-8")
