"""What is wrong with the classes: too few, missing, out of balance, written in two ways."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...core.words import many, some
from ..model import SPLITS, Dataset, Split
from .finding import Finding, Severity
from .kinds import finding

_FEWEST = 10
_MOST_UNEVEN = 20
_SHOWN = 10
_GAPS = re.compile(r"(?<=\w)[\s_\-]+(?=\w)|(?<=[^\W_])_+(?=\w)")


def class_findings(
    dataset: Dataset, objects: np.ndarray, pictures: Mapping[Split, int], differing: Callable[[int], int]
) -> Iterator[Finding]:
    """Findings of the kinds class-...

    Args:
        dataset: For its class names.
        objects: See `Labels.objects`.
        pictures: How many pictures train, valid and test have.
        differing: How many pictures that show different things have a class. Where they are fewer than the splits, no
            repair can bring the class into all of them.
    """
    names = dataset.names
    of = "picture" if dataset.task == "classify" else "box"
    unused = np.flatnonzero(objects.sum(axis=0) == 0)
    if len(unused):
        what = f"{many(len(unused), 'class', 'classes')} that no picture has: {_named(names, unused)}."
        yield finding("class-unused", what, count=len(unused))
    for number, split in enumerate(SPLITS):
        absent = np.flatnonzero((objects[number] == 0) & (objects.sum(axis=0) > 0))
        if pictures[split] and len(absent):
            splits = sum(map(bool, pictures.values()))
            enough = np.array([differing(class_id) >= splits for class_id in absent.tolist()])
            yield from _absent(names, split, absent[enough], absent[~enough])
    few = np.flatnonzero((objects[0] > 0) & (objects[0] < _FEWEST))
    if len(few):
        counts = [f"{names[int(k)]} ({many(int(objects[0][k]), of, 'boxes' if of == 'box' else None)})" for k in few]
        what = f"{many(len(few), 'class has', 'classes have')} fewer than {_FEWEST} examples in 'train':"
        yield finding("class-few", f"{what} {some(counts, _SHOWN)}.", count=len(few))
    yield from _imbalance(names, objects.sum(axis=0))
    for alike in _alike(names):
        what = f"Class names that differ only in how they are written: {some([names[k] for k in alike], _SHOWN)}."
        yield finding("class-names-alike", what, count=len(alike))


def _absent(names: Sequence[str], split: Split, enough: np.ndarray, too_few: np.ndarray) -> Iterator[Finding]:
    severity: Severity = "problem" if split == "train" else "warning"
    if len(enough):
        what = f"{many(len(enough), 'class is', 'classes are')} missing from '{split}': {_named(names, enough)}."
        yield finding("class-absent", what, count=len(enough), severity=severity)
    if len(too_few):
        what = (
            f"{many(len(too_few), 'class is', 'classes are')} missing from '{split}' for want of pictures that differ,"
            f" so more photographs are needed: {_named(names, too_few)}."
        )
        yield replace(finding("class-absent", what, count=len(too_few), severity=severity), fix="")


def _imbalance(names: Sequence[str], totals: np.ndarray) -> Iterator[Finding]:
    used = np.flatnonzero(totals)
    if len(used) < 2:
        return
    most, least = int(used[np.argmax(totals[used])]), int(used[np.argmin(totals[used])])
    if totals[most] > _MOST_UNEVEN * totals[least]:
        ratio = totals[most] // totals[least]
        what = f"{names[most]} is there {ratio} times as often as {names[least]}: {totals[most]} to {totals[least]}."
        yield finding("class-imbalance", what, count=int((totals[used] * _MOST_UNEVEN < totals[most]).sum()))


def _alike(names: Sequence[str]) -> list[list[int]]:
    spellings: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        plain = unicodedata.normalize("NFKC", name).casefold().strip()
        spellings[_GAPS.sub("", plain)].append(number)
    return [numbers for numbers in spellings.values() if len(numbers) > 1]


def _named(names: Sequence[str], which: np.ndarray) -> str:
    return some([names[int(number)] for number in which], _SHOWN)
