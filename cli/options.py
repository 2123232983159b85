"""Options that several commands share, so that each has one name and one help text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", envvar="CV_WORKSPACE", help="Folder with datasets/, runs/ and weights/. Default: here."
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
    """One JSON document or line on stdout, keys hidden."""
    from ..core.redact import redact

    # A file's name need not be text: as an escape it stays one JSON document, and names the same file.
    typer.echo(_as_text(redact(json.dumps(value, ensure_ascii=False, default=_as_json))))


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
