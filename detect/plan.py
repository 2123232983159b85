"""What a run's record says of its training and Ultralytics has no argument for, where each process finds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.manifest import MANIFEST_NAME, RunManifest
from .config import Balance
from .history import read_history


@dataclass(frozen=True)
class Plan:
    """How a training goes beyond Ultralytics' arguments; the defaults change nothing.

    Attributes:
        freeze: As in `YoloConfig`.
        unfreeze_after: As in `YoloConfig`.
        balance: As in `YoloConfig`.
        seconds: Seconds of training that are allowed from now on; None for no limit.
    """

    freeze: int | str = 0
    unfreeze_after: int | None = None
    balance: Balance = "none"
    seconds: float | None = None


def read_plan(run: Path, *, again: bool) -> Plan:
    """The plan of a run, from its `run.json`.

    Args:
        run: The run's folder; one without a record has no plan of its own.
        again: Whether the training goes on, so that the epochs in the folder count against the time.
    """
    if not (run / MANIFEST_NAME).is_file():
        return Plan()
    options = RunManifest.load(run).options
    limit = options.get("time")
    used = sum(row.seconds for row in read_history(run)) if again and limit else 0.0
    return Plan(
        freeze=options.get("freeze", 0),
        unfreeze_after=options.get("unfreeze_after"),
        balance=options.get("balance", "none"),
        seconds=None if limit is None else max(float(limit) - used, 0.0),
    )
