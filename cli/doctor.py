"""`cv doctor`: what works on this machine, what does not, and the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .options import JsonOption, WorkspaceOption, print_json

if TYPE_CHECKING:
    from ..core.health import Check

_MARKS = {"ok": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "problem": "[red]problem[/red]"}


def doctor(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Check Python, GPU, OpenCV, disk and key, and say how to fix what is wrong.

    Exit code 1 when something does not work.

    Example: cv doctor
    """
    from ..classify.health import check_classify
    from ..core.health import check_machine
    from ..core.progress import progress
    from ..core.workspace import Workspace
    from ..datasets.health import check_datasets
    from ..detect.health import check_detect
    from ..predict.health import check_predict

    place = Workspace.find(workspace)
    looks = [lambda: check_machine(place.root), check_detect, check_classify, check_predict, check_datasets]
    checks: list[Check] = []
    with progress("looking at this machine", len(looks)) as step:
        for look in looks:
            checks += look()
            step(1)
    if as_json:
        print_json([vars(check) for check in checks])
    else:
        _print(checks)
    if any(check.status == "problem" for check in checks):
        raise typer.Exit(1)


def _print(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "", "", show_header=False, box=None, padding=(0, 2, 0, 0))
    for check in checks:
        table.add_row(_MARKS[check.status], check.name, escape(check.detail))
    console = Console(highlight=False)
    console.print(table)
    for check in checks:
        if check.fix:  # a line of its own, however long, so that it can be copied
            console.print(f"\n[bold]{check.name}:[/bold] {escape(check.fix)}", soft_wrap=True)
    problems = sum(check.status == "problem" for check in checks)
    console.print(f"\nproblems found: {problems}" if problems else "\nEverything needed works.")
