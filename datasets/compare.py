"""What changed from one dataset to another, by what the pictures hold and not by what they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import UsageError
from .contents import read_contents
from .model import SPLITS, Boxes, Dataset, Item, Split

_SAME_BOX = 2e-5
"""Boxes that differ by less in each number are the same, as fractions of the picture: formats round."""
_HALF_A_PIXEL = 0.5


@dataclass(frozen=True)
class Moved:
    """One picture that lies in another split now."""

    path: Path
    before: Split
    after: Split


@dataclass(frozen=True)
class Relabelled:
    """One picture with other labels.

    Attributes:
        path: The picture in the second dataset.
        added, removed: How many boxes came and went; a box that was moved is one of each.
        renamed: Boxes (or, in a classification, the picture) that kept their place and have another class.
        nudged: Boxes that moved by less than half a pixel, as rounding to whole pixels does.
    """

    path: Path
    added: int
    removed: int
    renamed: int
    nudged: int = 0


@dataclass(frozen=True)
class Difference:
    """What changed from the first dataset to the second.

    Attributes:
        same: Pictures that are in both, in the same split, with the same labels.
        added, removed: Pictures that only the second or only the first has.
        rewritten: Pictures with the same name in the same split, and another content; they do not count as added or
            removed.
        moved: Pictures that changed the split.
        relabelled: Pictures whose labels changed, whether moved or not.
        nudged: Pictures of which no more than this changed: boxes moved by less than half a pixel.
        classes_added, classes_removed: Class names.
        classes_reordered: Whether the names that both have stand in another order.
    """

    same: int
    added: tuple[Path, ...]
    removed: tuple[Path, ...]
    rewritten: tuple[Path, ...]
    moved: tuple[Moved, ...]
    relabelled: tuple[Relabelled, ...]
    nudged: tuple[Path, ...]
    classes_added: tuple[str, ...]
    classes_removed: tuple[str, ...]
    classes_reordered: bool

    @property
    def nothing(self) -> bool:
        """Whether the two hold the same."""
        return not (
            self.added or self.removed or self.rewritten or self.moved or self.relabelled or self.nudged
            or self.classes_added or self.classes_removed or self.classes_reordered
        )  # fmt: skip


def compare_datasets(first: Dataset, second: Dataset, advance: Callable[[float], None] | None = None) -> Difference:
    """Compare two datasets picture by picture.

    A picture is the same where its file holds the same bytes, whatever it is called. Classes are compared by name, so
    that another order of the classes is one change and not one in every label.

    Args:
        first: The older one, say. Files are only read.
        second: The newer one.
        advance: Called with 1 after each picture of either, for a progress bar.

    Raises:
        UsageError: one has boxes and the other a class per picture.
    """
    if first.task != second.task:
        raise UsageError(
            f"'{first.name}' is for {first.task} and '{second.name}' for {second.task}: they have no labels in common.",
            next_step="compare two of one kind",
        )
    sizes: dict[Path, tuple[int, int]] = {}
    before, after = _by_content(first, advance, {}), _by_content(second, advance, sizes)
    added, removed, pairs = [], [], []
    for content in before.keys() | after.keys():
        one, other = before.get(content, []), after.get(content, [])
        kept, left, came = _pair(one, other)
        pairs += kept
        removed += left
        added += came
    rewritten = {(item.split, item.image.name) for item in removed} & {(item.split, item.image.name) for item in added}
    pairs.sort(key=lambda pair: pair[1].image)
    changes = [(_compare_labels(first, one, second, other, sizes[other.image]), one, other) for one, other in pairs]
    moves = [(one.split, other) for one, other in pairs if one.split != other.split]
    common = set(first.names) & set(second.names)
    return Difference(
        same=sum(change is None and one.split == other.split for change, one, other in changes),
        added=_paths(item for item in added if (item.split, item.image.name) not in rewritten),
        removed=_paths(item for item in removed if (item.split, item.image.name) not in rewritten),
        rewritten=_paths(item for item in added if (item.split, item.image.name) in rewritten),
        moved=tuple(Moved(other.image, old_split, other.split) for old_split, other in moves),
        relabelled=tuple(change for change, _, _ in changes if change and not _only_nudged(change)),
        nudged=tuple(change.path for change, _, _ in changes if change and _only_nudged(change)),
        classes_added=tuple(name for name in second.names if name not in common),
        classes_removed=tuple(name for name in first.names if name not in common),
        classes_reordered=[name for name in first.names if name in common]
        != [name for name in second.names if name in common],
    )


def _by_content(
    dataset: Dataset, advance: Callable[[float], None] | None, sizes: dict[Path, tuple[int, int]]
) -> dict[str, list[Item]]:
    """The pictures by what their files hold; their widths and heights in pixels go into `sizes`."""
    found: dict[str, list[Item]] = defaultdict(list)
    for item, content in read_contents(dataset, advance):
        sizes[item.image] = (content.width, content.height)
        found[content.sha256 or f"unreadable {item.split}/{item.image.name}"].append(item)
    return found


def _pair(one: list[Item], other: list[Item]) -> tuple[list[tuple[Item, Item]], list[Item], list[Item]]:
    """Pictures of one content: those that stayed in their split first, then those that moved, and who is left over."""
    pairs: list[tuple[Item, Item]] = []
    left, came = list(one), list(other)
    for split in SPLITS:
        stayed = zip([item for item in left if item.split == split], [item for item in came if item.split == split])  # noqa: B905 - who is left over may have moved
        pairs += stayed
    used = {id(item) for pair in pairs for item in pair}
    left, came = [item for item in left if id(item) not in used], [item for item in came if id(item) not in used]
    moved = min(len(left), len(came))
    pairs += zip(left[:moved], came[:moved], strict=True)
    return pairs, left[moved:], came[moved:]


def _only_nudged(change: Relabelled) -> bool:
    return not (change.added or change.removed or change.renamed)


def _compare_labels(
    first: Dataset, one: Item, second: Dataset, other: Item, size: tuple[int, int]
) -> Relabelled | None:
    if one.class_id is not None and other.class_id is not None:
        renamed = first.names[one.class_id] != second.names[other.class_id]
        return Relabelled(other.image, 0, 0, 1) if renamed else None
    before, after = first.boxes(one)[0], second.boxes(other)[0]
    names_before = [first.names[number] for number in before.class_id.tolist()]
    names_after = [second.names[number] for number in after.class_id.tolist()]
    if names_before == names_after and np.array_equal(before.cxcywh, after.cxcywh):
        return None
    kept, nudged, renamed = _match(before, names_before, after, names_after, size)
    found = kept + nudged + renamed
    change = Relabelled(other.image, len(after) - found, len(before) - found, renamed, nudged)
    return change if nudged or not _only_nudged(change) else None


def _match(
    before: Boxes, names_before: list[str], after: Boxes, names_after: list[str], size: tuple[int, int]
) -> tuple[int, int, int]:
    """How many boxes are in both, how many moved by less than half a pixel, and how many have another class.

    Each is used once.
    """
    if not len(before) or not len(after):
        return 0, 0, 0
    apart = np.abs(before.cxcywh[:, None].astype(np.float64) - after.cxcywh[None])
    near = apart.max(axis=2) < _SAME_BOX
    slight = near | (bool(size[0]) & ((apart * (*size, *size)).max(axis=2) < _HALF_A_PIXEL))
    same_name = np.array(names_before)[:, None] == np.array(names_after)[None]
    free = np.ones(len(after), bool)
    counts = [0, 0, 0]
    open_rows = list(range(len(before)))
    for turn, allowed in enumerate((near & same_name, slight & same_name, slight)):
        still_open = []
        for row in open_rows:
            candidates = np.flatnonzero(allowed[row] & free)
            if len(candidates):
                free[candidates[0]] = False
                counts[turn] += 1
            else:
                still_open.append(row)
        open_rows = still_open
    return counts[0], counts[1], counts[2]


def _paths(items: Iterable[Item]) -> tuple[Path, ...]:
    return tuple(sorted(item.image for item in items))
