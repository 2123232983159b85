"""What a person sees while a detector trains: a bar while an epoch runs, one line when it is over."""

from __future__ import annotations

import time
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..core.progress import console, say, warn


class EpochProgress:
    """Follows a trainer's events. Holds nothing that cannot be sent to another process before training starts."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._started = 0.0
        self._batch: int | None = None
        self._reported = -1

    def on(self, event: str, trainer: Any) -> None:
        """Take note of an event of Ultralytics' trainer."""
        match event:
            case "on_train_start":
                say(f"training {trainer.epochs - trainer.start_epoch} epochs on {_device_words(trainer.device)}, "
                    f"{len(trainer.train_loader.dataset)} pictures at {trainer.args.imgsz} px")  # fmt: skip
                self._batch = trainer.batch_size
            case "on_train_epoch_start":
                self._start_epoch(trainer)
            case "on_train_batch_end":
                if self._bar:
                    self._bar.advance(self._bar.task_ids[0])
            case "on_train_epoch_end" | "teardown":
                self._close()
            case "on_fit_epoch_end":
                self._report(trainer)

    def _start_epoch(self, trainer: Any) -> None:
        self._close()
        self._started = time.monotonic()
        if self._batch != trainer.batch_size:
            warn(f"the GPU's memory is too small for {self._batch} pictures a step: going on with {trainer.batch_size}")
            self._batch = trainer.batch_size
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                console=console, transient=True,
            )  # fmt: skip
            self._bar.add_task(f"epoch {trainer.epoch + 1}/{trainer.epochs}", total=len(trainer.train_loader))
            self._bar.start()

    def _close(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _report(self, trainer: Any) -> None:
        """The library fires this event once more after the last epoch."""
        if trainer.epoch == self._reported:
            return
        self._reported = trainer.epoch
        took = time.monotonic() - self._started
        left = took * (trainer.epochs - trainer.epoch - 1)
        loss = sum(float(value) for value in (trainer.tloss or {}).values())
        metrics = trainer.metrics or {}
        text = (
            f"epoch {trainer.epoch + 1}/{trainer.epochs}  loss {loss:.3f}"
            f"  mAP50 {float(metrics.get('metrics/mAP50(B)', 0)):.3f}"
            f"  mAP50-95 {float(metrics.get('metrics/mAP50-95(B)', 0)):.3f}  {took:.1f} s"
        )
        say(text + (f"  (about {_duration(left)} left)" if left else ""))


def _device_words(device: Any) -> str:
    if device.type != "cuda":
        return "the CPU"
    import torch

    return f"GPU {device.index or 0} ({torch.cuda.get_device_name(device)})"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
