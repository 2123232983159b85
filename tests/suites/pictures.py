"""Odd pictures through a check: it ends, and what it does not name as unusable can be read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from lensmith.core.images import ImageError, read_image
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import CheckConfig, check_dataset
from lensmith.datasets.read import open_dataset
from tests.suites.picture_cases import NO_PICTURES, bombs, damaged, kinds

IN_A_CASE = 100
BY_CHANCE = 30
COUNT = 2 + BY_CHANCE
MEMORY_BYTES = 1536 << 20
FILE_BYTES = 256 << 20
_UNUSABLE = {"picture-unreadable", "picture-truncated", "picture-empty", "picture-too-large"}


class Laid(NamedTuple):
    """A folder of pictures, and those that must, or must not, be named as unusable."""

    root: Path
    bad: set[str]
    good: set[str]


def warm_up() -> None:
    """All that is loaded later would count as memory of a case."""


def prepare(number: int, folder: Path) -> Laid:
    """Lay out a case: all kinds at once, all bombs at once, or a hundred with some damage."""
    home = folder / "given" / "train" / "class"
    home.mkdir(parents=True)
    if number == 0:
        files = {**kinds(), **{f"no-{name}": data for name, data in NO_PICTURES.items()}}
        good, bad = set(kinds()), {name for name in files if name.startswith("no-")}
    elif number == 1:
        files = bombs()
        good, bad = set(), set(files) - {"frames.png", "profile.png", "text.png", "ten-thousand-scans.jpg"}
    else:
        files = dict(damaged((number - 2) * IN_A_CASE + step) for step in range(IN_A_CASE))
        good, bad = set(), set()
    for name, data in files.items():
        (home / name).write_bytes(data)
    return Laid(folder / "given", bad, good)


def run(case: Laid, _folder: Path) -> tuple[str, str, list[str]]:
    """One case; see `box.Outcome`."""
    dataset = open_dataset(case.root, Workspace(case.root.parent))
    pictures = [item.image for item in dataset.items()]
    report = check_dataset(dataset, CheckConfig(workers=1))
    named = {path for finding in report.findings if finding.kind in _UNUSABLE for path in finding.files}
    broken = [
        f"'{path.name}' is no picture and was not named" for path in pictures if path.name in case.bad - _of(named)
    ]
    broken += [f"'{path.name}' is a picture and was named" for path in pictures if path.name in case.good & _of(named)]
    if report.pictures != len(pictures) or not pictures:
        broken.append(f"{report.pictures} pictures looked at of {len(pictures)}")
    for path in pictures:
        try:
            bgr = read_image(path)
        except ImageError as error:
            if path not in named:
                broken.append(f"'{path.name}' cannot be read and was not named: {error.reason}")
            continue
        if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3:
            broken.append(f"'{path.name}' is {bgr.dtype} {bgr.shape}")
    return "ok", f"{len(pictures)} pictures, {len(named)} named", broken


def _of(paths: set[Path]) -> set[str]:
    return {path.name for path in paths}
