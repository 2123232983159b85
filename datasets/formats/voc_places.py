"""Where the pictures and XML files of a Pascal VOC dataset lie, and which split each picture is of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...core.images import is_image
from ..model import SPLITS, Remark, Split
from .pictures import FOLDER_NAMES, MASK_FOLDERS, is_inside

_PICTURE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img", "pictures")
_XML_FOLDERS = ("Annotations", "annotations", "labels", "xmls", "xml", "annotation", "annots", "bboxes")


@dataclass(frozen=True)
class Home:
    """A folder with pictures, where their XML files lie, and their split: by name where lists tell."""

    pictures: Path
    labels: Path
    split: Split | None
    listed: Mapping[str, Split] | None

    def split_of(self, name: str) -> Split | None:
        """The split of a picture of this folder; None when nothing tells."""
        return self.split if self.listed is None else self.listed.get(os.path.splitext(name)[0])  # noqa: PTH122


def find_homes(root: Path, remarks: list[Remark]) -> list[Home]:
    """The folders whose pictures have XML files, with their splits."""
    found: list[Home] = []
    bare: list[Path] = []
    for directory, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name.lower() not in MASK_FOLDERS)
        folder = Path(directory)
        stems = {os.path.splitext(name)[0] for name in files if is_image(Path(name))}  # noqa: PTH122
        labels = _label_folder(folder, root, stems) if stems else None
        if labels is not None:
            found.append(Home(folder, labels, _split_of(folder, root), _listed(folder.parent / "ImageSets/Main", root)))
        elif stems and _split_of(folder, root):
            bare.append(folder)
    shapes = {_shape(home.pictures, root) for home in found}
    found += [Home(folder, folder, _split_of(folder, root), None) for folder in bare if _shape(folder, root) in shapes]
    lists = any(home.listed is not None for home in found)
    if not lists and not any(home.split for home in found):
        if found:
            what = "The dataset has no splits; all pictures count as training pictures."
            remarks.append(Remark("split-none", what))
        return [Home(home.pictures, home.labels, "train", None) for home in found]
    unused = tuple(
        home.pictures / name
        for home in found
        for name in picture_names(home.pictures, root)
        if home.split_of(name) is None
    )
    if unused:
        what = f"{len(unused)} pictures are in no split, neither by their folder nor by a list, and are not used."
        remarks.append(Remark("loose-pictures", what, unused))
    return found


def _shape(folder: Path, root: Path) -> tuple[str, ...]:
    """The path of a folder with its split left open: where one split has pictures, so has another."""
    splits = {name for names in FOLDER_NAMES.values() for name in names}
    return tuple("*" if part.lower() in splits else part for part in folder.relative_to(root).parts)


def _label_folder(folder: Path, root: Path, stems: set[str]) -> Path | None:
    """Where the XML files of a picture folder lie: beside, or in a folder called Annotations or the like near it."""
    candidates = [folder]
    parts = list(folder.relative_to(root).parts)
    for place in reversed(range(len(parts))):
        if parts[place].lower() in _PICTURE_FOLDERS:
            candidates += [root.joinpath(*parts[:place], name, *parts[place + 1 :]) for name in _XML_FOLDERS]
            candidates += [root.joinpath(*parts[:place], name) for name in _XML_FOLDERS]
    candidates += [folder.parent / name for name in _XML_FOLDERS] + [folder / name for name in _XML_FOLDERS]
    for candidate in dict.fromkeys(candidates):
        if candidate.is_dir() and is_inside(candidate, root):
            with os.scandir(candidate) as listing:
                if any(entry.name.endswith(".xml") and entry.name[:-4] in stems for entry in listing):
                    return candidate
    return None


def _split_of(folder: Path, root: Path) -> Split | None:
    for part in reversed(folder.relative_to(root).parts):
        for split in SPLITS:
            if part.lower() in FOLDER_NAMES[split]:
                return split
    return None


def _listed(folder: Path, root: Path) -> dict[str, Split] | None:
    """The split of each picture by its stem, of the lists in `ImageSets/Main`; None without lists."""
    listed: dict[str, Split] = {}
    for split in SPLITS:
        names = (*FOLDER_NAMES[split], "trainval") if split == "train" else FOLDER_NAMES[split]
        path = next((path for name in names if (path := folder / f"{name}.txt").is_file()), None)
        if path is None or not is_inside(path, root):
            continue
        for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
            if words := line.rsplit(None, 1) if line.rstrip().endswith((" 1", " -1", " 0")) else [line]:
                stem = Path(words[0].strip()).name
                listed.setdefault(stem[: -len(Path(stem).suffix)] if is_image(Path(stem)) else stem, split)
    return listed or None


def picture_names(folder: Path, root: Path) -> list[str]:
    """The pictures of one folder, sorted, without links that lead out."""
    with os.scandir(folder) as listing:
        return sorted(
            entry.name
            for entry in listing
            if is_image(path := Path(entry.path))
            and entry.is_file()
            and (not entry.is_symlink() or is_inside(path, root))
        )


def labelled(homes: list[Home], root: Path) -> Iterator[tuple[str, Path]]:
    """Each picture that is used and has an XML file, with that file."""
    for home in homes:
        with os.scandir(home.labels) as listing:
            stems = {entry.name[:-4]: entry.name for entry in listing if entry.name.endswith(".xml")}
        for name in picture_names(home.pictures, root):
            stem = os.path.splitext(name)[0]  # noqa: PTH122
            if stem in stems and home.split_of(name):
                yield name, home.labels / stems[stem]
