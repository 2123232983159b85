"""Look through a dataset once and say what is wrong with it, before hours of training do."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...core.files import sha256_of
from ...core.images import ImageError, inspect_image
from ..model import SPLITS, Dataset, Item, Split

Severity = Literal["problem", "warning", "note"]
_EXAMPLES = 20
_ORDER: dict[Severity, int] = {"problem": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a dataset.

    Attributes:
        severity: "problem" spoils training or its result, "warning" probably does, "note" is worth knowing.
        what: One sentence with the number in it.
        files: Examples, up to 20.
        count: How many files, rows or classes it is about.
    """

    severity: Severity
    what: str
    files: tuple[Path, ...] = ()
    count: int = 0


@dataclass
class _Tally:
    """A count with its first examples: what a finding is made of."""

    count: int = 0
    files: list[Path] = field(default_factory=list)

    def add(self, *paths: Path) -> None:
        self.count += 1
        self.files += paths[: max(_EXAMPLES - len(self.files), 0)]


@dataclass
class _Seen:
    """All that one pass gathers: per picture a short hash, its path, and the hash of the photograph's name."""

    unreadable: dict[str, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    labels: dict[str, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    unlabelled: dict[Split, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    pictures: dict[Split, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    objects: dict[tuple[Split, int], int] = field(default_factory=lambda: defaultdict(int))
    contents: dict[bytes, tuple[Split, Path]] = field(default_factory=dict)
    sources: dict[bytes, Split] = field(default_factory=dict)
    copies_across: _Tally = field(default_factory=_Tally)
    copies_within: _Tally = field(default_factory=_Tally)
    siblings: _Tally = field(default_factory=_Tally)


def check_dataset(dataset: Dataset, advance: Callable[[float], None] | None = None) -> list[Finding]:
    """Go through all pictures and labels once and list what is wrong, the worst first.

    Looks for pictures that cannot be read, label rows that are left out or mended, pictures without labels, classes
    missing from a split, the same picture twice (worst in two splits), and copies of one photograph that Roboflow made
    (`name.rf.HASH.jpg`) in two splits, which make a model look better than it is. Files are only read.

    Args:
        dataset: An opened dataset.
        advance: Called with 1 after each picture, for a progress bar.
    """
    seen = _Seen()
    for item in dataset.items():
        seen.pictures[item.split] += 1
        _look_at_picture(item, seen)
        _look_at_labels(dataset, item, seen)
        if advance is not None:
            advance(1)
    findings = [
        *_picture_findings(seen),
        *_label_findings(seen),
        *_class_findings(dataset, seen),
        *_copy_findings(seen),
        *(Finding("note", remark.what) for remark in dataset.remarks),
    ]
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def _look_at_picture(item: Item, seen: _Seen) -> None:
    try:
        inspect_image(item.image)
    except ImageError as error:
        seen.unreadable[error.reason].add(item.image)
        return
    digest = bytes.fromhex(sha256_of(item.image))[:16]
    if digest in seen.contents:
        split, first = seen.contents[digest]
        (seen.copies_within if split == item.split else seen.copies_across).add(first, item.image)
        return
    seen.contents[digest] = (item.split, item.image)
    stem, mark, _ = item.image.name.partition(".rf.")
    if mark:
        source = hashlib.sha256(stem.encode()).digest()[:16]
        if seen.sources.setdefault(source, item.split) != item.split:
            seen.siblings.add(item.image)


def _look_at_labels(dataset: Dataset, item: Item, seen: _Seen) -> None:
    if item.class_id is not None:
        seen.objects[item.split, item.class_id] += 1
        return
    boxes, problems = dataset.boxes(item)
    for problem in problems:
        seen.labels[problem.reason].add(problem.file)
    for class_id in boxes.class_id.tolist():
        seen.objects[item.split, class_id] += 1
    if not len(boxes) and not problems:
        seen.unlabelled[item.split].add(item.image)


def _picture_findings(seen: _Seen) -> Iterable[Finding]:
    for reason, tally in seen.unreadable.items():
        yield _finding("problem", "{n} not usable: " + reason, tally)
    for split in ("valid", "test"):
        if not seen.pictures[split]:
            yield Finding("warning" if split == "valid" else "note", f"There is no '{split}' split.")


def _label_findings(seen: _Seen) -> Iterable[Finding]:
    for reason, tally in seen.labels.items():
        yield Finding("warning", f"{_many(tally.count, 'label row')}: {reason}.", tuple(tally.files), tally.count)
    for split, tally in seen.unlabelled.items():
        # A few pictures without objects teach a detector what not to see; many are usually labels that got lost.
        many = tally.count * 2 > seen.pictures[split]
        yield _finding("warning" if many else "note", f"{{n}} of '{split}' without boxes", tally)


def _class_findings(dataset: Dataset, seen: _Seen) -> Iterable[Finding]:
    for split in SPLITS:
        if not seen.pictures[split]:
            continue
        absent = [name for number, name in enumerate(dataset.names) if not seen.objects.get((split, number))]
        if absent:
            severity: Severity = "problem" if split == "train" else "warning"
            shown = ", ".join(absent[:10]) + (", ..." if len(absent) > 10 else "")
            what = f"{_many(len(absent), 'class', 'classes')} without a picture in '{split}': {shown}."
            yield Finding(severity, what, count=len(absent))


def _copy_findings(seen: _Seen) -> Iterable[Finding]:
    if seen.copies_across.count:
        what = "{n} in two splits, byte for byte; scores on them mean nothing"
        yield _finding("problem", what, seen.copies_across)
    if seen.siblings.count:
        what = "{n} made from photographs that another split has too (`.rf.` names); scores come out too high"
        yield _finding("warning", what, seen.siblings)
    if seen.copies_within.count:
        yield _finding("note", "{n} twice in one split, byte for byte", seen.copies_within)


def _finding(severity: Severity, what: str, tally: _Tally) -> Finding:
    return Finding(severity, what.replace("{n}", _many(tally.count, "picture")) + ".", tuple(tally.files), tally.count)


def _many(count: int, one: str, more: str | None = None) -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"
