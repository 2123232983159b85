"""Where the pictures and labels of a YOLO dataset lie: what data.yaml says, put right where it does not hold."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import DataError
from ...core.images import is_image
from ..model import SPLITS, Remark, Split
from ..record import has_record
from .data_yaml import split_entries
from .pictures import FOLDER_NAMES, is_inside, split_folder, walk_pictures

LAYOUT = "put pictures into train/images and their labels into train/labels"
Places = dict[Split, list[Path]]
"""For each split the folders that hold its pictures, or the text files that list them."""


def find_places(root: Path, yaml_path: Path | None, content: dict[str, object]) -> tuple[Places, list[Remark]]:
    """The places of each split's pictures, none in two splits, and what had to be put right to find them.

    Raises:
        DataError: a path leaves the folder and is not found inside.
    """
    remarks: list[Remark] = []
    mended: list[str] = []
    found: Places = {split: [] for split in SPLITS}
    for split in SPLITS:
        for entry in split_entries(content, split, yaml_path):
            folder = _resolve(root, entry, str(content.get("path", "")), split, yaml_path, mended)
            if folder is not None and folder not in found[split]:
                found[split].append(folder)
        if not found[split] and (folder := _usual_folder(root, split)):
            found[split] = [folder]
    base = str(content.get("path", "")).strip()
    # A dataset of ours that was moved or renamed names the folder where it lay; what is in it lies beside data.yaml.
    if not mended and base and not _is_folder_of(root, base) and not has_record(root):
        mended.append(f"the folder that it lies in is used instead of `path: {base}`")
    if mended:
        what = f"data.yaml names folders that are outside or not there; {', '.join(mended)}."
        remarks.append(Remark("yaml-path", what, (yaml_path,) if yaml_path else ()))
    if not any(found.values()):
        remarks.append(Remark("split-none", "The dataset has no splits; all pictures count as training pictures."))
        found["train"] = [root / "images" if (root / "images").is_dir() else root]
    _share_out(root, found, remarks)
    _tell_nested(root, found, remarks)
    return found, remarks


def _is_folder_of(root: Path, base: str) -> bool:
    """Whether `path:` of data.yaml means the dataset's folder or one in it."""
    folder = root / base.replace("\\", "/")
    return is_inside(folder, root) and folder.is_dir()


def _usual_folder(root: Path, split: Split) -> Path | None:
    """Where the pictures of a split lie when nobody says."""
    if folder := split_folder(root, split, "images"):
        return folder
    if (root / "images").is_dir() and (folder := split_folder(root / "images", split)) and is_inside(folder, root):
        return folder
    if folder := split_folder(root, split):
        return folder
    for name in FOLDER_NAMES[split]:  # as Darknet has it: train.txt, one path a line
        path = root / f"{name}.txt"
        if path.is_file() and is_inside(path, root) and _names_a_picture(path):
            return path
    return None


