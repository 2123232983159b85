"""Training in several processes, one for each GPU: how they are started, and what they say to the command.

Ultralytics starts them from a file, with nothing in common but the run's folder, waits, and hears only whether they
failed. Here its own processes are followed: while they train, `several/` in the run's folder holds

    epochs.jsonl   a line for each epoch, by the first process
    error.json     what went wrong: the first that was said, or that memory did not suffice
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..core.child import python_command
from ..core.errors import DataError, DiskFullError, LensmithError
from ..core.files import write_atomic
from ..core.lock import is_held, marked
from .progress import EpochRow, listening, tell
from .trouble import NotANumberError, TooLittleMemoryError

FOLDER = "several"
_EPOCHS, _ERROR = "epochs.jsonl", "error.json"
_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 40.0  # torch's launcher gives its processes 30 to end
_KINDS = {kind.__name__: kind for kind in (TooLittleMemoryError, NotANumberError, DataError)}


def train_apart(trainer: Any, run: Path) -> None:
    """Let one process for each GPU train, and let those who listen here hear of each epoch.

    What a listener raises ends the processes and passes through, as it would if the training ran here.

    Args:
        trainer: Ultralytics' trainer in the command's own process; it does not train itself.
        run: The run's folder.

    Raises:
        LensmithError: what a process said that went wrong.
        subprocess.CalledProcessError: one failed without a word.
    """
    from ultralytics.utils import dist
    from ultralytics.utils.torch_utils import unset_deterministic

    trainer.args.rect = False  # as in the library: a rectangle for each batch is not for several GPUs
    folder = run / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command, file = dist.generate_ddp_command(trainer)
    try:
        with marked(folder):
            _follow(python_command(*command[1:]), folder)
    finally:
        dist.ddp_cleanup(trainer, str(file))
        unset_deterministic()
        shutil.rmtree(folder, ignore_errors=True)


def _follow(command: list[str], folder: Path) -> None:
    told = 0
    with subprocess.Popen(command) as process:
        try:
            over = False
            while not over:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_SECONDS)
                    over = True
                rows = _rows(folder)
                for row in rows[told:]:
                    tell(row)
                told = len(rows)
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        raise _said(folder) or subprocess.CalledProcessError(process.returncode, command)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()  # the launcher then ends its processes; a kill would leave them behind
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _rows(folder: Path) -> list[EpochRow]:
    path = folder / _EPOCHS
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    whole = text[: text.rfind("\n") + 1]
    return [EpochRow(**json.loads(line)) for line in whole.splitlines()]


def _said(folder: Path) -> LensmithError | None:
    path = folder / _ERROR
    if not path.is_file():
        return None
    said = json.loads(path.read_text(encoding="utf-8"))
    where, next_step = said["where"], said["next_step"]
    if said["kind"] == DiskFullError.__name__:
        full = DiskFullError(where)
        full.next_step = next_step
        return full
    return _KINDS.get(said["kind"], LensmithError)(said["what"], where=where, next_step=next_step)


@contextmanager
def speaking(run: Path, *, first: bool) -> Iterator[None]:
    """In one of the processes: say each epoch, and what goes wrong in the block, to the command that started it.

    Args:
        run: The run's folder.
        first: Whether this is the process that says the epochs.

    Raises:
        LensmithError: that command is gone, so nobody waits for this training any more.
    """
    folder = run / FOLDER
    if not folder.is_dir():  # started by somebody else
        yield
        return

    def say_epoch(row: EpochRow) -> None:
        if not is_held(folder):
            raise LensmithError("The command that started this training is gone.", where=run,
                                next_step=f"go on with: cv resume {run.name}")  # fmt: skip
        with (folder / _EPOCHS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")

    try:
        if first:
            with listening(say_epoch):
                yield
        else:
            yield
    except LensmithError as error:
        _say_error(folder / _ERROR, error)
        raise


def _say_error(path: Path, error: LensmithError) -> None:
    # One process fails, and then the others, because they hear nothing of it any more: the first one knows why.
    if path.exists() and not isinstance(error, TooLittleMemoryError):
        return
    said = {"kind": type(error).__name__, "what": error.what, "where": error.where,
            "next_step": error.next_step}  # fmt: skip
    with suppress(OSError):  # on a full disk; that it failed is seen without
        write_atomic(path, json.dumps(said))
