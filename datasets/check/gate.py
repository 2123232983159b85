"""Before a training: a dataset is looked over, and one with errors is not trained on unless a person insists."""

from __future__ import annotations

import shlex
from pathlib import Path

from ...core.errors import DataError
from ...core.progress import progress, warn
from ...core.words import many
from ..model import Dataset
from .finding import CheckReport, Finding
from .run import check_dataset
from .tell import examples

_MEASURING = frozenset({
    "copy-across", "sibling-across", "near-across", "frame-across", "split-shared", "class-absent",
})  # fmt: skip
"""Problems that spoil the score and not the model: training goes on, and what the score is worth is said beside it."""
_SAID_WITH_THE_SCORE = frozenset({"copy-across", "sibling-across", "near-across", "frame-across"})
_SHOWN = 5


def blocking(report: CheckReport) -> tuple[Finding, ...]:
    """The findings that a training stops at: pictures and labels that are lost or wrong, the worst first."""
    return tuple(found for found in report.findings if found.severity == "problem" and found.kind not in _MEASURING)


def refuse_problems(dataset: Dataset, *, force: bool) -> CheckReport:
    """Look a dataset over before it is trained on; what an earlier check saw is not read again.

    Args:
        dataset: The dataset; its files are only read.
        force: Go on although there are errors, and only warn of them.

    Returns:
        All that was found.

    Raises:
        DataError: pictures cannot be read, or labels mean nothing or something else, and `force` is not set. Leaks and
            missing classes do not stop a training: they spoil the score, beside which they are told of.
    """
    with progress("checking the dataset", dataset.count()) as advance:
        report = check_dataset(dataset, advance=advance)
    for found in report.findings:
        if found.severity == "problem" and found.kind in _MEASURING - _SAID_WITH_THE_SCORE:
            warn(found.what)
    errors = blocking(report)
    if errors and not force:
        what = f"'{dataset.name}' has {many(len(errors), 'kind')} of errors that would spoil the training:"
        raise DataError(
            f"{what}\n{_listed(errors, dataset.root)}",
            where=dataset.root,
            next_step=_next_step(dataset.name, errors),
        )
    for found in errors:
        warn(f"trained on all the same (--force): {found.what}")
    return report


def _listed(errors: tuple[Finding, ...], root: Path) -> str:
    lines: list[str] = []
    for found in errors[:_SHOWN]:
        lines.append(f"  {found.what} [{found.kind}]")
        lines += [f"      {example}" for example in examples(found, root)]
    if len(errors) > _SHOWN:
        lines.append(f"  and {len(errors) - _SHOWN} more")
    return "\n".join(lines)


def _next_step(name: str, errors: tuple[Finding, ...]) -> str:
    quoted = shlex.quote(name)
    mended = f"cv fix-dataset {quoted} writes a repaired copy; " if any(found.fix for found in errors) else ""
    return f"{mended}cv check-dataset {quoted} shows everything; --force trains on it as it is"
