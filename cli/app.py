"""The `cv` command: puts the commands together and turns every error into one message and an exit code."""

from __future__ import annotations

import atexit
import contextlib
import errno
import inspect
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from typing import Annotated

import click
import typer

from ..core.errors import DiskFullError, LensmithError, is_disk_full
from ..core.isolation import hush_decoders
from ..core.progress import console, say_interrupted
from ..core.redact import redact, register_secret
from .check_dataset import check_dataset
from .compare import compare
from .crops import crops
from .datasets import datasets_app
from .demo import demo
from .doctor import doctor
from .evaluate import evaluate
from .explain import explain
from .export import export
from .export_dataset import export_dataset
from .finetune import finetune_classifier
from .fix_dataset import fix_dataset_command
from .import_dataset import import_dataset
from .live import live
from .models import models
from .one_model import OneModelCommand
from .predict import predict
from .preview import preview
from .pull_dataset import pull_dataset
from .pull_weights import pull_weights
from .push_dataset import push_dataset
from .push_weights import push_weights
from .resume import resume
from .runs import runs
from .split_dataset import split_dataset_command
from .train_yolo import train_yolo
from .tune import tune
from .weights_group import weights_app

_INTERRUPTED = 130
# What may be given for an option or argument that was left out.
_WHERE_TO_FIND = {"weights": "cv weights lists the models", "dataset": "cv datasets lists the datasets"}

app = typer.Typer(
    name="cv",
    help="Train a detector or a classifier on your own pictures, and run it on your camera.",
    epilog="Start with `cv demo`: it needs no key, no network and no GPU.",
    no_args_is_help=True,
    suggest_commands=False,  # click does it already
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
# In the order in which a person needs them: --help keeps it.
_COMMANDS = {
    "Start": {"demo": demo, "doctor": doctor},
    "Datasets": {
        "pull-dataset": pull_dataset,
        "import-dataset": import_dataset,
        "check-dataset": check_dataset,
        "fix-dataset": fix_dataset_command,
        "split-dataset": split_dataset_command,
        "crops": crops,
        "preview": preview,
        "export-dataset": export_dataset,
        "push-dataset": push_dataset,
    },
    "Training": {
        "models": models,
        "train-yolo": train_yolo,
        "finetune": finetune_classifier,
        "tune": tune,
        "resume": resume,
        "runs": runs,
        "compare": compare,
    },
    "Use": {
        "predict": predict,
        "live": live,
        "evaluate": evaluate,
        "explain": explain,
        "export": export,
        "push-weights": push_weights,
        "pull-weights": pull_weights,
    },
}


def _told(command: Callable[..., object]) -> str:
    """A command's docstring with its paragraphs in one line each, so that they fill whatever width there is."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


for _panel, _commands in _COMMANDS.items():
    for _name, _command in _commands.items():
        app.command(_name, help=_told(_command), rich_help_panel=_panel, cls=OneModelCommand)(_command)
app.add_typer(datasets_app, name="datasets", rich_help_panel="Datasets")
app.add_typer(weights_app, name="weights", rich_help_panel="Use")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lensmith {metadata.version('lensmith')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback when something fails; may stand anywhere.")
    ] = False,
) -> None:
    """Options of `cv` itself; `main` takes `--debug` out before they are read."""


def main() -> None:
    """Run the command line and leave with an exit code.

    0 done, 1 failed, 2 wrong use, 3 not found, 4 auth, 5 data invalid, 130 interrupted.
    """
    arguments = sys.argv[1:]
    debug = "--debug" in arguments or bool(os.environ.get("CV_DEBUG"))
    if debug:
        os.environ["CV_DEBUG"] = "1"  # for the processes that we start
    register_secret(os.environ.get("ROBOFLOW_API_KEY"))
    hush_decoders()
    signal.signal(signal.SIGTERM, _stop)
    try:
        code = app(args=[argument for argument in arguments if argument != "--debug"], standalone_mode=False)
        if code == _INTERRUPTED:  # typer turns Ctrl-C into this, without a word
            say_interrupted()
    except BaseException as error:  # noqa: BLE001 - the one place where every error ends
        code = _explain(error, debug)
    if code == _INTERRUPTED:
        _leave_at_once(_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _leave_at_once(code: int) -> None:
    """End the process after the usual tidying up, but without taking Python itself apart.

    TensorFlow's and torch's threads may be in the middle of a step; Python's own end would stop them inside C++, which
    aborts the process (SIGABRT) in place of our exit code.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a closed pipe
            stream.flush()
    os._exit(code)


def _stop(*_: object) -> None:
    """A polite kill ends a command the way Ctrl-C does, so that it tidies up."""
    raise KeyboardInterrupt


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
            say_interrupted()
            return _INTERRUPTED
        case click.ClickException():
            if isinstance(error, click.MissingParameter) and error.param and error.param.name in _WHERE_TO_FIND:
                error = click.MissingParameter(_WHERE_TO_FIND[error.param.name], error.ctx, error.param)
            shown = io.StringIO()
            error.show(file=shown)
            sys.stderr.write(redact(shown.getvalue()))
            return error.exit_code
        case LensmithError():
            _print_error(str(error))
            return error.exit_code
        case OSError() if is_disk_full(error):
            _print_error(str(DiskFullError(error.filename)))
            return 1
        case OSError() if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            what = f"{error.strerror or 'No permission'}."
            _print_error(_message(what, error.filename, "choose a folder that you may write to"))
            return 1
        case _:
            what = f"Something went wrong that Lensmith did not expect: {type(error).__name__}: {error}"
            _print_error(_message(what, None, "run the same command with --debug and report what it prints"))
            return 1


def _message(what: str, where: str | None, next_step: str) -> str:
    return str(LensmithError(what, where=where, next_step=next_step))


def _print_error(text: str) -> None:
    console.print(f"error: {redact(text)}", style="red", markup=False)
