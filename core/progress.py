"""How Lensmith talks while it works: everything on stderr, so that stdout stays data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .redact import redact

console = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One plain line for the person. Keys are hidden, and square brackets are not markup."""
    console.print(_harmless(text), markup=False)


def warn(text: str) -> None:
    """Something the person should know, though the work goes on."""
    console.print(f"warning: {_harmless(text)}", style="yellow", markup=False)


_told_to_resume: list[str] = []
_larger_runs: list[str] = []


@contextmanager
def part_of(run: str) -> Iterator[None]:
    """What the block works on is a part of a larger run, which alone `say_resume` then names."""
    _larger_runs.append(run)
    try:
        yield
    finally:
        _larger_runs.pop()


def say_resume(run: str) -> None:
    """After Ctrl-C: how to go on with this run; the command then ends without another word."""
    if _larger_runs:
        return
    _told_to_resume.append(run)
    say(f"interrupted; go on with: cv resume {run}")


def say_interrupted() -> None:
    """The last line after Ctrl-C, unless `say_resume` has spoken."""
    if not _told_to_resume:
        say("Interrupted.")


def _harmless(text: str) -> str:
    """Keys hidden, and no control sequence of a class name or a file reaches the terminal."""
    return redact(text).replace("\x1b", "")


@contextmanager
def progress(
    what: str, total: float | None, *, unit: str = "items", fleeting: bool = False
) -> Iterator[Callable[[float], None]]:
    """A progress bar while the block runs.

    Args:
        what: What is being done: "extracting".
        total: How many steps there are; None when nobody knows.
        unit: "items", or "bytes" for a download.
        fleeting: For what comes again and again: the bar vanishes at its end, and nothing is said without a terminal.

    Yields:
        A function that takes how many more steps are done. Without a terminal nothing is drawn and
        the start is said in one line.
    """
    if not console.is_terminal:
        if not fleeting:
            say(f"{what} ...")
        yield lambda _steps: None
        return
    count = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=fleeting) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps: bar.advance(task, steps)
