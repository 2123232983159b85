"""The YOLO layout: `train/images` beside `train/labels` (or `images/train` beside `labels/train`), and a data.yaml.

Of data.yaml only the class names and the folders of the splits are taken. `download:` is never run, caches are never
opened, and a path that leaves the dataset's folder is looked for inside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ...core.errors import DataError
from ..model import SPLITS, Boxes, Dataset, Item, LabelProblem, Remark, Split
from .data_yaml import read_names, read_yaml, split_entries
from .labels import read_labels
from .pictures import FOLDER_NAMES, is_inside, leaving_links, split_folder, walk_pictures

_YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
_LAYOUT = "put pictures into train/images and their labels into train/labels"


def has_yolo_layout(root: Path) -> bool:
    """Whether a folder looks like a YOLO dataset: a data.yaml, or an images folder beside a labels folder."""
    if _yaml_of(root) is not None:
        return True
    homes = [root, *(folder for split in SPLITS if (folder := split_folder(root, split)))]
    return any((home / "images").is_dir() and (home / "labels").is_dir() for home in homes)


def open_yolo(root: Path) -> Dataset:
    """Open a YOLO dataset.

    Raises:
        DataError: no pictures, no label files, no pictures in "train", no class names, a damaged data.yaml, or paths
            in it that leave the folder and are not found inside.
    """
    root = root.resolve()
    yaml_path = _yaml_of(root)
    content = read_yaml(yaml_path) if yaml_path else {}
    folders, remarks = _find_folders(root, yaml_path, content)
    _check_pictures(root, folders)
    _check_labels(root, folders)
    names, name_remarks = read_names(content, root, yaml_path)
    if links := sum(1 for homes in folders.values() for home in homes for _ in leaving_links(home, root)):
        remarks.append(Remark("links-leaving", f"{links} links lead out of the dataset folder and are not followed."))

    def iterate(split: Split) -> Iterator[Item]:
        for home in folders[split]:
            labels = label_folder(home, root)
            for image in walk_pictures(home, root):
                yield Item(image=image, split=split, label=labels / image.relative_to(home).with_suffix(".txt"))

    read = partial(_read_inside, root=root, classes=len(names))
    return Dataset(root.name, root, "detect", names, "yolo", iterate, read, tuple(remarks + name_remarks))


def picture_folders(root: Path) -> dict[Split, list[Path]]:
    """The folders that hold each split's pictures, all inside `root`.

    Raises:
        DataError: data.yaml is damaged, or its paths leave the folder and are not found inside.
    """
    root = root.resolve()
    yaml_path = _yaml_of(root)
    return _find_folders(root, yaml_path, read_yaml(yaml_path) if yaml_path else {})[0]


def _read_inside(item: Item, *, root: Path, classes: int) -> tuple[Boxes, list[LabelProblem]]:
    # A label file that is a link to somewhere else is treated as not there.
    if item.label is None or not is_inside(item.label, root):
        return Boxes.empty(), []
    return read_labels(item.label, classes)


def label_folder(images: Path, root: Path) -> Path:
    """Where the label files of a picture folder lie: its last part called `images` read as `labels`, else beside."""
    parts = list(images.relative_to(root).parts)
    for number in reversed(range(len(parts))):
        if parts[number] == "images":
            swapped = root.joinpath(*parts[:number], "labels", *parts[number + 1 :])
            # Some tools leave the label files beside the pictures although the folder is called `images`.
            beside = not swapped.is_dir() and next(images.glob("*.txt"), None) is not None
            return images if beside else swapped
    return images


def _yaml_of(root: Path) -> Path | None:
    found = (root / name for name in _YAML_NAMES)
    return next((path for path in found if path.is_file() and is_inside(path, root)), None)


def _find_folders(
    root: Path, yaml_path: Path | None, content: dict[str, object]
) -> tuple[dict[Split, list[Path]], list[Remark]]:
    """The picture folders of each split, none in two splits, and what had to be put right to find them."""
    remarks: list[Remark] = []
    mended: list[str] = []
    found: dict[Split, list[Path]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        for entry in split_entries(content, split, yaml_path):
            folder = _resolve(root, entry, str(content.get("path", "")), split, yaml_path, mended)
            if folder is not None and folder not in found[split]:
                found[split].append(folder)
        if not found[split] and (folder := _usual_folder(root, split)):
            found[split] = [folder]
    if mended:
        what = f"data.yaml names folders that are outside or not there; {', '.join(mended)}."
        remarks.append(Remark("yaml-path", what, (yaml_path,) if yaml_path else ()))
    if not any(found.values()) and (root / "images").is_dir():
        remarks.append(Remark("split-none", "The dataset has no splits; all pictures count as training pictures."))
        found["train"] = [root / "images"]
    _share_out(root, found, remarks)
    return found, remarks


def _usual_folder(root: Path, split: Split) -> Path | None:
    """Where the pictures of a split lie when nobody says."""
    if folder := split_folder(root, split, "images"):
        return folder
    if (root / "images").is_dir() and (folder := split_folder(root / "images", split)) and is_inside(folder, root):
        return folder
    return split_folder(root, split)


def _resolve(root: Path, entry: str, base: str, split: Split, yaml_path: Path | None, mended: list[str]) -> Path | None:
    """The folder that an entry of data.yaml means, always inside `root`; None when a valid or test one is missing."""
    text = entry.replace("\\", "/")
    leaves = False
    for candidate in (root / text, root / base.replace("\\", "/") / text):
        inside = is_inside(candidate, root)
        # Roboflow writes `../valid/images` and means `valid/images`, even when the version has no such split.
        leaves |= not inside and not text.startswith("../")
        if inside and candidate.is_dir() and candidate.resolve() != root:
            return candidate.resolve()
    if text.lower().endswith(".txt"):
        raise DataError(
            f"data.yaml gives the '{split}' split as a list of files ({entry}), which is not read.",
            where=yaml_path,
            next_step=f"{_LAYOUT}, and write `{split}: {split}/images` in data.yaml",
        )
    anchored = _anchor(root, text) or _usual_folder(root, split)
    if anchored is not None:
        mended.append(f"for '{split}' {anchored.relative_to(root).as_posix()} is used instead of {entry}")
        return anchored
    if leaves:
        raise DataError(
            f"data.yaml: the '{split}' path leads out of the dataset's folder, and nothing like it is inside: {entry}",
            where=yaml_path,
            next_step="copy those pictures and labels into the dataset's folder, or take that line out of data.yaml;"
            " nothing outside the folder is read",
        )
    if split == "train":
        raise DataError(
            f"The dataset has no training pictures: the folder that data.yaml names is not there: {entry}",
            where=yaml_path,
            next_step=_LAYOUT,
        )
    mended.append(f"there is no '{split}' split ({entry} is missing)")
    return None


def _anchor(root: Path, text: str) -> Path | None:
    """The longest tail of a path (`train/images` of `D:/x/train/images`) that is a folder inside `root`."""
    parts = [part for part in text.split("/") if part not in {"", ".", ".."}]
    for start in range(len(parts)):
        folder = root.joinpath(*parts[start:])
        if folder.is_dir() and is_inside(folder, root):
            return folder.resolve()
    return None


def _share_out(root: Path, found: dict[Split, list[Path]], remarks: list[Remark]) -> None:
    """Give a folder that two splits name to one of them: to the one it is called after, else to the earlier."""
    for folder in {folder for folders in found.values() for folder in folders}:
        claimants: list[Split] = [split for split in SPLITS if folder in found[split]]
        if len(claimants) < 2:
            continue
        parts = set(folder.relative_to(root).parts)
        named_after: list[Split] = [split for split in claimants if parts & set(FOLDER_NAMES[split])]
        owner = (named_after or claimants)[0]
        for split in claimants:
            if split != owner:
                found[split].remove(folder)
                what = (
                    f"data.yaml names {folder.relative_to(root).as_posix()} for '{split}' and for '{owner}';"
                    f" it counts as '{owner}' only, because pictures that choose a model cannot also judge it."
                )
                remarks.append(Remark("split-shared", what, (folder,)))


def _check_pictures(root: Path, folders: dict[Split, list[Path]]) -> None:
    has = {split: any(next(walk_pictures(home, root), None) for home in homes) for split, homes in folders.items()}
    if not any(has.values()):
        raise DataError("The dataset has no pictures.", where=root, next_step=_LAYOUT)
    if not has["train"]:
        raise DataError(
            "The dataset has no training pictures: its 'train' split is empty or missing.",
            where=root,
            next_step=_LAYOUT,
        )


def _check_labels(root: Path, folders: dict[Split, list[Path]]) -> None:
    """Raise when no picture has a label file that says anything: nothing could be learnt."""
    for homes in folders.values():
        for home in homes:
            labels = label_folder(home, root)
            for image in walk_pictures(home, root):
                label = labels / image.relative_to(home).with_suffix(".txt")
                if label.is_file() and label.stat().st_size > 0:
                    return
    raise DataError(
        "The dataset has pictures but no labels: no picture has a label file with a box in it.",
        where=root,
        next_step="put the label files into train/labels, named as the pictures are: train/images/a.jpg,"
        " train/labels/a.txt",
    )
