"""A process of a rehearsal: waited for by the marks that it leaves on the disk, and killed as by a power cut."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..core.errors import LensmithError

_PATIENCE_SECONDS = 600.0
_LOOK_AGAIN_SECONDS = 0.02
_LINES_TOLD = 4


class Child:
    """A process, started at once, with a group of its own.

    Args:
        command: What to run.
        said: A file for what it says.
    """

    def __init__(self, command: Sequence[str], said: Path) -> None:
        self._said = said
        with said.open("wb") as file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True
            )

    def kill(self) -> None:
        """At once, with the processes that it has started, those of several GPUs say; nothing when it has ended."""
        if self._process.poll() is not None:
            return
        if os.name == "nt":
            self._process.kill()
        else:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_for(self, reached: Callable[[], bool]) -> None:
        """Until it has left its mark on the disk.

        Raises:
            LensmithError: it ended before, or takes too long; with what it said last.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while not reached():
            code = self._process.poll()
            if code is not None and not reached():
                raise LensmithError(self._reason(code))
            if time.monotonic() > until:
                raise self._too_slow()
            time.sleep(_LOOK_AGAIN_SECONDS)

    def end(self) -> None:
        """Wait for its own end.

        Raises:
            LensmithError: it failed, or takes too long; with what it said last.
        """
        try:
            code = self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise self._too_slow() from None
        if code:
            raise LensmithError(self._reason(code))

    def _too_slow(self) -> LensmithError:
        self.kill()
        return LensmithError(f"It took longer than {_PATIENCE_SECONDS / 60:.0f} minutes.")

    def _reason(self, code: int) -> str:
        lines = self._said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = "\n".join(lines[-_LINES_TOLD:])
        if code >= 0:
            return last or f"It ended with exit code {code} and without a word."
        died = signal.Signals(-code)
        hint = "; mostly because memory is short: use a smaller --batch, --imgsz or model"
        return f"The system ended it ({died.name}){hint if died == signal.SIGKILL else ''}.\n{last}".strip()
