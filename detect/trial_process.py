"""A trial of `cv tune` in a process of its own, seen from outside."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ..core.child import python_command
from ..core.errors import DiskFullError, LensmithError
from .trial import GO, STOP, Judge, TrialScore

LOG_NAME = "log.txt"
_PATIENCE_SECONDS = 10


class TrialFailedError(LensmithError):
    """A trial that ended without a score; the others go on."""


def run_trial(folder: Path, judge: Judge) -> TrialScore:
    """Do a trial, see `trial.train_trial`; what the process says goes to `log.txt` in its folder.

    Raises:
        TrialFailedError: it failed or was killed; what it said stands in the message.
        DiskFullError: so would all others.
    """
    command = python_command("-m", "lensmith.detect.trial", str(folder))
    with (folder / LOG_NAME).open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8"
        )
        with process:
            try:
                last = _talk(process, judge)
            except BaseException:
                _end(process)
                raise
    if last is not None and "score" in last:
        return TrialScore(**last)
    if last is not None and last.get("full"):
        raise DiskFullError(folder)
    if last is not None:
        raise TrialFailedError(str(last["error"]), where=folder)
    code = process.returncode
    why = f"it was killed by signal {-code}, which the system does when memory is full" if code < 0 else f"exit {code}"
    raise TrialFailedError(f"The trial ended without a word: {why}.", where=folder / LOG_NAME)


def _talk(process: subprocess.Popen[str], judge: Judge) -> dict[str, Any] | None:
    """Answer each epoch; gives the last message, None when there was none."""
    source, sink = process.stdout, process.stdin
    if source is None or sink is None:
        return None
    for line in source:
        message = json.loads(line)
        if "epoch" not in message:
            return message
        _answer(sink, GO if judge(message["epoch"], message["score"]) else STOP)
    return None


def _answer(sink: IO[str], word: str) -> None:
    with suppress(BrokenPipeError):  # it died meanwhile, and its end will be seen
        sink.write(word + "\n")
        sink.flush()


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
