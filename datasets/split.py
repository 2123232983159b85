"""Share a dataset's pictures out to train, valid and test anew, or to folds for cross-validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import DataError, UsageError
from ..core.files import slug
from ..core.progress import progress
from ..core.words import many
from ..core.workspace import Workspace
from .balance import Balance, balance, count_objects, without_label
from .check.items import listed_once
from .check.run import check_dataset
from .check.twins import groups
from .formats.picture import Picture
from .model import SPLITS, Boxes, Dataset, Item, LabelProblem, Split, spoilt
from .parent import parent_of
from .read import open_dataset
from .record import DatasetRecord
from .stratify import assign, share_out
from .write import NewDataset, dataset_path, ensure_writable, write_datasets

if TYPE_CHECKING:
    from .check.finding import CheckReport, Twin

__all__ = ["SplitConfig", "SplitReport", "assign", "parse_ratios", "split_dataset"]

DEFAULT_RATIOS = (70.0, 20.0, 10.0)


@dataclass(frozen=True)
class SplitConfig:
    """How to split.

    Attributes:
        ratios: Weights of train, valid and, if wanted, test.
        folds: Make this many datasets instead, each with another part of the pictures as "valid". 0: do not.
        seed: Decides between groups of pictures that are alike.
        name: Of the new dataset. Default: the old name and `-split`; of folds the old name.
    """

    ratios: tuple[float, ...] = DEFAULT_RATIOS
    folds: int = 0
    seed: int = 0
    name: str | None = None


@dataclass(frozen=True)
class SplitReport:
    """What was made.

    Attributes:
        folders: The new datasets.
        before, after: What each split had, and has in each new dataset.
        groups: How many groups of two or more pictures that show the same thing were kept together.
        grouped: How many pictures are in them.
        leaks_before: How many pairs of such pictures lay in two splits.
        leaks_after: The same in the new dataset; 0, unless folds keep a "test" split that leaks.
    """

    names: tuple[str, ...]
    folders: tuple[Path, ...]
    records: tuple[DatasetRecord, ...] = field(repr=False)
    before: Balance
    after: tuple[Balance, ...]
    groups: int
    grouped: int
    leaks_before: int
    leaks_after: int


def parse_ratios(text: str) -> tuple[float, ...]:
    """Read "80/20", "70/20/10" or "0.7/0.2/0.1": the shares of train, valid and, if given, test.

    Raises:
        UsageError: that is not two or three shares above zero which make a whole.
    """
    try:
        ratios = tuple(float(part) for part in text.split("/"))
    except ValueError:
        ratios = ()
    whole = sum(ratios)
    if len(ratios) not in {2, 3} or not all(0 < ratio < 1000 for ratio in ratios):
        what = f"'{text}' is not a way to split: two or three shares above zero are needed."
    elif abs(whole - 100) > 0.5 and abs(whole - 1) > 0.005:
        what = f"The shares in '{text}' add up to {whole:g}, not to 100."
    else:
        return ratios
    next_step = "give train/valid/test, such as 70/20/10, or train/valid, such as 80/20"
    raise UsageError(what, where="--ratios", next_step=next_step)


def split_dataset(given: str | Path, workspace: Workspace, config: SplitConfig = SplitConfig()) -> SplitReport:
    """Write a dataset anew with other splits; the old one stays as it is.

    Pictures that show the same thing (copies, copies that an augmentation made, near-duplicates, neighbouring frames:
    what `check_dataset` calls twins) stay together, and each split gets its share of each class, see
    `stratify.assign`. The choice depends on the names of the pictures, what is on them, and the seed.

    Args:
        given: A dataset's name or folder.
        workspace: Where names are looked up and the new dataset goes.
        config: How to split. With `folds`, datasets `NAME-fold1` to `NAME-foldK` are made, all or none; a "test" split
            that is there stays the test split of each.

    Raises:
        UsageError: the shares or the number of folds make no sense, or the new name is taken.
        NotFoundError, DataError: see `open_dataset`; or there are too few different pictures to split.
        DiskFullError, OSError: as the system gave it.
    """
    if config.folds and config.folds < 2:
        raise UsageError("Folds are two or more.", where="--folds", next_step="give --folds 5")
    dataset = listed_once(open_dataset(given, workspace))
    new_names = _new_names(dataset, workspace, config)
    ensure_writable(workspace)
    with progress("looking for pictures that show the same thing", dataset.count()) as advance:
        report = check_dataset(dataset, advance=advance)
    _need_readable(dataset, report)
    items = tuple(dataset.items())
    mended: Counter[str] = Counter()
    unlabelled = without_label(report)

    def note(item: Item, boxes: Boxes, problems: list[LabelProblem]) -> None:
        mended.update(problem.fault for problem in problems)
        if spoilt(boxes, problems):
            unlabelled.add(item.image)

    objects = count_objects(dataset, items, note)
    bound = groups(items, report.twins)
    plans = _folds(items, objects, bound, config) if config.folds else _plan(items, objects, bound, config)
    parent = parent_of(dataset, "split", {key: value for key, value in asdict(config).items() if key != "name"})
    new = NewDataset(
        name="",
        task=dataset.task,
        names=dataset.names,
        origin=parent.origin,
        licence=parent.licence,
        remarks=(f"{many(mended.total(), 'label row')} left out or mended on the way.",) if mended else (),
        link=parent.ours,
    )
    wanted = []
    for number, (name, plan) in enumerate(zip(new_names, plans, strict=True), 1):
        options = {**parent.origin.options, "fold": number} if config.folds else parent.origin.options
        origin = parent.origin.model_copy(update={"options": options})
        pictures = _pictures(dataset, items, plan, unlabelled)
        wanted.append((replace(new, name=name, origin=origin), pictures, len(items)))
    written = write_datasets(workspace, wanted)
    together = [group for group in bound if len(group) > 1]
    return SplitReport(
        names=dataset.names,
        folders=tuple(folder for folder, _ in written),
        records=tuple(record for _, record in written),
        before=balance(objects, [item.split for item in items]),
        after=tuple(balance(objects, plan) for plan in plans),
        groups=len(together),
        grouped=sum(map(len, together)),
        leaks_before=sum(twin.across for twin in report.twins),
        leaks_after=max(_leaks(items, report.twins, plan) for plan in plans),
    )


def _need_readable(dataset: Dataset, report: CheckReport) -> None:
    unreadable = {path for found in report.findings if found.kind == "picture-unreadable" for path in found.files}
    gone = [path for path in sorted(unreadable) if not path.is_file()]
    if gone:
        raise DataError(
            f"{many(len(gone), 'picture')} of '{dataset.name}' cannot be read.",
            where=gone[0],
            next_step=f"leave them out with cv fix-dataset {dataset.name}, and split what that makes",
        )


def _new_names(dataset: Dataset, workspace: Workspace, config: SplitConfig) -> list[str]:
    base = config.name or slug(dataset.name) + ("" if config.folds else "-split")
    names = [f"{base}-fold{number}" for number in range(1, config.folds + 1)] or [base]
    for name in names:
        if (folder := dataset_path(workspace, name)).exists():
            raise UsageError(
                f"There is a dataset called '{name}' already.", where=folder, next_step="give another name with --name"
            )
    return names


def _plan(
    items: Sequence[Item], objects: np.ndarray, bound: Sequence[Sequence[int]], config: SplitConfig
) -> list[list[Split]]:
    _need_groups(len(bound), len(config.ratios))
    parts = share_out(items, objects, bound, config.ratios, config.seed)
    return [[SPLITS[part] for part in parts.tolist()]]


def _folds(
    items: Sequence[Item], objects: np.ndarray, bound: Sequence[Sequence[int]], config: SplitConfig
) -> list[list[Split]]:
    """The split of each picture in each fold; each group is in "valid" once."""
    kept = np.array([item.split == "test" for item in items])
    open_items = np.flatnonzero(~kept)
    position = {index: number for number, index in enumerate(open_items.tolist())}
    inner = [[position[index] for index in group if index in position] for group in bound]
    inner = [group for group in inner if group]
    _need_groups(len(inner), config.folds)
    parts = np.full(len(items), -1, np.int64)
    parts[open_items] = share_out(
        [items[index] for index in open_items.tolist()], objects[open_items], inner, (1,) * config.folds, config.seed
    )
    return [
        ["test" if part < 0 else "valid" if part == fold else "train" for part in parts.tolist()]
        for fold in range(config.folds)
    ]


def _need_groups(there: int, needed: int) -> None:
    if there < needed:
        raise DataError(
            f"Only {many(there, 'group')} of pictures that differ can be told apart, too few for {needed} parts.",
            next_step="add pictures of other scenes, or ask for fewer parts",
        )


def _leaks(items: Sequence[Item], twins: Iterable[Twin], plan: Sequence[Split]) -> int:
    split_of = {item.image: split for item, split in zip(items, plan, strict=True)}
    return sum(split_of[twin.first.image] != split_of[twin.second.image] for twin in twins)


def _pictures(
    dataset: Dataset, items: Sequence[Item], plan: Sequence[Split], unlabelled: set[Path]
) -> Iterator[Picture]:
    for item, split in zip(items, plan, strict=True):
        boxes = None if item.class_id is not None or item.image in unlabelled else dataset.boxes(item)[0]
        yield Picture(item.image, item.image.name, split, boxes, item.class_id)