def _names_a_picture(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.read(4096).decode("utf-8-sig", "replace").strip().splitlines()[:1]
    return bool(first) and is_image(Path(first[0].replace("\\", "/")))


def _resolve(root: Path, entry: str, base: str, split: Split, yaml_path: Path | None, mended: list[str]) -> Path | None:
    """The folder that an entry of data.yaml means, always inside `root`; None when there is no such."""
    text = entry.replace("\\", "/")
    leaves = False
    for candidate in (root / text, root / base.replace("\\", "/") / text):
        inside = is_inside(candidate, root)
        # Roboflow writes `../valid/images` and means `valid/images`, even when the version has no such split.
        leaves |= not inside and not text.startswith("../")
        if inside and (candidate.is_dir() or _is_list(candidate)) and candidate.resolve() != root:
            return candidate.resolve()
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
    mended.append(f"there is no '{split}' split ({entry} is missing)")
    return None


def _anchor(root: Path, text: str) -> Path | None:
    """The longest tail of a path (`train/images` of `D:/x/train/images`) that is a folder or a list inside `root`."""
    parts = [part for part in text.split("/") if part not in {"", ".", ".."}]
    for start in range(len(parts)):
        place = root.joinpath(*parts[start:])
        if (place.is_dir() or _is_list(place)) and is_inside(place, root):
            return place.resolve()
    return None


def _is_list(path: Path) -> bool:
    return path.suffix.lower() == ".txt" and path.is_file()


def _share_out(root: Path, found: Places, remarks: list[Remark]) -> None:
    """Give a folder that two splits name to one of them: to the one it is called after, else to the earlier."""
    for folder in dict.fromkeys(folder for folders in found.values() for folder in folders):
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
                own = _usual_folder(root, split)
                if not found[split] and own and not any(own in folders for folders in found.values()):
                    found[split] = [own]
                    what += f" For '{split}' {own.relative_to(root).as_posix()} is used, which lies there too."
                remarks.append(Remark("split-shared", what, (folder,)))


def nested_in(home: Path, places: Places) -> set[Path]:
    """The folders in a picture folder that are named themselves: a picture belongs to the innermost that is named."""
    return {other for homes in places.values() for other in homes if home in other.parents}


def _tell_nested(root: Path, found: Places, remarks: list[Remark]) -> None:
    named = [(home, split) for split in SPLITS for home in found[split]]
    for outer, split in named:
        for inner in sorted(nested_in(outer, found)):
            owner = next(other for other in SPLITS if inner in found[other])
            if owner != split and inner.is_dir():
                what = (
                    f"{inner.relative_to(root).as_posix()} of '{owner}' lies in {outer.relative_to(root).as_posix()}"
                    f" of '{split}'; its pictures count as '{owner}' only."
                )
                remarks.append(Remark("split-shared", what, (inner,)))


def listed_pictures(root: Path, places: Places, remarks: list[Remark]) -> dict[Split, list[str]] | None:
    """The pictures of each split by their paths below the root, where any split is given as a list; else None.

    A line means the picture at the longest tail of its path that is there: lists are full of other machines' paths. A
    picture of two splits counts for the first.
    """
    if not any(place.is_file() for homes in places.values() for place in homes):
        return None
    taken: set[str] = set()
    found: dict[Split, list[str]] = {split: [] for split in SPLITS}
    twice, missing = 0, 0
    for split in SPLITS:
        names: set[str] = set()
        for place in places[split]:
            if place.is_file():
                inside, absent = _read_list(place, root)
                names |= inside
                missing += absent
            else:
                own = walk_pictures(place, root, nested_in(place, places))
                names |= {path.relative_to(root).as_posix() for path in own}
        twice += len(names & taken)
        found[split] = sorted(names - taken)
        taken |= names
    lists = tuple(place for homes in places.values() for place in homes if place.is_file())
    if missing:
        what = f"{missing} lines of the lists of pictures name none that is in the dataset's folder."
        remarks.append(Remark("yaml-path", what, lists))
    if twice:
        what = f"{twice} pictures are listed for two splits; each counts in the first of train, valid, test only."
        remarks.append(Remark("split-shared", what, lists))
    return found


def _read_list(path: Path, root: Path) -> tuple[set[str], int]:
    """The pictures that a list names, by their paths below the root, and how many of its lines name none."""
    folders: dict[str, Path | None] = {}
    found: set[str] = set()
    missing = 0
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for line in lines:
            text = line.strip().replace("\\", "/")
            if not text or "\0" in text:
                continue
            folder_text, _, name = text.rpartition("/")
            if folder_text not in folders:
                folders[folder_text] = _list_folder(folder_text, path.parent, root)
            folder = folders[folder_text]
            picture = None if folder is None or name in {"", ".", ".."} else folder / name
            if picture is None or not is_image(picture) or not picture.is_file():
                missing += 1
            elif not picture.is_symlink() or is_inside(picture, root):
                found.add(picture.relative_to(root).as_posix())
    return found, missing


def _list_folder(text: str, beside: Path, root: Path) -> Path | None:
    """The folder that the lines of a list mean: from the list, from the root, or the longest tail that is there."""
    for home in (beside, root):
        folder = home / text
        if folder.is_dir() and is_inside(folder, root):
            return folder.resolve()
    anchored = _anchor(root, text)
    return anchored if anchored is not None and anchored.is_dir() else None
