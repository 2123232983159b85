"""What a repair does to a planted dataset: faults are gone, clean pictures as they were, the old files untouched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.fix import FixConfig, FixReport, fix_dataset
from lensmith.datasets.fixes.kinds import REPAIRED
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset

from .site import Site

_TOO_FEW_GROUPS = frozenset({"class-absent", "split-missing"})
"""May be left where alike pictures of a class cannot be divided."""
Content = tuple[int | None, list[list[float]]]


def mend(site: Site, workspace: Workspace) -> list[str]:
    """Repair a planted dataset into the workspace and look at what came out.

    Returns:
        What is wrong with the repair, a sentence each; nothing when all is right.
    """
    before = _state(site.root)
    dataset = open_dataset(site.root, Workspace(site.root.parent))
    old = _contents(dataset)
    promised = {finding.kind for finding in check_dataset(dataset).findings if finding.fix}
    report = fix_dataset(site.root, workspace, FixConfig())
    wrong = [] if _state(site.root) == before else ["files of the old dataset changed"]
    if report.folder is None:
        return [*wrong, f"the check promises a repair of {', '.join(sorted(promised))}"] if promised else wrong
    fixed = open_dataset(report.folder, workspace)
    return wrong + _still_there(fixed) + _not_as_they_were(site, old, _contents(fixed)) + _made_up(site, fixed, report)


def _still_there(fixed: Dataset) -> list[str]:
    found = [finding for finding in check_dataset(fixed).findings if finding.kind in REPAIRED - _TOO_FEW_GROUPS]
    return [f"still there: {finding.kind}: {finding.what}" for finding in found]


def _not_as_they_were(site: Site, old: dict[bytes, Content], new: dict[bytes, Content]) -> list[str]:
    """Clean pictures that are gone, or came out with another label."""
    wrong: list[str] = []
    lost: list[str] = []
    for shot in site.free:
        digest = _sha256(shot.image)
        if digest not in old:
            lost.append(shot.image.name)
        elif digest not in new:
            wrong.append(f"a clean picture is gone: {shot.image.name}")
        elif new[digest] != old[digest]:
            wrong.append(f"a clean picture has another label: {shot.image.name}: {old[digest]} -> {new[digest]}")
    return [*wrong, f"clean pictures belong to no split, and nothing says so: {', '.join(lost)}"] if lost else wrong


def _made_up(site: Site, fixed: Dataset, report: FixReport) -> Sequence[str]:
    """Pictures that count as showing nothing although nobody said so."""
    if fixed.task == "classify":
        return []
    empty = {file for fault in site.planted if "picture-without-objects" in fault.kinds for file in fault.files}
    honest = {_sha256(file) for file in empty if file.is_file()}
    wrong = []
    for item in fixed.items():
        labelled = item.label is not None and item.label.is_file()
        if labelled and not len(fixed.boxes(item)[0]) and _sha256(item.image) not in honest:
            wrong.append(f"labelled as showing nothing, and nobody said so: {item.image.name} in {report.name}")
    return wrong


def _contents(dataset: Dataset) -> dict[bytes, Content]:
    """The label of each picture by the hash of its bytes."""
    contents: dict[bytes, Content] = {}
    for item in dataset.items():
        boxes, _ = dataset.boxes(item)
        rows = [[float(c), *box] for c, box in zip(boxes.class_id.tolist(), boxes.cxcywh.tolist(), strict=True)]
        contents[_sha256(item.image)] = item.class_id, sorted(rows)
    return contents


def _state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(folder).as_posix(): (_sha256(path), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def _sha256(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
