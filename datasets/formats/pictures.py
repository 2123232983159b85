"""The pictures in a folder, in a fixed order, and never one that lies elsewhere."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from ...core.images import IMAGE_SUFFIXES, is_image
from ..model import SPLITS, LabelProblem, Remark, Split

FOLDER_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("valid", "val", "validation"),
    "test": ("test",),
}
"""What the folder of a split may be called, the first that is there counts."""
MASK_FOLDERS = ("segmentationclass", "segmentationobject", "masks", "mask")
_ASIDE = frozenset({*MASK_FOLDERS, "preview", "previews", "reports", "runs"})
"""Folders with pictures that nobody means as part of a dataset."""


def split_folder(root: Path, split: Split, *below: str) -> Path | None:
    """The folder of a split in `root`, or a folder `below` it; None when there is none inside `root`.

    Of `train/train` with nothing beside it, the inner one is meant.
    """
    for name in _as_written(root, FOLDER_NAMES[split]):
        for inner in (root / name, root / name / name):
            folder = inner.joinpath(*below)
            if folder.is_dir() and is_inside(folder, root) and (below or not _holds_only(folder, name)):
                return folder
    return None


def _as_written(root: Path, names: tuple[str, ...]) -> list[str]:
    """The names of the folders in `root` that are these but for capitals, in the order of `names`."""
    if there := [name for name in names if (root / name).is_dir()]:
        return there
    if not root.is_dir():
        return []
    with os.scandir(root) as listing:
        found = {entry.name.lower(): entry.name for entry in listing if entry.name.lower() in names and entry.is_dir()}
    return [found[name] for name in names if name in found]


def _holds_only(folder: Path, name: str) -> bool:
    """Whether there is nothing in a folder but a folder of this name, hidden files aside."""
    with os.scandir(folder) as listing:
        first = list(itertools.islice((entry for entry in listing if not entry.name.startswith(".")), 2))
    return len(first) == 1 and first[0].name == name and first[0].is_dir()


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path, its links followed, lies in `root` (itself resolved) or is it; circles of links lie nowhere."""
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError):
        return False
    return resolved == root or root in resolved.parents


class Inside:
    """Tells whether files lie in `root`, as `is_inside` does, and looks at each folder once.

    Args:
        root: The dataset's folder, resolved.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, bool] = {}

    def holds(self, path: str | Path) -> bool:
        """Whether a file, its links followed, lies in the root."""
        if os.path.islink(path):  # noqa: PTH114 - for each of a hundred thousand files
            return is_inside(Path(path), self._root)
        folder = os.path.dirname(path)  # noqa: PTH120
        known = self._known.get(folder)
        if known is None:
            known = self._known[folder] = is_inside(Path(folder), self._root)
        return known


def not_followed(label: Path) -> list[LabelProblem]:
    """What is said of a label file that `Inside` does not hold, if there is anything at its place."""
    reason = "left out: the whole file, its path leads out of the dataset"
    return [LabelProblem(label, 0, reason, "unreadable")] if os.path.lexists(label) else []


def walk_pictures(folder: Path, root: Path, without: Collection[Path] = ()) -> Iterator[Path]:
    """Pictures in `folder` and below, sorted within each folder; a folder's own before those of its sub-folders.

    Hidden files and folders are passed over, and so are what `leaving_links` names, and the folders `without`.
    """
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        names, folders = _pictures_and_folders(here)
        for name, is_plain in sorted(names):
            path = here / name
            if is_plain or _is_usable(path, root):
                yield path
        below = (here / name for name in sorted(folders, reverse=True))
        waiting += [path for path in below if path not in without] if without else below


def _pictures_and_folders(folder: Path) -> tuple[list[tuple[str, bool]], list[str]]:
    """The names of pictures, with whether each is a plain file, and of folders that are not links."""
    names: list[tuple[str, bool]] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as listing:  # tells what each entry is without a look at it
            for entry in listing:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122 - Path is slow
                    names.append((entry.name, entry.is_file(follow_symlinks=False)))
    except OSError:  # a folder that may not be looked into is empty, as os.walk has it
        return [], []
    return names, folders


def leaving_links(folder: Path, root: Path) -> Iterator[Path]:
    """What is never read: links to somewhere outside `root` or to nowhere, and pipes and the like called pictures."""
    for directory, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            path = Path(directory, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                leaves = not (is_inside(path, root) and path.exists())
            else:
                leaves = is_image(path) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
            if leaves:
                yield path


def tell_leaving_links(folders: Iterable[Path], root: Path, remarks: list[Remark]) -> None:
    """Add a remark about what `leaving_links` finds in the folders, if anything."""
    links = tuple(dict.fromkeys(path for folder in folders for path in leaving_links(folder, root)))
    if links:
        what = f"{len(links)} links lead out of the dataset folder or nowhere, or are no files, and are not followed."
        remarks.append(Remark("links-leaving", what, links))


def loose_pictures(root: Path, homes: Collection[Path], used: Collection[str] = ()) -> tuple[Path, ...]:
    """Pictures in a dataset's folder that nothing reads, but for masks, and what trainings and reports leave.

    Args:
        root: The dataset's folder, resolved.
        homes: The folders of which all pictures are used.
        used: Other pictures that are used, by their paths below the root.
    """
    without = {*homes, *(home.resolve() for home in homes)}
    loose = [
        path
        for path in walk_pictures(root, root, without)
        if (below := path.relative_to(root)).as_posix() not in used
        and not any(part.lower() in _ASIDE for part in below.parts[:-1])
    ]
    reached = set(_reached_by_links(homes)) if loose else set()
    return tuple(path for path in loose if path not in reached)


def _reached_by_links(homes: Iterable[Path]) -> Iterator[Path]:
    for home in homes:
        for directory, _, _ in os.walk(home):
            with os.scandir(directory) as listing:
                yield from (Path(os.path.realpath(entry.path)) for entry in listing if entry.is_symlink())


def _is_usable(path: Path, root: Path) -> bool:
    """Whether a file may be opened: to open a pipe is to wait for whoever writes into it."""
    mode = os.lstat(path).st_mode
    return stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and is_inside(path, root) and path.is_file())


def has_split_folders(root: Path) -> bool:
    """Whether `root` has a folder called like a split."""
    return any(split_folder(root, split) for split in SPLITS)
