"""One folder per class: `train/cat/001.jpg`, or `cat/001.jpg` when nothing is split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...core.errors import DataError
from ..model import SPLITS, Dataset, Item, Remark, Split
from .pictures import has_split_folders, is_inside, loose_pictures, split_folder, tell_leaving_links, walk_pictures
from .tables import refuse_tables
from .unread import what_is_there_instead

HOW_TO_LAY_OUT = "lay pictures out as train/CLASS/picture.jpg, valid/CLASS/..., test/CLASS/..."


def open_folders(root: Path) -> Dataset:
    """Open a folder-per-class dataset; the classes are the folder names of all splits, sorted.

    Raises:
        DataError: no pictures, or pictures that lie in no class folder.
    """
    root = root.resolve()
    homes: dict[Split, Path] = {"train": root}
    if has_split_folders(root):
        homes = {split: folder for split in SPLITS if (folder := split_folder(root, split))}
    classes = {split: _class_folders(home, root) for split, home in homes.items()}
    names = tuple(sorted({name for folders in classes.values() for name in folders}))
    loose = loose_pictures(root, [folder for folders in classes.values() for folder in folders.values()])
    if not names:
        raise _nothing_found(root, len(loose))
    class_ids = {name: number for number, name in enumerate(names)}

    def iterate(split: Split) -> Iterator[Item]:
        for name, folder in classes.get(split, {}).items():
            for image in walk_pictures(folder, root):
                yield Item(image=image, split=split, class_id=class_ids[name])

    return Dataset(root.name, root, "classify", names, "folder", iterate, remarks=_remarks(root, homes, loose))


def _class_folders(home: Path, root: Path) -> dict[str, Path]:
    """Folders in `home` that hold a picture, by name."""
    folders = [path for path in sorted(home.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return {
        path.name: path
        for path in folders
        if is_inside(path, root) and next(walk_pictures(path, root), None) is not None
    }


def _nothing_found(root: Path, loose: int) -> DataError:
    if loose:
        return refuse_tables(root, loose) or DataError(
            f"The dataset has pictures ({loose}) but no labels: they lie in no class folder, and no label files are"
            " beside them.",
            where=root,
            next_step=HOW_TO_LAY_OUT,
        )
    instead = what_is_there_instead(root)
    what = "The dataset has no pictures" + (" that can be read." if instead else ".")
    return DataError(what, where=root, next_step=instead or HOW_TO_LAY_OUT)


def _remarks(root: Path, homes: dict[Split, Path], loose: tuple[Path, ...]) -> tuple[Remark, ...]:
    remarks: list[Remark] = []
    if loose:
        remarks.append(
            Remark(
                "loose-pictures", f"{len(loose)} pictures lie in no class folder of a split and are not used.", loose
            )
        )
    tell_leaving_links(homes.values(), root, remarks)
    if homes.get("train") == root:
        remarks.append(Remark("split-none", "The dataset has no splits; all pictures count as training pictures."))
    return tuple(remarks)
