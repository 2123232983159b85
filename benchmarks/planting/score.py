"""What a check found against what was planted, place by place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .site import Planted, Site


class _Finding(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def files(self) -> tuple[Path, ...]: ...


@dataclass
class Tally:
    """One kind.

    Attributes:
        found, planted: Places where the fault was planted, and how many of those the check names.
        false: What it names although nothing is there: `case: file`, or `case: sentence`.
        missed: What it does not name: `case: what was done`.
        named: How many places the check names, right or wrong.
        variants: Found and planted by what was done.
    """

    found: int = 0
    planted: int = 0
    named: int = 0
    false: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    variants: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    @property
    def recall(self) -> float | None:
        """None when nothing was planted."""
        return self.found / self.planted if self.planted else None

    @property
    def precision(self) -> float | None:
        """None when nothing was named."""
        return 1 - len(self.false) / self.named if self.named else None


def tallies() -> dict[str, Tally]:
    """An empty score by kind."""
    return defaultdict(Tally)


def count(score: dict[str, Tally], site: Site, findings: Sequence[_Finding], groups: Iterable[set[Path]]) -> None:
    """Add what was found in one dataset to the score.

    Args:
        score: What is added to.
        site: The dataset.
        findings: All that the check says.
        groups: The pictures that show the same thing, as the check joins them.
    """
    joined = {path: number for number, group in enumerate(groups) for path in group}
    by_kind: dict[str, list[_Finding]] = defaultdict(list)
    for finding in findings:
        by_kind[finding.kind].append(finding)
    for fault in site.planted:
        tally = score[fault.kinds[0]]
        tally.planted += 1
        tally.variants[fault.variant][1] += 1
        if any(_finds(finding, fault, joined) for kind in fault.kinds for finding in by_kind[kind]):
            tally.found += 1
            tally.variants[fault.variant][0] += 1
        else:
            tally.missed.append(f"{site.root.name}: {fault.variant} {_short(site, fault.files)}".rstrip())
    for kind, found in by_kind.items():
        _count_named(score[kind], site, kind, found)


def _finds(finding: _Finding, fault: Planted, joined: dict[Path, int]) -> bool:
    if fault.pair is not None:
        first, second = fault.pair
        together = first in joined and joined[first] == joined.get(second)
        return together and (second in finding.files or (first.parent == second.parent and first in finding.files))
    if fault.files:
        return bool(fault.files & set(finding.files))
    return all(word in finding.what for word in fault.words)


def _count_named(tally: Tally, site: Site, kind: str, findings: list[_Finding]) -> None:
    faults = [fault for fault in site.planted if kind in fault.kinds]
    right = {file for fault in faults for file in fault.files}
    right |= {file for allowed, file in site.allowed if allowed == kind and file is not None}
    anywhere = (kind, None) in site.allowed or any(not fault.files for fault in faults)
    for finding in findings:
        for file in finding.files:
            tally.named += 1
            if file not in right and not anywhere:
                tally.false.append(f"{site.root.name}: {file.relative_to(site.root).as_posix()} ({finding.what})")
        if not finding.files:
            tally.named += 1
            if not anywhere and not faults:
                tally.false.append(f"{site.root.name}: {finding.what}")


def _short(site: Site, files: frozenset[Path]) -> str:
    shown = sorted(file.relative_to(site.root).as_posix() for file in files if file.is_relative_to(site.root))
    return f"({', '.join(shown[:2])})" if shown and len(files) < 4 else ""
