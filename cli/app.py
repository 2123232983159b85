"""The `cv` command: puts the commands together and turns every error into one message and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from importlib import metadata
from typing import Annotated

import click
import typer

from ..core.errors import LensmithError
from ..core.images import hush_decoder
from ..core.progress import console
from ..core.redact import redact, register_secret
from .weights import weights

app = typer.Typer(
    name="cv",
    help="Train a detector or a classifier on your own pictures, and run it on your camera.",
    epilog="Start with `cv demo`: it needs no key, no network and no GPU.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("weights")(weights)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lensmith {metadata.version('lensmith')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[  # noqa: ARG001
        bool, typer.Option("--debug", help="Show the traceback when something fails; may stand anywhere.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and leave with one of the exit codes: 0 done, 1 failed, 2 wrong use, 3 not found, 4 auth,
    5 data invalid, 130 interrupted."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    register_secret(os.environ.get("ROBOFLOW_API_KEY"))
    hush_decoder()
    try:
        code = app(args=arguments, standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - the one place where every error ends
        code = _explain(error, debug)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: BaseException, debug: bool) -> int:
    """Say on stderr what went wrong, and return the exit code."""
    if debug and not isinstance(error, (SystemExit, click.exceptions.Exit)):
        console.print(redact("".join(traceback.format_exception(error))), markup=False)
    match error:
        case SystemExit():
            return error.code if isinstance(error.code, int) else 1
        case click.exceptions.Exit():
            return error.exit_code
        case click.exceptions.Abort() | KeyboardInterrupt():
            _print_error("Interrupted.")
            return 130
        case click.ClickException():
            error.show(file=sys.stderr)
            return error.exit_code
        case LensmithError():
            _print_error(str(error))
            return error.exit_code
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case OSError(errno=errno.ENOSPC):
            _print_error(
                f"The disk is full.\n  where: {error.filename or os.getcwd()}\n  next:  free some space and run the same command again"
            )  # noqa: PTH109
            return 1
        case PermissionError():
            _print_error(f"No permission.\n  where: {error.filename}\n  next:  choose a folder you may write to")
            return 1
        case _:
            _print_error(
                f"Something went wrong that Lensmith did not expect: {type(error).__name__}: {error}\n"
                "  next:  run the same command with --debug and report what it prints"
            )
            return 1


def _print_error(text: str) -> None:
    console.print(f"error: {redact(text)}", style="red", markup=False)
