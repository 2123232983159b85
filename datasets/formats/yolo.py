"""The YOLO layout: `train/images` beside `train/labels` (or `images/train` beside `labels/train`), and a data.yaml.

Of data.yaml only the class names and the places of the splits are taken. `download:` is never run, caches are never
opened, and a path that leaves the dataset's folder is looked for inside it. Label files may also lie beside the
pictures, as Darknet has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ...core.errors import DataError
from ..model import SPLITS, Boxes, Dataset, Item, LabelProblem, Remark, Split
from .data_yaml import YAML_NAMES, read_names, read_yaml
from .labels import read_labels
from .pictures import Inside, is_inside, loose_pictures, not_followed, split_folder, tell_leaving_links, walk_pictures
from .unread import what_is_there_instead
from .yolo_places import LAYOUT, Places, find_places, listed_pictures, nested_in

_NO_LABELS = ("classes", "_classes", "labels", "train", "valid", "val", "test", "obj", "notes", "requirements")
"""Text files of these names, and all called README or LICENSE, are no labels."""


def has_yolo_layout(root: Path) -> bool:
    """Whether a folder looks like a YOLO dataset: a data.yaml, or an images folder beside a labels folder."""
    if _yaml_of(root) is not None:
        return True
    homes = [root, *(folder for split in SPLITS if (folder := split_folder(root, split)))]
    return any((home / "images").is_dir() and (home / "labels").is_dir() for home in homes)


def open_yolo(root: Path) -> Dataset:
    """Open a YOLO dataset.

    Raises:
        DataError: no pictures, no label files, no class names, a damaged data.yaml, or paths
            in it that leave the folder and are not found inside.
    """
    root = root.resolve()
    yaml_path = _yaml_of(root)
    content = read_yaml(yaml_path) if yaml_path else {}
    places, remarks = find_places(root, yaml_path, content)
    listed = listed_pictures(root, places, remarks)
    label_of = _label_finder(root)

    def iterate(split: Split) -> Iterator[Item]:
        pictures = _walk(split, places, root) if listed is None else (root / name for name in listed[split])
        for image in pictures:
            yield Item(image=image, split=split, label=label_of(image))

    _check_pictures(root, iterate)
    _check_labels(root, iterate)
    names, name_remarks = read_names(content, root, yaml_path)
    folders = [home for homes in places.values() for home in homes if home.is_dir()]
    tell_leaving_links(folders, root, remarks)
    _tell_loose(root, folders, listed, remarks)
    if "kpt_shape" in content and yaml_path:
        what = f"{yaml_path.name} has `kpt_shape`: each box comes with keypoints, which are not read."
        remarks.append(Remark("labels-keypoints", what, (yaml_path,)))
    read = partial(_read_inside, inside=Inside(root), classes=len(names), keypoints="kpt_shape" in content)
    stray = partial(_stray_labels, root, folders, iterate)
    return Dataset(root.name, root, "detect", names, "yolo", iterate, read, (*remarks, *name_remarks), stray)


def _tell_loose(root: Path, folders: list[Path], listed: dict[Split, list[str]] | None, remarks: list[Remark]) -> None:
    used = {name for names in listed.values() for name in names} if listed else set()
    if root not in folders and (loose := loose_pictures(root, folders, used)):
        where = "in no list and no folder of a split" if listed else "outside the folders of the splits"
        remarks.append(Remark("loose-pictures", f"{len(loose)} pictures lie {where} and are not used.", loose))


def picture_folders(root: Path) -> Places:
    """The folders that hold each split's pictures, or the files that list them, all inside `root`.

    Raises:
        DataError: data.yaml is damaged, or its paths leave the folder and are not found inside.
    """
    root = root.resolve()
    yaml_path = _yaml_of(root)
    return find_places(root, yaml_path, read_yaml(yaml_path) if yaml_path else {})[0]


def _walk(split: Split, places: Places, root: Path) -> Iterator[Path]:
    for home in places[split]:
        yield from walk_pictures(home, root, nested_in(home, places))


def _read_inside(item: Item, *, inside: Inside, classes: int, keypoints: bool) -> tuple[Boxes, list[LabelProblem]]:
    if item.label is None or not inside.holds(item.label):
        return Boxes.empty(), not_followed(item.label) if item.label else []
    return read_labels(item.label, classes, keypoints=keypoints)


def _label_finder(root: Path) -> Callable[[Path], Path]:
    """A function from a picture to where its label file belongs; each folder is looked at once."""
    known: dict[Path, Path] = {}

    def label_of(image: Path) -> Path:
        folder = image.parent
        if folder not in known:
            known[folder] = label_folder(folder, root)
        return known[folder] / f"{image.stem}.txt"

    return label_of


def label_folder(images: Path, root: Path) -> Path:
    """Where the label files of a picture folder lie: its last part called `images` read as `labels`, else beside."""
    parts = list(images.relative_to(root).parts)
    for number in reversed(range(len(parts))):
        if parts[number] == "images":
            swapped = root.joinpath(*parts[:number], "labels", *parts[number + 1 :])
            # Some tools leave the label files beside the pictures although the folder is called `images`.
            beside = not swapped.is_dir() and next(images.glob("*.txt"), None) is not None
            return images if beside else swapped
    labels = images / "labels"
    return labels if labels.is_dir() and next(images.glob("*.txt"), None) is None else images


def _yaml_of(root: Path) -> Path | None:
    found = (root / name for name in YAML_NAMES)
    return next((path for path in found if path.is_file() and is_inside(path, root)), None)


def _stray_labels(root: Path, homes: list[Path], iterate: Callable[[Split], Iterator[Item]]) -> Iterator[Path]:
    """Label files of the picture folders that no picture goes with."""
    stems: dict[Path, set[str]] = {label_folder(home, root): set() for home in homes}
    for split in SPLITS:
        for item in iterate(split):
            if item.label is not None:
                stems.setdefault(item.label.parent, set()).add(item.label.stem)
    tops = [folder for folder in stems if not any(parent in stems for parent in folder.parents)]
    for top in sorted(tops):
        for path in sorted(top.rglob("*.txt")):
            if path.stem not in stems.get(path.parent, ()) and not _is_no_label(path) and is_inside(path, root):
                yield path


def _is_no_label(path: Path) -> bool:
    name = path.stem.lower()
    return name in _NO_LABELS or name.startswith((".", "readme", "license"))


def _check_pictures(root: Path, iterate: Callable[[Split], Iterator[Item]]) -> None:
    has = {split: next(iterate(split), None) is not None for split in SPLITS}
    if not any(has.values()):
        instead = what_is_there_instead(root)
        what = "The dataset has no pictures" + (" that can be read." if instead else ".")
        raise DataError(what, where=root, next_step=instead or LAYOUT)


def _check_labels(root: Path, iterate: Callable[[Split], Iterator[Item]]) -> None:
    """Raise when no picture has a label file that says anything: nothing could be learnt."""
    for split in SPLITS:
        for item in iterate(split):
            if item.label is not None and item.label.is_file() and item.label.stat().st_size > 0:
                return
    raise DataError(
        "The dataset has pictures but no labels: no picture has a label file with a box in it.",
        where=root,
        next_step="put the label files into train/labels, named as the pictures are: train/images/a.jpg,"
        " train/labels/a.txt",
    )
