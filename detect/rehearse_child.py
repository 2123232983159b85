"""One part of a rehearsal in a process of its own, started with `python -m lensmith.detect.rehearse_child ORDER`.

The order is a JSON file: {"workspace": folder, "config": a `YoloConfig`, "run": a run's folder or null, "told": file}.
Without a run it trains, with one it resumes. At the end the file `told` says how long the training steps took.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path

from ..core.errors import LensmithError
from ..core.files import write_atomic
from ..core.isolation import isolate_ultralytics
from ..core.progress import say
from ..core.workspace import Workspace
from ..datasets.read import open_dataset
from .config import YoloConfig
from .train import resume_yolo, train_yolo

DATASET = "eight-pictures"


def time_steps() -> list[float]:
    """Seconds of the training steps from now on, reading included: from the end of one to the end of the next.

    The list fills while a trainer works. What lies between two epochs belongs to no step.
    """
    from ultralytics.utils.callbacks.base import default_callbacks

    seconds: list[float] = []
    last: list[float] = []

    # Functions, not methods: the library gives each trainer a deep copy of these, of a method's object too.
    def begin_epoch(_trainer: object) -> None:
        last.clear()

    def end_step(_trainer: object) -> None:
        now = time.perf_counter()
        seconds.extend(now - before for before in last)
        last[:] = [now]

    default_callbacks["on_train_epoch_start"].append(begin_epoch)
    default_callbacks["on_train_batch_end"].append(end_step)
    return seconds


def main() -> int:
    """Do what the order says; the exit code is the error's own, as in `cv`."""
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    workspace = Workspace(Path(order["workspace"]))
    isolate_ultralytics()
    steps = time_steps()
    try:
        if order["run"]:
            resume_yolo(Path(order["run"]), workspace)
        else:
            train_yolo(open_dataset(DATASET, workspace), workspace, YoloConfig.model_validate(order["config"]))
    except LensmithError as error:
        say(str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - whatever it is, the rehearsal tells it
        if os.environ.get("CV_DEBUG"):
            traceback.print_exc()
        say(f"{type(error).__name__}: {error}")
        return 1
    write_atomic(Path(order["told"]), json.dumps({"steps": steps}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
