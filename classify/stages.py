"""The two stages of training a classifier: the head alone, then the upper part of the backbone with a very low rate."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..core.device import told_when_memory_is_full
from ..core.errors import LensmithError
from ..core.files import write_atomic
from ..core.progress import say
from ..weights.architecture import base_layers
from ..weights.keras_files import load_all_layers

CHECKPOINT_NAME = "best.weights.h5"
_PARTIAL_NAME = ".best.partial.weights.h5"  # Keras insists on the ending


@dataclass(frozen=True)
class Stage:
    """How one stage trains.

    Attributes:
        name: "frozen" or "tuned".
        epochs: At most so many.
        learning_rate: Of Adam.
        unfreeze_from: First layer of the backbone that changes; None freezes all of it.
    """

    name: Literal["frozen", "tuned"]
    epochs: int
    learning_rate: float
    unfreeze_from: str | None = None


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave; `best` says whether its weights were kept."""

    stage: Literal["frozen", "tuned"]
    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float
    best: bool

    @property
    def score(self) -> tuple[float, float]:
        """Higher is better: validation accuracy, and among equals the lower loss."""
        return self.val_accuracy, -self.val_loss


class Training:
    """What lasts over the stages: the model, the best weights so far, the history.

    Args:
        model: From `build_classifier`.
        train: Batches to learn from, see `classify.data.as_batches`.
        valid: Batches to validate on.
        run: Folder for the checkpoint and the history.
        patience: A stage ends after so many epochs without a better one.
    """

    def __init__(self, model: Any, train: Any, valid: Any, run: Path, patience: int) -> None:
        self.model = model
        self.history: list[Epoch] = []
        self.best: Epoch | None = None
        self.checkpoint = run / CHECKPOINT_NAME
        self._train = train
        self._valid = valid
        self._run = run
        self.patience = patience

    def run_stage(self, stage: Stage) -> None:
        """Train until the stage's epochs are done or nothing improves any more.

        A stage starts from the best weights so far.

        Raises:
            LensmithError: the loss is no longer a number.
        """
        import keras

        if self.best is not None:
            load_all_layers(self.model, self.checkpoint)
        freeze(self.model, stage.unfreeze_from)
        self.model.compile(
            optimizer=keras.optimizers.Adam(stage.learning_rate),
            loss=keras.losses.SparseCategoricalCrossentropy(),
            metrics=["accuracy"],
        )
        watch = _Watch(self, stage)
        with told_when_memory_is_full("use a smaller --batch or --imgsz"):
            self._fit(stage, watch)

    def _fit(self, stage: Stage, watch: _Watch) -> None:
        import keras

        self.model.fit(
            self._train,
            validation_data=self._valid,
            epochs=stage.epochs,
            shuffle=False,  # the batches shuffle themselves, pictures and not batches
            verbose=0,
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=watch.begin, on_train_batch_end=watch.look, on_epoch_end=watch.end
                )
            ],
        )

    def add(self, epoch: Epoch) -> None:
        """Note an epoch; its weights, if they are the best so far, are on the disk before the history says so."""
        if epoch.best:
            self._keep_weights()
            self.best = epoch
        self.history.append(epoch)
        rows = [asdict(row) for row in self.history]
        write_atomic(self._run / "history.json", json.dumps(rows, indent=1) + "\n")
        table = io.StringIO()
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self._run / "history.csv", table.getvalue())

    def _keep_weights(self) -> None:
        """A process that is killed, or a full disk, leaves the weights before whole."""
        partial = self._run / _PARTIAL_NAME
        try:
            self.model.save_weights(partial, overwrite=True)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(self.checkpoint)
        finally:
            partial.unlink(missing_ok=True)


class _Watch:
    """Looks at one stage while Keras trains it."""

    def __init__(self, training: Training, stage: Stage) -> None:
        self._training = training
        self._stage = stage
        self._started = 0.0
        self._stage_best: tuple[float, float] | None = None
        self._stale = 0

    def begin(self, _epoch: int, _logs: dict[str, float] | None = None) -> None:
        self._started = time.monotonic()

    def look(self, _batch: int, logs: dict[str, float] | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise LensmithError(
                f"The loss is no longer a number in the {self._stage.name} stage.",
                where=self._training.checkpoint.parent,
                next_step=f"try a lower --lr-{'frozen' if self._stage.name == 'frozen' else 'tune'}; "
                "the best weights before it are kept in the run's folder",
            )

    def end(self, number: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        before = self._training.best
        epoch = Epoch(
            self._stage.name, number + 1, *(float(logs[k]) for k in ("loss", "accuracy", "val_loss", "val_accuracy")),
            seconds=round(time.monotonic() - self._started, 2), best=False,
        )  # fmt: skip
        if before is None or epoch.score > before.score:
            epoch = Epoch(**{**asdict(epoch), "best": True})
        self._training.add(epoch)
        say(
            f"  {epoch.stage:6} {epoch.epoch}/{self._stage.epochs}"
            f"  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.3f}"
            f"  val loss {epoch.val_loss:.4f}  val accuracy {epoch.val_accuracy:.3f}"
            f"  {epoch.seconds:.0f} s{'  best so far' if epoch.best else ''}"
        )
        if self._stage_best is None or epoch.score > self._stage_best:
            self._stage_best, self._stale = epoch.score, 0
            return
        self._stale += 1
        if self._stale >= self._training.patience and epoch.epoch < self._stage.epochs:
            say(f"  no better for {self._stale} epochs: the {self._stage.name} stage ends early")
            self._training.model.stop_training = True


def freeze(model: Any, unfreeze_from: str | None) -> None:
    """Let the head learn, and of the backbone what comes from this layer on, except BatchNormalization."""
    import keras

    layers = base_layers(model)
    names = [layer.name for layer in layers]
    first = len(layers) if unfreeze_from is None else names.index(unfreeze_from)
    learning = {layer.name for layer in layers[first:] if not isinstance(layer, keras.layers.BatchNormalization)}
    for layer in layers:
        layer.trainable = layer.name in learning
