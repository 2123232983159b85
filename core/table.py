"""The epochs of a training while they come: a table on a terminal, a line each elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .progress import console, say

_SHOWN = 10  # rows; the best stands below them
_FRAMES_PER_SECOND = 2.0  # drawing takes the processor from the training


@dataclass(frozen=True)
class Line:
    """One epoch.

    Attributes:
        cells: A short text for each column.
        plain: The same as one line, for where there is no terminal.
        best: Whether it is the best so far.
    """

    cells: tuple[str, ...]
    plain: str
    best: bool = False


class EpochTable:
    """What a person sees of a training. Draws nothing before `begin`.

    Args:
        titles: One for each column.
    """

    def __init__(self, titles: Sequence[str]) -> None:
        self._titles = tuple(titles)
        self._lines: list[Line] = []
        self._live: Live | None = None
        self._bar: Progress | None = None

    def begin(self, what: str, steps: int) -> None:
        """Something that takes so many steps begins: "epoch 3/100"."""
        if not console.is_terminal:
            return
        if self._live is None:
            self._live = Live(console=console, refresh_per_second=_FRAMES_PER_SECOND, get_renderable=self._draw)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, auto_refresh=False,
        )  # fmt: skip
        self._bar.add_task(what, total=steps)
        if self._live.is_started:
            self._live.refresh()
        else:
            self._live.start(refresh=True)

    def advance(self) -> None:
        """One step more is done."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])

    def say_now(self, what: str) -> None:
        """What is done after the last step: "validating"."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=what)

    def add(self, line: Line) -> None:
        """An epoch is over."""
        self._lines.append(line)
        self._bar = None
        if self._live is None:
            say(line.plain + ("  best so far" if line.best else ""))
        else:
            self._live.refresh()

    def close(self) -> None:
        """Leave the table as it is; it may begin again."""
        self._bar = None
        if self._live is not None:
            self._live.stop()
            self._live = None
            self._lines = []

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._lines:
            parts.append(self._table())
        if self._bar is not None:
            parts.append(self._bar.get_renderable())
        return Group(*parts)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for title in self._titles:
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        best = next((line for line in reversed(self._lines) if line.best), None)
        shown = self._lines[-_SHOWN:]
        for line in shown:
            table.add_row(*map(Text, line.cells), "best" if line is best else "", style="green" if line is best else "")
        if best is not None and best not in shown:
            table.add_row(*map(Text, best.cells), "best", style="green")
        return table
