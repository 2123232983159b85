"""Repair a dataset: a new one beside it, and a log of each change."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ..core.errors import DataError
from ..core.files import slug
from ..core.images import ImageError, read_image
from ..core.progress import progress
from ..core.workspace import Workspace
from .balance import Balance, balance, without_label
from .check.finding import CheckReport, Finding, Twin
from .check.kinds import KINDS, finding, many
from .check.run import check_dataset
from .encode import encode
from .fixes.kinds import REPAIRED, choose
from .fixes.log import Change, Plan
from .fixes.plan import make_plan
from .formats.picture import Picture
from .model import Dataset, Split
from .parent import parent_of
from .read import open_dataset
from .record import DatasetRecord
from .write import NewDataset, dataset_path, write_dataset

CHANGES_NAME = "changes.jsonl"


@dataclass(frozen=True)
class FixConfig:
    """What to repair.

    Attributes:
        only: Kinds of findings; empty for all that can be repaired. What a reader puts right by itself (label rows,
            data.yaml) is right in the new dataset in any case.
        dry_run: Plan only, write nothing.
        name: Of the new dataset. Default: the old name and `-fixed`, or `-fixed-2`, ... where that is taken.
        seed: Decides between groups of pictures that are alike when splits change.
    """

    only: tuple[str, ...] = ()
    dry_run: bool = False
    name: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class FixReport:
    """What was done, or would be.

    Attributes:
        name: Of the new dataset.
        task: Its task.
        names: Its classes.
        folder, record: The new dataset; None when nothing was written.
        changes: Each change, as in `changes.jsonl`.
        how: How pictures moved between splits and why.
        before, after: What is in each split.
        leaked_before, leaked_after: Pictures of "valid" and "test" that a picture of an earlier split gives away.
        left: Findings that only a person can do something about.
        questions: Single things among them that came up while repairing.
    """

    name: str
    task: str
    names: tuple[str, ...]
    folder: Path | None
    record: DatasetRecord | None
    changes: tuple[Change, ...]
    how: tuple[str, ...]
    before: Balance
    after: Balance
    leaked_before: dict[str, int]
    leaked_after: dict[str, int]
    left: tuple[Finding, ...]
    questions: tuple[str, ...]

    @property
    def repaired(self) -> dict[str, int]:
        """How many changes there are of each kind, most first."""
        return dict(Counter(change.kind for change in self.changes).most_common())


def fix_dataset(given: str | Path, workspace: Workspace, config: FixConfig = FixConfig()) -> FixReport:
    """Check a dataset and write a repaired one beside it; nothing of the old one changes.

    Pictures that cannot be used are left out, odd ones written again as plain 8-bit colour pictures (JPEG of quality 95
    from JPEG, else PNG), misnamed ones renamed; of copies the best labelled one is kept; label rows come out as the
    reader reads them; pictures that show the same thing move into one split (`fixes.splits`), and a missing "valid" is
    filled. What the new dataset does not say by itself stands in its `changes.jsonl`.

    Args:
        given: A dataset's name or folder.
        workspace: Where names are looked up and the new dataset goes.
        config: What to repair.

    Returns:
        What was done. `folder` is None when there was nothing to repair, or after a dry run.

    Raises:
        UsageError: a kind is unknown, or the new name is taken.
        NotFoundError, DataError: see `open_dataset`; or nothing usable is left; or the labels mean something else than
            they seem to, which only a person can put right.
        DiskFullError, OSError: as the system gave it.
    """
    kinds = choose(config.only, KINDS)
    dataset = open_dataset(given, workspace)
    name = config.name or _free_name(workspace, dataset.name)
    dataset_path(workspace, name)
    with progress("checking", dataset.count()) as advance:
        checked = check_dataset(dataset, advance=advance)
    _refuse(checked)
    with progress("planning repairs", checked.pictures) as advance:
        plan = make_plan(dataset, checked, kinds, config.seed, advance)
    wanted = any(change.kind in kinds for change in plan.changes)
    folder = record = None
    if wanted and not config.dry_run:
        folder, record = _write(dataset, workspace, name, checked, plan, config)
    kept = plan.kept()
    now: dict[Path, Split] = {
        plan.items[number].image: split for number in kept if (split := plan.splits[number]) is not None
    }
    before = balance(plan.objects, [item.split for item in plan.items])
    after = balance(plan.objects[kept], list(now.values()))
    plan.questions += [
        f"Nothing is left for '{split}': it showed what 'train' shows. Take pictures of another scene for it."
        for split, pictures in before.pictures.items()
        if pictures and not after.pictures[split]
    ]
    return FixReport(
        name=name,
        task=dataset.task,
        names=dataset.names,
        folder=folder,
        record=record,
        changes=tuple(plan.changes) if wanted else (),
        how=tuple(plan.how),
        before=before,
        after=after,
        leaked_before=_leaked(checked.twins, {item.image: item.split for item in plan.items}),
        leaked_after=_leaked(checked.twins, now),
        left=tuple(_left(checked, dataset.names, after)),
        questions=tuple(plan.questions),
    )


def _refuse(checked: CheckReport) -> None:
    """Raise where the labels are there and mean something else: a repair of the rest would make them look right."""
    for found in checked.findings:
        if found.kind == "label-misread" or (found.kind == "label-without-picture" and not found.fix):
            raise DataError(
                found.what,
                where=found.files[0] if found.files else checked.dataset.root,
                next_step="put that right first; repairing the rest would hide it",
            )


def _left(checked: CheckReport, names: tuple[str, ...], after: Balance) -> Iterator[Finding]:
    """What only a person can do something about."""
    for found in checked.findings:
        if (found.kind not in REPAIRED or not found.fix) and found.severity != "note":
            yield found
    has = [any(numbers) for numbers in zip(*after.objects.values(), strict=True)]
    for split, pictures in after.pictures.items():
        objects = after.objects[split]
        absent = [name for name, known, number in zip(names, has, objects, strict=True) if known and not number]
        if pictures and absent:
            which = many(len(absent), "class is", "classes are")
            what = f"{which} missing from '{split}' for want of pictures that differ: {', '.join(absent)}."
            yield finding("class-absent", what, count=len(absent))


def _free_name(workspace: Workspace, old: str) -> str:
    base = re.sub(r"-fixed(-\d+)?$", "", slug(old)) + "-fixed"
    number, name = 1, base
    while dataset_path(workspace, name).exists():
        number += 1
        name = f"{base}-{number}"
    return name


def _write(
    dataset: Dataset, workspace: Workspace, name: str, checked: CheckReport, plan: Plan, config: FixConfig
) -> tuple[Path, DatasetRecord]:
    parent = parent_of(dataset, "fix", {"only": list(config.only), "seed": config.seed})
    extra: dict[str, str] = {}
    new = NewDataset(
        name=name,
        task=dataset.task,
        names=dataset.names,
        origin=parent.origin,
        licence=parent.licence,
        remarks=tuple(plan.how),
        extra=extra,
        link=parent.ours,
    )
    pictures = _pictures(dataset, plan, without_label(checked) | plan.unlabelled, extra)
    return write_dataset(workspace, new, pictures, len(plan.kept()))


def _pictures(dataset: Dataset, plan: Plan, unlabelled: set[Path], extra: dict[str, str]) -> Iterator[Picture]:
    """The pictures of the new dataset; at the end the log is complete and goes into `extra`."""
    for number in plan.kept():
        item, split = plan.items[number], plan.splits[number]
        if split is None:
            continue
        name = plan.names.get(number, item.image.name)
        source: Path | bytes = item.image
        if number in plan.redrawn:
            try:
                source = encode(read_image(item.image), Path(name).suffix)
            except ImageError as error:
                plan.splits[number] = None
                file = item.image.relative_to(dataset.root).as_posix()
                plan.changes.append(Change(file, "picture-unreadable", f"left out: {error.reason}"))
                continue
        boxes = None if item.class_id is not None or item.image in unlabelled else dataset.boxes(item)[0]
        yield Picture(source, name, split, boxes, item.class_id)
    extra[CHANGES_NAME] = "".join(json.dumps(asdict(change), ensure_ascii=False) + "\n" for change in plan.changes)


def _leaked(twins: Iterable[Twin], split_of: Mapping[Path, Split]) -> dict[str, int]:
    """Pictures of "valid" and "test" that one of an earlier split gives away."""
    order = ("train", "valid", "test")
    leaked: dict[Path, Split] = {}
    for twin in twins:
        first, second = split_of.get(twin.first.image), split_of.get(twin.second.image)
        if first and second and first != second:
            later = twin.first if order.index(first) > order.index(second) else twin.second
            leaked[later.image] = split_of[later.image]
    return {split: sum(found == split for found in leaked.values()) for split in order[1:]}
