"""A check's report as text for a person, and as plain values for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...core.words import many, some
from ..model import SPLITS
from .finding import CheckReport, Finding, Severity

_EXAMPLES = 3
_HEADINGS: dict[Severity, str] = {"problem": "Problems", "warning": "Warnings", "note": "Notes"}


def tell(report: CheckReport) -> Iterator[str]:
    """The report line by line, the worst first; up to three files of each finding."""
    dataset = report.dataset
    counts = ", ".join(f"{split} {count}" for split, count in report.counts.items())
    yield f"{dataset.name}: {counts} pictures, {many(len(dataset.names), 'class', 'classes')}"
    if not report.findings:
        yield "Nothing is wrong with it."
    for severity, heading in _HEADINGS.items():
        found = [finding for finding in report.findings if finding.severity == severity]
        if found:
            yield ""
            yield f"{heading} ({len(found)})"
        for finding in found:
            yield from _tell_finding(finding, dataset.root)


def _tell_finding(finding: Finding, root: Path) -> Iterator[str]:
    yield f"  {finding.what}  [{finding.kind}]"
    yield from (f"      {example}" for example in examples(finding, root))
    yield f"      Why it matters: {finding.why}"
    if finding.fix:
        yield f"      cv fix-dataset {finding.fix}."


def examples(finding: Finding, root: Path) -> Iterator[str]:
    """Up to three of a finding's files, or pairs of them, and how many more there are; a line each."""
    shown = [shown_path(path, root) for path in finding.files]
    if finding.pairs:
        named = [f"{first} and {second}" for first, second in zip(shown[::2], shown[1::2], strict=True)]
    else:
        named = shown
    yield from named[:_EXAMPLES]
    if len(named) > _EXAMPLES:
        yield f"and {len(named) - _EXAMPLES} more"


def shown_path(path: Path, root: Path) -> str:
    """A path as it is shown: relative to the dataset where it lies in it, with forward slashes."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def skipped_sentences(split: str, skipped: Sequence[tuple[str, str]], root: Path) -> list[str]:
    """A sentence that names the pictures which a measurement left out; none where there are none.

    Args:
        split: Which pictures were measured.
        skipped: Path and reason of each that was left out.
        root: The dataset's folder.
    """
    if not skipped:
        return []
    named = some([f"{shown_path(Path(path), root)}: {reason}" for path, reason in skipped])
    return [f"{many(len(skipped), f'{split} picture')} could not be used and did not count: {named}"]


def as_values(report: CheckReport) -> dict[str, Any]:
    """The whole report as what JSON can hold; paths with forward slashes, relative to the dataset's folder."""
    dataset = report.dataset

    def short(path: Path) -> str:
        return shown_path(path, dataset.root)

    return {
        "dataset": dataset.name,
        "folder": str(dataset.root),
        "format": dataset.format,
        "task": dataset.task,
        "names": list(dataset.names),
        "pictures": report.pictures,
        "counts": report.counts,
        "objects": {
            split: dict(zip(dataset.names, report.objects[number].tolist(), strict=True))
            for number, split in enumerate(SPLITS)
        },
        "findings": [
            {
                "kind": finding.kind, "severity": finding.severity, "what": finding.what, "count": finding.count,
                "files": [short(path) for path in finding.files], "why": finding.why, "fix": finding.fix,
            }
            for finding in report.findings
        ],
        "twins": [
            {
                "kind": twin.kind, "first": short(twin.first.image), "second": short(twin.second.image),
                "splits": [twin.first.split, twin.second.split], "similarity": round(twin.similarity, 3),
            }
            for twin in report.twins
        ],
        "leaked": len(report.leaked),
        "fixable": report.fixable,
    }  # fmt: skip
