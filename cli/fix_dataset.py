"""`cv fix-dataset`: a repaired copy of a dataset, and a log of each change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import DatasetArgument, JsonOption, SeedOption, WorkspaceOption, print_json

if TYPE_CHECKING:
    from ..datasets.fix import FixReport


def fix_dataset_command(
    name: DatasetArgument,
    only: Annotated[
        str | None,
        typer.Option("--only", help="Only these kinds (KIND,KIND as cv check-dataset names them); label rows always."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    new_name: Annotated[
        str | None, typer.Option("--name", help="Name of the repaired dataset. Default: NAME-fixed.")
    ] = None,
    seed: SeedOption = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Repair a dataset: write a new one beside it, without the old one's faults and leaks.

    Example: cv fix-dataset chess-v2
    """
    from ..core.workspace import Workspace
    from ..datasets.fix import FixConfig, fix_dataset

    kinds = tuple(kind for part in (only or "").split(",") if (kind := part.strip()))
    report = fix_dataset(name, Workspace.find(workspace), FixConfig(kinds, dry_run, new_name, seed))
    if as_json:
        print_json(_as_data(report, dry_run))
    else:
        _tell(name, report, dry_run)


def _as_data(report: FixReport, dry_run: bool) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "name": report.name if report.changes else None,
        "folder": str(report.folder) if report.folder else None,
        "dry_run": dry_run,
        "already_there": report.already,
        "fingerprint": report.record.fingerprint if report.record else None,
        "repaired": report.repaired,
        "changes": [asdict(change) for change in report.changes],
        "splits": report.how,
        "names": report.names,
        "before": asdict(report.before),
        "after": asdict(report.after),
        "leaked_before": report.leaked_before,
        "leaked_after": report.leaked_after,
        "left": [finding.kind for finding in report.left],
        "questions": report.questions,
        "next": _next(report) if report.folder else None,
    }


def _tell(given: str, report: FixReport, dry_run: bool) -> None:
    from rich.table import Table

    from ..core.progress import console, say
    from ..datasets.check.kinds import KINDS
    from .tables import print_balance

    if not report.changes:
        say(f"Nothing to repair in {given}; nothing was written.")
        _tell_left(report)
        return
    table = Table("changes", "kind", "what it was", box=None, padding=(0, 2, 0, 0))
    table.columns[0].justify = "right"
    for kind, count in report.repaired.items():
        table.add_row(str(count), kind, KINDS[kind].title)
    console.print(table)
    for sentence in report.how:
        say(sentence)
    print_balance(report.names, report.before, report.after)
    _tell_leaks(report)
    _tell_left(report)
    if report.already:
        say(f"{report.name} is already this: the same repair of the same dataset. Nothing was written.")
        say(f"Next: {_next(report)}")
        return
    if dry_run:
        say(f"Nothing was written. Without --dry-run this makes {report.name}.")
        return
    say(f"The repaired dataset is in {report.folder}; each change stands in its changes.jsonl.")
    say(f"Next: {_next(report)}")


def _tell_leaks(report: FixReport) -> None:
    """How much of a split is given away, in numbers."""
    from ..core.progress import say
    from ..core.words import many
    from ..datasets.model import Split

    meanings: dict[Split, str] = {
        "test": "a score measured on them would be too high",
        "valid": "the epoch that does best on them need not be the best",
    }
    for split, meaning in meanings.items():
        pictures, leaked = report.before.pictures[split], report.leaked_before[split]
        if leaked:
            earlier = "'train' or 'valid'" if split == "test" and report.before.pictures["valid"] else "'train'"
            shows = "shows" if leaked == 1 else "show"
            say(
                f"{leaked} of {many(pictures, 'picture')} in '{split}' ({leaked / pictures:.0%}) {shows} what pictures"
                f" in {earlier} show: {meaning}. Afterwards: {report.leaked_after[split]}."
            )


def _tell_left(report: FixReport) -> None:
    from ..core.progress import say

    for text in (*(finding.what for finding in report.left), *report.questions):
        say(f"left to you: {text}")


def _next(report: FixReport) -> str:
    return f"cv {'train-yolo' if report.task == 'detect' else 'finetune'} {report.name}"
