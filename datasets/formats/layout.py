"""Which layout a folder has, found out from what lies in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import DataError
from ...core.images import IMAGE_SUFFIXES
from ..model import SPLITS, Format, Remark
from ..record import has_record
from .coco_places import coco_files
from .pictures import FOLDER_NAMES
from .yolo import has_yolo_layout

_DEEPEST = 5
_SNIFFED_FILES = 20
_SNIFFED_BYTES = 4096
_NUMBER = re.compile(r"[+-]?[\d.,]+(e[+-]?\d+)?|nan", re.IGNORECASE)
_NOT_A_WRAPPER = {
    "images", "labels", "annotations", "jpegimages", "imagesets", *(n for names in FOLDER_NAMES.values() for n in names)
}  # fmt: skip
_TITLE: dict[Format, str] = {"yolo": "YOLO", "coco": "COCO", "voc": "Pascal VOC", "folder": "one folder per class"}


@dataclass(frozen=True)
class Layout:
    """What a folder was recognised as.

    Attributes:
        root: The folder that the dataset really lies in: the one given, or one below it.
        format: Its layout.
        coco: Its COCO files.
        remarks: What is worth saying about the choice.
    """

    root: Path
    format: Format
    coco: tuple[Path, ...] = ()
    remarks: tuple[Remark, ...] = ()


@dataclass
class _Survey:
    """What one walk through a folder finds: stems of pictures and of possible label files, and the JSON files."""

    pictures: set[str] = field(default_factory=set)
    texts: dict[str, Path] = field(default_factory=dict)
    xmls: dict[str, Path] = field(default_factory=dict)
    jsons: list[Path] = field(default_factory=list)


def recognise(root: Path, wanted: Format | None = None) -> Layout:
    """Find out which layout a folder has; where labels of several lie in it, the one of the most pictures counts.

    Args:
        root: An existing folder, resolved.
        wanted: The layout, where the person knows it; the folder is then looked for only.

    Raises:
        DataError: several datasets lie in it, or it is wanted as COCO and has no COCO file.
    """
    given, root = root, _unwrapped(root)
    remarks: list[Remark] = []
    if wanted is None and has_record(root):  # we made it, so nobody need look
        return Layout(root, "yolo" if has_yolo_layout(root) else "folder")
    survey = _survey(root)
    coco = coco_files(root, survey.jsons)
    chosen: Format = wanted or "folder"
    if wanted is None and (covered := _covered(root, survey, coco)):
        chosen, *others = sorted(covered, key=lambda format_: -covered[format_])
        others = [f"{_TITLE[other]} ({covered[other]} pictures)" for other in others if covered[other]]
        if others:
            used = f"{_TITLE[chosen]} ({covered[chosen]} pictures) is used"
            what = f"Labels of several layouts lie here: {used}, not {' or '.join(others)}."
            remarks.append(Remark("other-format", what, tuple(_labels_of(survey, coco, chosen, covered))))
    if chosen == "coco" and not coco:
        raise DataError("There is no COCO file (JSON with images and annotations) here.", where=root,
                        next_step="leave --format out, and the layout is recognised")  # fmt: skip
    if chosen == "yolo" and not has_yolo_layout(root):
        root = _only_yolo_below(root) or root
    if root != given or any(_is_doubled(root, name) for split in SPLITS for name in FOLDER_NAMES[split]):
        where = root.relative_to(given).as_posix()
        what = (
            "The dataset's split folders are doubled (train/train)."
            if where == "."
            else f"The dataset lies in {where}."
        )
        remarks.append(Remark("nested-folders", what, (root,)))
    return Layout(root, chosen, tuple(coco), tuple(remarks))


def _unwrapped(root: Path) -> Path:
    """The folder below which holds more than one folder: archives often wrap a dataset into folders of its name."""
    for _ in range(_DEEPEST):
        folders, files = _visible(root)
        wraps = len(folders) == 1 and folders[0].name.lower() not in _NOT_A_WRAPPER
        if not wraps or any(_could_be_data(path) for path in files) or folders[0].is_symlink():
            return root
        inner_folders, inner_files = _visible(folders[0])
        holds_pictures_only = not inner_folders and not any(
            _could_be_data(path) and path.suffix.lower() not in IMAGE_SUFFIXES for path in inner_files
        )
        if holds_pictures_only:  # a class
            return root
        root = folders[0]
    return root


def _visible(folder: Path) -> tuple[list[Path], list[Path]]:
    folders, files = [], []
    with os.scandir(folder) as listing:
        for entry in listing:
            if not entry.name.startswith(".") and entry.name != "__MACOSX":
                (folders if entry.is_dir() else files).append(Path(entry.path))
    return folders, files


def _could_be_data(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return not path.name.lower().startswith(("readme", "license"))
    return suffix in IMAGE_SUFFIXES or suffix in {".yaml", ".yml", ".json", ".xml", ".names"}


def _survey(root: Path) -> _Survey:
    survey = _Survey()
    for directory, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 - for each of a hundred thousand files
            suffix = suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                survey.pictures.add(stem)
            elif suffix == ".txt":
                survey.texts[stem] = Path(directory, name)
            elif suffix == ".xml":
                survey.xmls[stem] = Path(directory, name)
            elif suffix == ".json":
                survey.jsons.append(Path(directory, name))
    return survey


def _covered(root: Path, survey: _Survey, coco: list[Path]) -> dict[Format, int]:
    """How many pictures each layout has labels for; layouts that are not there are left out."""
    covered: dict[Format, int] = {}
    texts = {stem: path for stem, path in survey.texts.items() if stem in survey.pictures}
    if has_yolo_layout(root) or any(_looks_like_rows(path) for path in _first(texts)):
        covered["yolo"] = len(texts)
    xmls = {stem: path for stem, path in survey.xmls.items() if stem in survey.pictures}
    if any(b"<object" in _head(path) or b"<annotation" in _head(path) for path in _first(xmls)):
        covered["voc"] = len(xmls)
    if coco:
        covered["coco"] = len(survey.pictures) if not any(covered.values()) else _listed(coco, survey.pictures)
    return covered


def _labels_of(survey: _Survey, coco: list[Path], chosen: Format, covered: dict[Format, int]) -> Iterator[Path]:
    """The label files of the layouts that were not chosen."""
    of: dict[Format, list[Path]] = {
        "yolo": [path for stem, path in survey.texts.items() if stem in survey.pictures],
        "voc": [path for stem, path in survey.xmls.items() if stem in survey.pictures],
        "coco": coco,
    }
    for other, files in of.items():
        if other != chosen and covered.get(other):
            yield from sorted(files)


def _first(files: dict[str, Path]) -> Iterator[Path]:
    for stem in sorted(files)[:_SNIFFED_FILES]:
        if not files[stem].is_symlink():
            yield files[stem]


def _head(path: Path) -> bytes:
    if not path.is_file():  # a pipe, say
        return b""
    with path.open("rb") as file:
        return file.read(_SNIFFED_BYTES).replace(b"\0", b"")


def _looks_like_rows(path: Path) -> bool:
    """Whether a text file holds rows of numbers; a caption beside a picture does not."""
    rows = _head(path).decode("utf-8", "replace").splitlines()
    fields = rows[0].lstrip("\ufeff").split() if rows else []
    return len(fields) >= 5 and all(_NUMBER.fullmatch(field) for field in fields[:5])


def _listed(coco: list[Path], pictures: set[str]) -> int:
    from .coco_index import read_coco

    names = {re.split(r"[\\/]+", name)[-1] for path in coco for name in read_coco(path).file_names}
    return sum(1 for name in names if os.path.splitext(name)[0] in pictures)  # noqa: PTH122


def _only_yolo_below(root: Path) -> Path | None:
    """The one folder below that has the YOLO layout."""
    found: list[Path] = []
    for directory, folders, _ in os.walk(root):
        folder = Path(directory)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(folder.relative_to(root).parts) >= _DEEPEST:
            folders.clear()
        if folder != root and has_yolo_layout(folder):
            found.append(folder)
            folders.clear()
    if len(found) > 1:
        shown = ", ".join(path.relative_to(root).as_posix() for path in found[:5])
        raise DataError(f"Several datasets lie in this folder: {shown}.", where=root, next_step="give one of them")
    return found[0] if found else None


def _is_doubled(root: Path, name: str) -> bool:
    return (root / name / name).is_dir()
