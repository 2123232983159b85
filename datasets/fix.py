"""Repair a dataset: a new one beside it, and a log of each change."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ..core.errors import DataError
from ..core.files import slug
from ..core.images import ImageError, read_image
from ..core.progress import progress
from ..core.words import many
from ..core.workspace import Workspace
from .balance import Balance, balance, without_label
from .check.classes import class_findings
from .check.finding import CheckReport, Finding, Twin
from .check.items import listed_once
from .check.kinds import KINDS
from .check.run import check_dataset
from .check.twins import groups
from .encode import encode
from .fixes.kinds import REPAIRED, choose
from .fixes.log import Change, Plan
from .fixes.plan import make_plan
from .formats.picture import Picture
from .model import SPLITS, Dataset, Split
from .parent import parent_of
from .read import open_dataset
from .record import DatasetRecord, made_with, read_record, verify
from .write import NewDataset, dataset_path, ensure_writable, write_dataset

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
        already: Whether it was there: the same repair of the same dataset, as it was written.
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
    already: bool = False

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
        What was done. `folder` is None when there was nothing to repair, or after a dry run. Where the same repair of
        the same dataset stands there already, it is that one, and nothing is written.

    Raises:
        UsageError: a kind is unknown, or the new name is taken.
        NotFoundError, DataError: see `open_dataset`; or nothing usable is left; or the labels mean something else than
            they seem to, which only a person can put right.
        DiskFullError, OSError: as the system gave it.
    """
    kinds = choose(config.only, KINDS)
    dataset = listed_once(open_dataset(given, workspace))
    name = config.name or _free_name(workspace, dataset.name)
    dataset_path(workspace, name)
    ensure_writable(workspace)
    with progress("checking", dataset.count()) as advance:
        checked = check_dataset(dataset, advance=advance)
    _refuse(checked)
    with progress("planning repairs", checked.pictures) as advance:
        plan = make_plan(dataset, checked, kinds, config.seed, advance)
    wanted = any(change.kind in kinds for change in plan.changes)
    folder = record = None
    made = _made_already(workspace, dataset, config) if wanted and not config.name else None
    if made:
        folder, record = made
        name = folder.name
    elif wanted and not config.dry_run:
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
        left=tuple(_left(checked, plan, after, kinds)),
        questions=tuple(plan.questions),
        already=made is not None,
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


def _left(checked: CheckReport, plan: Plan, after: Balance, kinds: frozenset[str]) -> Iterator[Finding]:
    """What only a person can do something about, as it is after the repair."""
    gone = {path for item, split in zip(plan.items, plan.splits, strict=True) if split is None
            for path in (item.image, item.label)}  # fmt: skip
    for found in checked.findings:
        if found.severity == "note" or found.kind.startswith("class-") or (found.kind in REPAIRED and found.fix):
            continue
        still = tuple(path for path in found.files if path not in gone)
        if len(still) == len(found.files):
            yield found
        elif still:
            what = f"{found.what} {many(len(still), 'of these files is', 'of these files are')} still there."
            yield replace(found, what=what, files=still, count=len(still))
    kept = np.zeros(len(plan.items), bool)
    kept[plan.kept()] = True
    owner = np.zeros(len(plan.items), np.int64)
    for number, group in enumerate(groups(plan.items, checked.twins)):
        owner[group] = number

    def differing(class_id: int) -> int:
        return len(np.unique(owner[kept & (plan.objects[:, class_id] > 0)]))

    objects = np.array([after.objects[split] for split in SPLITS])
    for found in class_findings(checked.dataset, objects, after.pictures, differing):
        if not (found.kind == "class-absent" and found.fix and found.kind not in kinds):
            yield replace(found, fix="")


def _names(old: str) -> Iterator[str]:
    """What a repaired dataset may be called, the best name first."""
    base = re.sub(r"-fixed(-\d+)?$", "", slug(old)) + "-fixed"
    yield base
    yield from (f"{base}-{number}" for number in itertools.count(2))


def _free_name(workspace: Workspace, old: str) -> str:
    return next(name for name in _names(old) if not dataset_path(workspace, name).exists())


def _made_already(workspace: Workspace, dataset: Dataset, config: FixConfig) -> tuple[Path, DatasetRecord] | None:
    """The dataset that this very repair made before, if it stands there as it was written."""
    origin = None
    for name in _names(dataset.name):
        folder = dataset_path(workspace, name)
        if not folder.exists():
            return None
        try:
            record = read_record(folder)
        except DataError:  # damaged, so not as it was written
            continue
        if record is None or record.origin.kind != "dataset" or record.made_with != made_with():
            continue
        origin = origin or parent_of(dataset, "fix", _options(config)).origin
        if record.origin == origin and not verify(folder, record):
            return folder, record
    return None


def _options(config: FixConfig) -> dict[str, object]:
    return {"only": list(config.only), "seed": config.seed}


def _write(
    dataset: Dataset, workspace: Workspace, name: str, checked: CheckReport, plan: Plan, config: FixConfig
) -> tuple[Path, DatasetRecord]:
    parent = parent_of(dataset, "fix", _options(config))
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
