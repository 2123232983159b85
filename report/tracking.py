"""A run's curves and figures for other programs: TensorBoard's event files, and MLflow in a local SQLite file.

Both are read with the programs' own commands, which are said at the start. Nothing is sent anywhere, and where neither
is wanted nothing is loaded.

An epoch is a row of numbers by name; what was measured on the validation pictures is called "val_" and something.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from ..core.extras import need_extra
from ..core.files import write_atomic
from ..core.isolation import isolate_mlflow
from ..core.progress import say, warn

TENSORBOARD_NAME = "tensorboard"
MLFLOW_NAME = "mlflow.db"
_ARTIFACTS = "mlflow-artifacts"
_EXPERIMENT = "lensmith"
_RUN_TAG = "lensmith.run"
_FILES = (
    "report.html",
    "evaluation.json",
    "history.csv",
    "train/results.csv",
)  # of a run's folder, for whoever reads along
_LONGEST_PARAM = 500  # characters; MLflow takes 6000
_MEASURED = "val_"
_FINAL = "final/"
Row = Mapping[str, float]


class Tracker(Protocol):
    """Something that reads along."""

    name: str

    def epoch(self, step: int, row: Row) -> None:
        """Take an epoch; `step` counts from 1 over all stages."""
        ...

    def end(self, metrics: Mapping[str, float]) -> None:
        """Take the final figures."""
        ...

    def close(self, status: str) -> None:
        """Let go: "FINISHED", "FAILED" or "KILLED"."""
        ...


class Trackers:
    """All that read along with a run; use it in a `with` block, so that they hear how it ended.

    What goes wrong in one of them is a warning, and that one is told no more: a training must not die of its curves.

    Args:
        trackers: What reads along.
        done: How many epochs they know already.
    """

    def __init__(self, trackers: Sequence[Tracker], done: int) -> None:
        self._trackers = list(trackers)
        self._step = done

    def epoch(self, row: Row) -> None:
        """A finished epoch: numbers by name."""
        self._step += 1
        for tracker in tuple(self._trackers):
            with _Spared(tracker.name, partial(self._trackers.remove, tracker)):
                tracker.epoch(self._step, row)

    def end(self, metrics: Mapping[str, float]) -> None:
        """The final figures; the run's report should be in its folder by now, and goes along."""
        for tracker in tuple(self._trackers):
            with _Spared(tracker.name, partial(self._trackers.remove, tracker)):
                tracker.end(metrics)

    def __enter__(self) -> Trackers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = "FINISHED" if error is None else "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        for tracker in tuple(self._trackers):
            with _Spared(tracker.name, partial(self._trackers.remove, tracker)):
                tracker.close(status)


class _Spared:
    """Turns what a tracker raises in the block into a warning, and forgets the tracker."""

    def __init__(self, name: str, forget: Callable[[], None]) -> None:
        self._name, self._forget = name, forget

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._forget()
        first = next(iter(str(error).splitlines()), type(error).__name__)
        warn(f"the run goes on without {self._name}: {first[:200]}")
        return True


def open_trackers(
    run: Path, *, tensorboard: bool, mlflow: bool, params: Mapping[str, Any], history: Sequence[Row] = ()
) -> Trackers:
    """Begin to track a run, or go on where it was interrupted.

    What cannot be opened, such as a damaged `mlflow.db`, is a warning.

    Args:
        run: The run's folder, in the workspace's `runs/`.
        tensorboard: Write event files into the run's folder.
        mlflow: Write into `runs/mlflow.db`.
        params: The resolved options, for MLflow.
        history: The epochs that are finished already. TensorBoard then shows exactly these, and MLflow them once.

    Raises:
        MissingExtraError: MLflow is wanted and not installed.
    """
    trackers: list[Tracker] = []
    if mlflow:
        need_extra("mlflow", "Writing into MLflow")
    if tensorboard:
        with _Spared(_TensorBoard.name, _nothing):
            trackers.append(_TensorBoard(run, history))
            say(f'curves: tensorboard --logdir "{run / TENSORBOARD_NAME}"')
    if mlflow:
        with _Spared(f"{_MLflow.name} ({run.parent / MLFLOW_NAME})", _nothing):
            trackers.append(_MLflow(run, params, history))
            say(f'MLflow: mlflow ui --backend-store-uri "{mlflow_address(run.parent)}"')
    return Trackers(trackers, len(history))


def _nothing() -> None:
    """What was never opened need not be forgotten."""


def mlflow_address(runs: Path) -> str:
    """What MLflow calls its SQLite file in a workspace's `runs/`."""
    return f"sqlite:///{(runs / MLFLOW_NAME).as_posix()}"


