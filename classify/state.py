"""What an interrupted training goes on from: the folder `state/` of a run.

start.weights.h5        the whole model as the run began; written once
best-<stage>-<n>.npz    what had learned by the best epoch so far
epoch.npz               what has learned by the last finished epoch, the optimizer's numbers, and the progress itself

Each file is written beside and renamed, so that it is whole at every moment; `epoch.npz` comes last and names the
others that belong to it. What never changes, the frozen part of the backbone, is in the first file alone.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..core.errors import DataError
from ..core.files import partial_path, write_atomic
from ..weights.architecture import HEAD_NORM
from ..weights.keras_files import load_all_layers

STATE_NAME = "state"
_START = "start.weights.h5"
_EPOCH = "epoch.npz"
_PROGRESS = "progress"

Arrays = dict[str, np.ndarray]


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        batch: Pictures per step, after what memory did not suffice for.
        stage: The stage it is in; empty before the first.
        epoch: Finished epochs of that stage.
        stale: How many of them came since the stage's best.
        stage_best: Validation accuracy and negative loss of the stage's best epoch.
        history: Every finished epoch, see `stages.Epoch`.
        best: Which of them is the best, counted from 0; None when there is none.
        best_file: Where its weights are.
        searches: By stage, what the search for its learning rate saw, see `rates.RateSearch`.
        stopped: Why training ended before its time.
    """

    batch: int
    stage: str = ""
    epoch: int = 0
    stale: int = 0
    stage_best: tuple[float, float] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    best: int | None = None
    best_file: str | None = None
    searches: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopped: str | None = None


class StateFolder:
    """The state of one run on the disk.

    Args:
        run: The run's folder.
    """

    def __init__(self, run: Path) -> None:
        self.folder = run / STATE_NAME

    def begin(self, model: Any) -> None:
        """Keep the whole model; in a run that had begun, give it the numbers of then."""
        self.folder.mkdir(exist_ok=True)
        if self.start.is_file():
            load_all_layers(model, self.start)
        else:
            save_weights(model, self.start)

    @property
    def start(self) -> Path:
        """The file with the model as the run began."""
        return self.folder / _START

    @property
    def has_epoch(self) -> bool:
        """Whether an epoch was finished."""
        return (self.folder / _EPOCH).is_file()

    def save(self, progress: Progress, learned: Mapping[str, np.ndarray], optimizer: list[np.ndarray]) -> None:
        """Keep an epoch. The state before stays until this one is on the disk.

        Args:
            progress: With this epoch in it.
            learned: From `learned_of`.
            optimizer: The optimizer's variables in their order.
        """
        arrays = {f"learned/{name}": value for name, value in learned.items()}
        arrays |= {f"optimizer/{number}": value for number, value in enumerate(optimizer)}
        arrays[_PROGRESS] = np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)
        _save_arrays(self.folder / _EPOCH, arrays)
        for old in self.folder.glob("best-*.npz"):
            if old.name != progress.best_file:
                old.unlink()

    def save_best(self, name: str, learned: Mapping[str, np.ndarray]) -> None:
        """Keep weights under a name; `save` removes those of other names."""
        _save_arrays(self.folder / name, learned)

    def load(self) -> tuple[Progress, Arrays, list[np.ndarray]] | None:
        """The last state that was saved, in the words of `save`; None when no epoch was finished.

        Raises:
            DataError: it is damaged.
        """
        path = self.folder / _EPOCH
        if not path.is_file():
            return None
        arrays = _load_arrays(path)
        try:
            content = json.loads(arrays.pop(_PROGRESS).tobytes())
            best = content.pop("stage_best")
            progress = Progress(**content, stage_best=tuple(best) if best else None)
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, error) from None
        learned = {
            name.removeprefix("learned/"): value for name, value in arrays.items() if name.startswith("learned/")
        }
        return progress, learned, [arrays[f"optimizer/{number}"] for number in range(len(arrays) - len(learned))]

    def load_best(self, name: str) -> Arrays:
        """Weights from `save_best`.

        Raises:
            DataError: they are damaged or gone.
        """
        return _load_arrays(self.folder / name)

    def remove(self) -> None:
        """The run is finished and needs it no more."""
        shutil.rmtree(self.folder, ignore_errors=True)


def write_history(run: Path, rows: list[dict[str, Any]]) -> None:
    """Write every finished epoch into `history.json` and `history.csv`, for people and other programs."""
    write_atomic(run / "history.json", json.dumps(rows, indent=1) + "\n")
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(run / "history.csv", table.getvalue())


def learned_of(network: Any) -> Arrays:
    """The weights of every layer that learns, and all statistics of the head, by layer and number."""
    return {
        f"{layer.name}/{number}": as_array(weight)
        for layer in network.layers
        if layer.trainable or layer.name == HEAD_NORM
        for number, weight in enumerate(layer.weights)
    }


def put_learned(network: Any, learned: Mapping[str, np.ndarray], where: Path) -> None:
    """Give layers what `learned_of` took from them.

    Raises:
        DataError: the model has no such layers.
    """
    weights = {
        f"{layer.name}/{number}": weight for layer in network.layers for number, weight in enumerate(layer.weights)
    }
    for name, value in learned.items():
        if name not in weights or tuple(weights[name].shape) != value.shape:
            raise _damaged(where, f"{name} does not fit this model")
        weights[name].assign(value)


def as_array(variable: Any) -> np.ndarray:
    """A copy of a Keras variable's numbers."""
    import keras

    return np.array(keras.ops.convert_to_numpy(variable))


def save_weights(model: Any, path: Path) -> None:
    """Write a `.weights.h5` file; a process that is killed, or a full disk, leaves the one before whole."""
    partial = path.with_name(f".partial-{path.name}")  # Keras insists on the ending
    try:
        model.save_weights(partial, overwrite=True)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    for left in path.parent.glob(f".{path.name}.*.partial"):  # a killed process's; one process works on a run
        left.unlink()
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            np.savez(file, **dict(arrays))  # pyright: ignore[reportArgumentType]
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _load_arrays(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: object) -> DataError:
    return DataError(
        f"What this run would go on from cannot be read: {error}", where=path, next_step="start the training anew"
    )
