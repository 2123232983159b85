"""One trial of `cv tune`: a training as any other, that says after each epoch how good it is and may be told to stop.

`python -m lensmith.detect.trial FOLDER` does it in a process of its own, so that memory that leaks, a GPU that is lost
or a crash end one trial and no more. On standard output it writes a JSON line per epoch, and reads "go" or "stop" for
each; when nobody listens any more it ends at once.
"""

from __future__ import annotations

import json
import math
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from ..core.ending import of_full_disk
from ..core.errors import LensmithError
from ..core.isolation import isolate_ultralytics
from ..core.lock import sole_use
from ..core.manifest import RunManifest
from .history import best_row, read_history
from .job import learn
from .progress import EpochRow, listening
from .tracking import tracked
from .view import VIEW_NAME, read_view

GO, STOP = "go", "stop"
Judge = Callable[[int, float], bool]


@dataclass(frozen=True)
class TrialScore:
    """What a trial came to.

    Attributes:
        score: The best mAP50-95 on the validation pictures, 0..1.
        epochs: How many it had.
        stopped: Whether it was told to stop.
    """

    score: float
    epochs: int
    stopped: bool


class _StoppedError(Exception):
    """Enough of this trial."""


def train_trial(folder: Path, judge: Judge) -> TrialScore:
    """Train what the `run.json` of a trial's folder says, or go on where it was interrupted, in this process.

    Args:
        folder: With `run.json` and `data/`.
        judge: Called after each epoch with its number from 1 and its mAP50-95; False stops the trial.

    Raises:
        LensmithError: as a training does.
    """
    isolate_ultralytics()

    def hear(row: EpochRow) -> None:
        if not judge(row.epoch, row.mAP50_95 if math.isfinite(row.mAP50_95) else 0.0):
            raise _StoppedError

    stopped = False
    with sole_use(folder):
        manifest = RunManifest.load(folder)
        with tracked(folder, manifest) as tracking, listening(hear):
            try:
                learn(folder, manifest, read_view(folder / VIEW_NAME), tracking)
            except _StoppedError:
                stopped = True
        history = read_history(folder)
    best = best_row(history)
    return TrialScore(best.score if best else 0.0, len(history), stopped)


def main() -> int:
    """Train the folder that is named on the command line; the exit code is the error's own, as in `cv`."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not come between our lines
    answers: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin, answers), daemon=True).start()

    def judge(epoch: int, score: float) -> bool:
        _send(channel, {"epoch": epoch, "score": score})
        return answers.get() == GO

    try:
        _send(channel, asdict(train_trial(Path(sys.argv[1]), judge)))
    except KeyboardInterrupt:
        return 130
    except LensmithError as error:
        _send(channel, {"error": str(error), "full": of_full_disk(error)})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - what went wrong is told, and ends this trial alone
        traceback.print_exc()
        first = next(iter(str(error).splitlines()), "")
        _send(channel, {"error": f"{type(error).__name__}: {first}", "full": of_full_disk(error)})
        return 1
    return 0


def _listen(source: IO[str], answers: queue.Queue[str]) -> None:
    """Pass the answers on; their end means that the one who asked for this trial is gone."""
    for line in source:
        answers.put(line.strip())
    os._exit(1)


def _send(channel: IO[str], message: object) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # Python's own end could abort inside torch's threads
