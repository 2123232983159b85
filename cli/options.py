"""Options that several commands share, so that each has one name and one help text."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import click
import typer

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        envvar="CV_WORKSPACE",
        metavar="DIR",
        help="Folder with datasets/, runs/ and weights/. Default: here.",
    ),
]
DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="A dataset's name in datasets/, or its folder.")
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option("--api-key", help="Roboflow key. Better in ROBOFLOW_API_KEY: other users see what is typed here."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON on standard output.")]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", help="auto, cpu, gpu, or GPU numbers such as 0 or 0,1. auto takes a GPU where there is one."
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of all random numbers.")]
AUGMENT_HELP = "Random changes while training: none, light, default, heavy, or a YAML file (cv preview --write)."
BatchOption = Annotated[int, typer.Option("--batch", min=1, help="Pictures per training step.")]


class Within(click.ParamType):
    """A number between two others. In help it takes no more room than its name, where typer spells the range out.

    Args:
        name: What stands in the help: "0..1", "N".
        lowest: The smallest that is taken.
        highest: The largest; None for no end.
        whole: Only whole numbers are taken.
    """

    def __init__(self, name: str, lowest: float, highest: float | None = None, *, whole: bool = False) -> None:
        self.name = name
        self._lowest, self._highest = lowest, highest
        self._read = int if whole else float

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        try:
            number = self._read(value)
        except ValueError:
            self.fail(f"'{value}' is no {'whole ' if self._read is int else ''}number.", param, ctx)
        highest = math.inf if self._highest is None else self._highest
        if not (self._lowest <= number <= highest and math.isfinite(number)):
            end = f" and {self._highest:g} at most" if self._highest is not None else ""
            self.fail(f"{value} is out of range: it must be {self._lowest:g} at least{end}.", param, ctx)
        return number


def number_or(word: str, text: str, option: str) -> int | str:
    """What was given for an option: a number, or the one word that may stand in its place.

    Raises:
        UsageError: it is neither.
    """
    from ..core.errors import UsageError

    if text.strip().lower() == word:
        return word
    try:
        return int(text)
    except ValueError:
        what = f"'{text}' is neither a number nor '{word}'."
        raise UsageError(what, where=option, next_step=f"give {option} a whole number, or {word}") from None


def print_json(value: Any) -> None:
    """One JSON document or line on stdout, keys hidden.

    Raises:
        typer.Exit: nobody reads it any more; the exit code is 0 then.
    """
    from ..core.redact import redact

    # A file's name need not be text: as an escape it stays one JSON document, and names the same file.
    try:
        typer.echo(_as_text(redact(json.dumps(value, ensure_ascii=False, default=_as_json))))
    except BrokenPipeError:  # `cv ... --json | head`: nobody reads any more, and that is no failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None


def _as_json(value: Any) -> str:
    """What JSON has no words for: a time as ISO 8601 in UTC, anything else as its text."""
    from datetime import UTC, datetime

    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def plain(text: str) -> str:
    """A text from a dataset or a file's name as it may go to a terminal: keys hidden, no control sequence in it."""
    from ..core.redact import redact

    return _as_text(redact(text).replace("\x1b", ""))


def _as_text(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