class _TensorBoard:
    """Event files, one folder for training and one for validation, so that their curves share a plot.

    TensorBoard's own writer would load TensorFlow, which must not share a process with torch; its records and their
    framing load neither. Files of an interrupted run are replaced by one with the epochs that count.
    """

    name = "TensorBoard"

    def __init__(self, run: Path, history: Sequence[Row]) -> None:
        self._files = {part: self._begin(run / TENSORBOARD_NAME / part, part, history) for part in ("train", "valid")}
        self._step = len(history)

    def epoch(self, step: int, row: Row) -> None:
        self._step = step
        for part, file in self._files.items():
            self._append(file, _event(step, _scalars(part, row)))

    def end(self, metrics: Mapping[str, float]) -> None:
        final = {f"{_FINAL}{name}": value for name, value in metrics.items()}
        self._append(self._files["valid"], _event(self._step, final))

    def close(self, status: str) -> None:
        pass  # every record is on the disk already

    def _begin(self, folder: Path, part: str, history: Sequence[Row]) -> Path:
        target = folder / f"events.out.tfevents.{time.time_ns()}.lensmith"
        rows = [_event(step, _scalars(part, row)) for step, row in enumerate(history, 1)]
        write_atomic(target, b"".join(map(_framed, [_version(), *rows])))
        for old in folder.glob("events.out.tfevents.*"):
            if old != target:
                old.unlink()
        return target

    @staticmethod
    def _append(file: Path, event: Any) -> None:
        with file.open("ab") as sink:
            sink.write(_framed(event))


def _scalars(part: str, row: Row) -> dict[str, float]:
    """What of a row belongs into a curve's folder, under the name that both folders share."""
    measured = {name: float(value) for name, value in row.items() if name.startswith(_MEASURED)}
    if part == "valid":
        return {name.removeprefix(_MEASURED): value for name, value in measured.items()}
    return {name: float(value) for name, value in row.items() if name not in measured}


def _version() -> Any:
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] - made at run time

    return Event(wall_time=time.time(), file_version="brain.Event:2")


def _event(step: int, scalars: Mapping[str, float]) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] - made at run time
    from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

    values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
    return Event(wall_time=time.time(), step=step, summary=Summary(value=values))


def _framed(event: Any) -> bytes:
    """A record as event files hold it: its length and its bytes, each with a checksum."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    sink = io.BytesIO()
    RecordWriter(sink).write(event.SerializeToString())
    return sink.getvalue()


class _MLflow:
    """One run in `runs/mlflow.db`; a resumed training goes on with the same one."""

    name = "MLflow"

    def __init__(self, run: Path, params: Mapping[str, Any], history: Sequence[Row]) -> None:
        isolate_mlflow()
        from mlflow.tracking import MlflowClient

        for logger in ("mlflow", "alembic"):
            logging.getLogger(logger).setLevel(logging.WARNING)
        address = mlflow_address(run.parent)
        self._client = MlflowClient(tracking_uri=address, registry_uri=address)
        self._folder = run
        self._run_id = self._find(run, params)
        self._known = self._known_steps()
        for step, row in enumerate(history, 1):
            self.epoch(step, row)

    def epoch(self, step: int, row: Row) -> None:
        if step in self._known:
            return  # MLflow keeps what it was told; an epoch that is done again comes out the same
        self._log(row, step)

    def end(self, metrics: Mapping[str, float]) -> None:
        self._log({f"{_FINAL}{name}": value for name, value in metrics.items()}, 0)
        for name in _FILES:
            if (file := self._folder / name).is_file():
                self._client.log_artifact(self._run_id, str(file))

    def close(self, status: str) -> None:
        self._client.set_terminated(self._run_id, status)

    def _find(self, run: Path, params: Mapping[str, Any]) -> str:
        from mlflow.entities import Param

        client = self._client
        experiment = client.get_experiment_by_name(_EXPERIMENT)
        number = (
            experiment.experiment_id
            if experiment
            else client.create_experiment(_EXPERIMENT, artifact_location=(run.parent / _ARTIFACTS).as_uri())
        )
        there = client.search_runs([number], f"tags.`{_RUN_TAG}` = '{run.name}'")
        if there:
            client.update_run(there[0].info.run_id, status="RUNNING")
            return there[0].info.run_id
        run_id = client.create_run(number, run_name=run.name, tags={_RUN_TAG: run.name}).info.run_id
        told = [Param(name, str(value)[:_LONGEST_PARAM]) for name, value in params.items()]
        client.log_batch(run_id, params=told)
        return run_id

    def _known_steps(self) -> set[int]:
        names = [name for name in self._client.get_run(self._run_id).data.metrics if not name.startswith(_FINAL)]
        return {metric.step for name in names for metric in self._client.get_metric_history(self._run_id, name)}

    def _log(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        self._client.log_batch(self._run_id, [Metric(name, float(value), now, step) for name, value in values.items()])
