"""Hostile datasets: nothing in them runs, nothing outside is read, and not one byte of them changes."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

from lensmith.core.errors import LensmithError
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import CheckConfig, check_dataset
from lensmith.datasets.import_dataset import import_dataset
from lensmith.datasets.read import open_dataset
from tests.helpers import make_picture
from tests.suites.dataset_cases import Place, cases

COUNT = 114
MEMORY_BYTES = 1 << 30
FILE_BYTES = 256 << 20
_PRIVATE = b"0 0.123456 0.654321 0.111111 0.222222\n"


class Laid(NamedTuple):
    """A case as it lies there, with a digest of everything."""

    label: str
    place: Place
    before: dict[str, str]


def warm_up() -> None:
    """All that is loaded later would count as memory of a case."""


def prepare(number: int, folder: Path) -> Laid:
    """Lay out a case, and what lies around it."""
    given = folder / "given"
    outside = given / "outside"
    make_picture(outside / "images/private.png", seed=99)
    (outside / "labels").mkdir()
    (outside / "labels/private.txt").write_bytes(_PRIVATE)
    (outside / "names.yaml").write_text("train: train/images\nnames: [secret, hidden]\n")
    (outside / "list.txt").write_text(f"{outside}/images/private.png\n")
    place = Place(given / "deep" / "set", outside, folder / "canary")
    place.root.parent.mkdir()
    label, lay_out = cases()[number]
    lay_out(place)
    (folder / "work").mkdir()
    return Laid(label, place, _digests(given))


def run(case: Laid, folder: Path) -> tuple[str, str, list[str]]:
    """One case; see `box.Outcome`."""
    work = Workspace(folder / "work")
    broken: list[str] = []
    said = []
    try:
        dataset = open_dataset(case.place.root, work)
        root = case.place.root.resolve()
        for item in dataset.items():
            dataset.boxes(item)
            if root not in item.image.resolve().parents:
                broken.append(f"read outside: {item.image}")
        check_dataset(dataset, CheckConfig(workers=2 if len(case.label) % 8 == 0 else 1))
    except LensmithError as error:
        said.append(str(error))
    try:
        import_dataset(case.place.root, work)
    except LensmithError as error:
        said.append(str(error))
    broken += _leaks(work, case)
    if _digests(case.place.root.parent.parent) != case.before:
        broken.append("what was given has changed")
    if case.place.canary.exists():
        broken.append("the canary: something of the dataset ran")
    if any("\x1b" in line for line in said):
        broken.append("a message that paints the terminal")
    found = {path.name for path in folder.iterdir()} - {"given", "work"}
    return ("refused" if len(said) == 2 else "ok"), f"{case.label}: {said}", [*broken, *map(str, found)]


def _leaks(work: Workspace, case: Laid) -> list[str]:
    """Private bytes in what was made, links, and anything half-made."""
    private = (case.place.outside / "images/private.png").read_bytes()
    found = []
    if not work.datasets.exists():
        return []
    for path in work.datasets.rglob("*"):
        if path.is_symlink():
            found.append(f"a link was made: {path}")
        elif path.is_file() and path.read_bytes() in {private, _PRIVATE}:
            found.append(f"private bytes in {path}")
        if path.suffix in {".py", ".cache", ".pkl", ".pt", ".npy", ".partial"}:
            found.append(f"brought along: {path}")
    for folder in work.datasets.iterdir():
        if not folder.name.startswith(".") and not (folder / "dataset.json").is_file():
            found.append(f"half a dataset: {folder}")
        if folder.name.startswith(".") and folder.name != ".locks":
            found.append(f"left behind: {folder}")
    return found


def _digests(folder: Path) -> dict[str, str]:
    """What lies in a folder: kinds, sizes, times, and the content of files that are not huge."""
    found = {}
    for directory, folders, files in os.walk(os.fsencode(folder)):
        for name in [*folders, *files]:
            path = os.path.join(directory, name)  # noqa: PTH118 - bytes, for names that are no text
            status = os.lstat(path)
            about = f"{stat.filemode(status.st_mode)} {status.st_mtime_ns}"
            if stat.S_ISREG(status.st_mode):
                about += f" {status.st_size}"
                if status.st_size < 1 << 24:
                    about += hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest()
            found[os.fsdecode(path)] = about
    return found
