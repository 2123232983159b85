"""Where COCO files lie, which split each is of, and which pictures on disk its names mean. Nothing leaves the root."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.images import is_image
from ..model import SPLITS, Remark, Split
from .coco_index import CocoIndex
from .pictures import FOLDER_NAMES, Inside, is_inside, walk_pictures

_SNIFFED_BYTES = 1 << 16
_MANY_FILES = 50
_LISTS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
_USUAL = re.compile(r"coco|instances|annotations|train|val|test", re.IGNORECASE)
_OTHER_KINDS = ("captions_", "stuff_", "panoptic_", "person_keypoints_", "image_info_")
_PROBES = 64
_HOMES = ("", "images", "data", "JPEGImages")


@dataclass
class Source:
    """One COCO file with its split and the folder of its pictures.

    Attributes:
        class_of: int64 `(categories,)`, the class id of each category, -1 for none.
    """

    index: CocoIndex
    split: Split
    base: Path
    class_of: np.ndarray


Places = tuple[tuple[int, int], ...]
Pictures = dict[Split, dict[str, Places]]
"""Pictures by split and by path below the root: which sources list it and at which place there; empty for none."""


def coco_files(root: Path, found: Sequence[Path]) -> list[Path]:
    """Those JSON files of a dataset that hold COCO boxes, sorted.

    Args:
        root: The dataset's folder, resolved.
        found: All its JSON files. Where there are very many, only usual names are looked into.
    """
    many = len(found) > _MANY_FILES
    files = [
        path
        for path in sorted(found)
        if (not many or _USUAL.search(path.name))
        and is_inside(path, root)
        and path.is_file()
        and _looks_like_coco(path)
    ]
    return [path for path in files if not path.name.lower().startswith(_OTHER_KINDS)] or files


def _looks_like_coco(path: Path) -> bool:
    if path.name.lower().endswith(".coco.json"):
        return True
    with path.open("rb") as file:
        return _LISTS.search(file.read(_SNIFFED_BYTES).replace(b"\0", b"")) is not None


def splits_of(root: Path, files: Sequence[Path], remarks: list[Remark]) -> list[Split]:
    """The split of each file: by its name, else by the folders it lies in; "train" where neither tells."""
    splits: list[Split] = [_split_of(root, path) or "train" for path in files]
    if not any(_split_of(root, path) for path in files):
        remarks.append(Remark("split-none", "The dataset has no splits; all pictures count as training pictures."))
    return splits


def _split_of(root: Path, path: Path) -> Split | None:
    for part in (path.stem, *reversed(path.relative_to(root).parts[:-1])):
        words = set(re.findall(r"[a-z]+", part.lower()))
        for split in SPLITS:
            if words & set(FOLDER_NAMES[split]):
                return split
    return None


def picture_base(root: Path, index: CocoIndex, split: Split) -> Path:
    """The folder that a file's names are meant from: the one under which most of them, by a sample, are there."""
    stem_parts = [part for part in re.split(r"[_.]", index.path.stem) if part]
    own = [index.path.parent, index.path.parent.parent, root]
    named = ["", *stem_parts[-1:], *FOLDER_NAMES[split]]
    candidates = dict.fromkeys(
        folder
        for home in own
        for name in named
        for pattern in ((name, below) if name else (below,) for below in _HOMES)
        for folder in (home.joinpath(*pattern), home.joinpath(*reversed(pattern)))
        if folder.is_dir() and is_inside(folder, root)
    )
    step = max(1, len(index.file_names) // _PROBES)
    sample = index.file_names[::step][:_PROBES]
    return max(candidates, key=lambda folder: sum(_locate(folder, name) is not None for name in sample), default=root)


def _locate(base: Path, name: str) -> str | None:
    """The path of a picture that a file calls `name`, or None: `../`, drives and addresses count for nothing."""
    parts = [part for part in re.split(r"[\\/]+", name.split("?")[0]) if part not in {"", ".", ".."}]
    for start in range(len(parts)):
        path = os.path.join(base, *parts[start:])  # noqa: PTH118 - for each of a hundred thousand pictures
        if os.path.isfile(path):  # noqa: PTH113
            return path
    return None


def find_pictures(root: Path, sources: Sequence[Source], remarks: list[Remark]) -> tuple[Pictures, list[Path]]:
    """The pictures that are there, listed or not, and where those should be that are listed and are not.

    A picture of two splits counts for the first, and one that several files of a split list has the annotations of all
    of them. One that no file lists belongs to the split whose folder it lies in,
    and to none where several splits share the folder.
    """
    pictures: Pictures = {split: {} for split in SPLITS}
    missing: list[Path] = []
    taken: dict[str, Split] = {}
    shared = 0
    inside = Inside(root)
    for number, source in sorted(enumerate(sources), key=lambda pair: SPLITS.index(pair[1].split)):
        for place, name in enumerate(source.index.file_names):
            path = _locate(source.base, name)
            if path is None or not is_image(Path(path)) or not inside.holds(path):
                tail = re.split(r"[\\/]+", name)[-1].split("?")[0]
                missing.append(source.base / (tail if tail not in {"", ".", ".."} else "picture"))
                continue
            below = Path(path).relative_to(root).as_posix()
            if taken.setdefault(below, source.split) == source.split:
                pictures[source.split][below] = (*pictures[source.split].get(below, ()), (number, place))
            else:
                shared += 1
    if shared:
        what = f"{shared} pictures are listed in two splits; each counts in the first of train, valid, test only."
        remarks.append(Remark("split-shared", what, tuple(source.index.path for source in sources)))
    merged = sum(len({n for n, _ in places}) > 1 for known in pictures.values() for places in known.values())
    if merged:
        what = f"{merged} pictures are listed in several COCO files of one split; their annotations were put together."
        remarks.append(Remark("coco-merged", what, tuple(source.index.path for source in sources)))
    unused: list[Path] = []
    for folder, split in _folders(sources).items():
        for picture in walk_pictures(folder, root):
            below = picture.relative_to(root).as_posix()
            if below in taken:
                continue
            if split is None:
                unused.append(picture)
            else:
                taken[below] = split
                pictures[split][below] = ()
    if unused:
        what = f"{len(unused)} pictures are listed in no COCO file, in a folder that splits share, and are not used."
        remarks.append(Remark("loose-pictures", what, tuple(unused)))
    return pictures, list(dict.fromkeys(missing))


def _folders(sources: Sequence[Source]) -> dict[Path, Split | None]:
    """The picture folders with the split they belong to; None for one that splits share."""
    found: dict[Path, Split | None] = {}
    for source in sources:
        if found.setdefault(source.base, source.split) != source.split:
            found[source.base] = None
    # A folder above another's holds that one's pictures too.
    return {
        folder: None if any(folder in other.parents for other in found) else split for folder, split in found.items()
    }
