"""Tables that several commands print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from .options import plain

if TYPE_CHECKING:
    from ..datasets.balance import Balance
    from ..report.bootstrap import Figure

_MOST_CLASSES = 30


def shown_figure(figure: Figure | None) -> str:
    """A figure with its interval; "-" where there is none."""
    return "-" if figure is None else f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table on standard output, when it is what was asked for."""
    cells = [[plain(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_balance(names: Sequence[str], before: Balance, after: Balance) -> None:
    """Pictures and objects of each class in each split, before and after, on stderr."""
    from rich.markup import escape
    from rich.table import Table

    from ..core.progress import console, say
    from ..datasets.model import SPLITS

    table = Table("", *SPLITS, box=None, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("pictures", *(_change(before.pictures[split], after.pictures[split]) for split in SPLITS))
    for number, name in enumerate(names[:_MOST_CLASSES]):
        cells = (_change(before.objects[split][number], after.objects[split][number]) for split in SPLITS)
        table.add_row(escape(name), *cells)
    console.print(table)
    if len(names) > _MOST_CLASSES:
        say(f"... and {len(names) - _MOST_CLASSES} more classes; --json has them all")


def _change(before: int, after: int) -> str:
    return str(after) if before == after else f"{before} -> {after}"
