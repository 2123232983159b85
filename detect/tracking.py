"""A detector's epochs for TensorBoard and MLflow, told as Ultralytics' own table has them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..core.errors import DataError
from ..core.manifest import RunManifest
from ..core.progress import warn
from ..report.tracking import Trackers, open_trackers
from .history import Row, read_history
from .progress import EpochRow, listening


class RunTracking:
    """What reads along with one training, new or resumed; opened by `tracked`.

    Args:
        run: The run's folder.
        manifest: Its record; the options `tensorboard` and `mlflow` say what is wanted.
        stack: Closes what is opened here.
    """

    def __init__(self, run: Path, manifest: RunManifest, stack: ExitStack) -> None:
        self._run = run
        self._options = manifest.options
        self._stack = stack
        self._trackers: Trackers | None = None
        self._told = 0

    def begin(self) -> None:
        """Start, with the epochs that `results.csv` holds now; those of a resumed run must have been mended before.

        Raises:
            MissingExtraError: MLflow is wanted and not installed.
        """
        history = self._history()
        self._trackers = self._stack.enter_context(
            open_trackers(
                self._run,
                tensorboard=bool(self._options.get("tensorboard")),
                mlflow=bool(self._options.get("mlflow")),
                params=self._options,
                history=[curves_of(row) for row in history],
            )
        )
        self._told = len(history)
        if self._wanted:
            self._stack.enter_context(listening(self._hear))

    def end(self, metrics: Mapping[str, float]) -> None:
        """The final figures, and the epochs that were heard in other processes: those of several GPUs."""
        if self._trackers is None:
            self.begin()
        self._catch_up()
        if self._trackers is not None:
            self._trackers.end(metrics)

    @property
    def _wanted(self) -> bool:
        return bool(self._options.get("tensorboard") or self._options.get("mlflow"))

    def _hear(self, _row: EpochRow) -> None:
        self._catch_up()

    def _catch_up(self) -> None:
        """Tell what `results.csv` has that was not told; it is written before an epoch is heard."""
        if self._trackers is None:
            return
        history = self._history()
        for row in history[self._told :]:
            self._trackers.epoch(curves_of(row))
        self._told = max(self._told, len(history))

    def _history(self) -> list[Row]:
        if not self._wanted:
            return []
        try:
            return read_history(self._run)
        except DataError as error:  # a training must not die of its curves
            warn(f"the curves are left out: {error.what}")
            return []


@contextmanager
def tracked(run: Path, manifest: RunManifest) -> Iterator[RunTracking]:
    """Let what the run's options name read along while the block runs, and hear how it ended."""
    with ExitStack() as stack:
        yield RunTracking(run, manifest, stack)


def curves_of(row: Row) -> dict[str, float]:
    """An epoch's numbers as `report.tracking` takes them; those that are not finite are left out."""
    values = {f"{name}_loss": value for name, value in row.train.items()}
    values |= {f"val_{name}_loss": value for name, value in row.valid.items()}
    values |= {f"val_{name}": value for name, value in row.metrics.items()}
    values |= {"learning_rate": row.learning_rate, "seconds": row.seconds}
    return {name: value for name, value in values.items() if math.isfinite(value)}
