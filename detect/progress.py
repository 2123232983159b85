"""What is heard of a detector's training while it runs: a table for the person, a row per epoch for whoever listens."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..core.duration import duration_words
from ..core.progress import say, warn
from ..core.table import EpochTable, Line
from ..core.words import many

_TITLES = ("epoch", "loss", "mAP50", "mAP50-95", "took", "left")


@dataclass(frozen=True)
class EpochRow:
    """A finished epoch.

    Attributes:
        epoch: From 1.
        epochs: How many there will be at most; fewer than asked for where the time does not suffice.
        losses: Mean over the epoch's steps by name, "box_loss" say.
        mAP50: On the validation pictures, as Ultralytics measures it; so are the next three.
        mAP50_95: The same over IoU thresholds 0.5 to 0.95.
        precision: At the confidence of the best F1.
        recall: At that confidence.
        learning_rate: Of the first group of weights, at the epoch's end.
        seconds: How long it took, validation included.
        left_seconds: About how long the rest will take.
    """

    epoch: int
    epochs: int
    losses: Mapping[str, float]
    mAP50: float  # noqa: N815 - its name everywhere
    mAP50_95: float  # noqa: N815
    precision: float
    recall: float
    learning_rate: float
    seconds: float
    left_seconds: float

    @property
    def loss(self) -> float:
        """The sum of the losses."""
        return sum(self.losses.values())

    def as_record(self) -> dict[str, Any]:
        """For a JSON line; what is not a number there is None."""
        record = {
            "epoch": self.epoch, "epochs": self.epochs, "loss": self.loss, "losses": dict(self.losses),
            "mAP50": self.mAP50, "mAP50-95": self.mAP50_95, "precision": self.precision, "recall": self.recall,
            "learning_rate": self.learning_rate, "seconds": self.seconds, "left_seconds": self.left_seconds,
        }  # fmt: skip
        return _finite(record)


Listener = Callable[[EpochRow], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` with each epoch of a detector that is finished in this process while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(row: EpochRow) -> None:
    """Let all listeners hear of an epoch."""
    for listener in tuple(_listeners):
        listener(row)


class EpochProgress:
    """Follows a trainer's events. Holds nothing that cannot be sent to another process before training starts.

    Args:
        until: Seconds that are left of the time a training may take; infinity where there is no limit.
    """

    def __init__(self, until: Callable[[], float] = lambda: math.inf) -> None:
        self._table = EpochTable(_TITLES)
        self._until = until
        self._started = 0.0
        self._took: list[float] = []
        self._batch: int | None = None
        self._reported = -1
        self._best = -math.inf

    def on(self, event: str, trainer: Any) -> None:
        """Take note of an event of Ultralytics' trainer."""
        match event:
            case "on_train_start":
                self._begin(trainer)
            case "on_train_epoch_start":
                self._start_epoch(trainer)
            case "on_train_batch_end":
                self._table.advance()
            case "on_train_epoch_end":
                self._table.say_now("validating")
            case "on_fit_epoch_end":
                self._report(trainer)
            case "teardown":
                self._table.close()

    def _begin(self, trainer: Any) -> None:
        epochs, pictures = trainer.epochs - trainer.start_epoch, len(trainer.train_loader.dataset)
        say(f"training {many(epochs, 'epoch')} on {_device_words(trainer.device)}, {many(pictures, 'picture')} at "
            f"{trainer.args.imgsz} px")  # fmt: skip
        self._batch = trainer.batch_size
        if trainer.best_fitness is not None:  # of a training that goes on
            self._best = float(trainer.best_fitness)

    def _start_epoch(self, trainer: Any) -> None:
        self._started = time.monotonic()
        if self._batch != trainer.batch_size:
            before = many(self._batch or 0, "picture")
            warn(f"the GPU's memory is too small for {before} a step: going on with {trainer.batch_size}")
            self._batch = trainer.batch_size
        self._table.begin(f"epoch {trainer.epoch + 1}/{trainer.epochs}", len(trainer.train_loader))

    def _report(self, trainer: Any) -> None:
        """The library fires this event once more after the last epoch."""
        if trainer.epoch == self._reported:
            return
        self._reported = trainer.epoch
        self._took.append(time.monotonic() - self._started)
        row = _row(trainer, self._took[-1], self._left(trainer))
        fitness = -math.inf if trainer.fitness is None else float(trainer.fitness)
        self._table.add(_line(row, best=fitness > self._best))
        self._best = max(self._best, fitness)
        tell(row)

    def _left(self, trainer: Any) -> float:
        """Seconds; the first epoch is slower than the others, so the last few count."""
        if trainer.stop:
            return 0.0
        recent = self._took[-5:]
        return min(sum(recent) / len(recent) * (trainer.epochs - trainer.epoch - 1), max(self._until(), 0.0))


def _row(trainer: Any, seconds: float, left: float) -> EpochRow:
    metrics = trainer.metrics or {}

    def measured(name: str) -> float:
        return float(metrics.get(f"metrics/{name}(B)", 0))

    return EpochRow(
        epoch=trainer.epoch + 1, epochs=trainer.epochs,
        losses={name: float(value) for name, value in (trainer.tloss or {}).items()},
        mAP50=measured("mAP50"), mAP50_95=measured("mAP50-95"), precision=measured("precision"),
        recall=measured("recall"), learning_rate=float(next(iter(trainer.lr.values()), 0.0)),
        seconds=round(seconds, 3), left_seconds=round(left, 1),
    )  # fmt: skip


def _line(row: EpochRow, *, best: bool) -> Line:
    left = duration_words(row.left_seconds) if row.left_seconds else ""
    took = f"{row.seconds:.1f} s" if row.seconds < 60 else duration_words(row.seconds)
    return Line(
        cells=(f"{row.epoch}/{row.epochs}", f"{row.loss:.3f}", f"{row.mAP50:.3f}", f"{row.mAP50_95:.3f}", took, left),
        plain=f"epoch {row.epoch}/{row.epochs}  loss {row.loss:.3f}  mAP50 {row.mAP50:.3f}"
        f"  mAP50-95 {row.mAP50_95:.3f}  {took}" + (f"  (about {left} left)" if left else ""),
        best=best,
    )


def _finite(value: Any) -> Any:
    """JSON has no word for what is not a number."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _device_words(device: Any) -> str:
    if device.type != "cuda":
        return "the CPU"
    import torch

    return f"GPU {device.index or 0} ({torch.cuda.get_device_name(device)})"
