"""The two stages of training a classifier: the head alone, then the upper part of the backbone with a very low rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..core.device import free_memory, is_memory_full
from ..core.errors import LensmithError
from ..core.progress import say, warn
from ..weights.keras_files import load_all_layers
from .balance import class_weights
from .config import FinetuneConfig
from .epochs import NotANumberError, Pass, Plan, learn, reseed, validate
from .freezing import freeze, need_same_statistics, statistics_of
from .learning import LearningData
from .optimizers import build_optimizer
from .rates import find_rate
from .standardize import standardize
from .state import Progress, StateFolder, as_array, learned_of, put_learned, save_weights, write_history

CHECKPOINT_NAME = "best.weights.h5"
StageName = Literal["frozen", "tuned"]


@dataclass(frozen=True)
class Stage:
    """How one stage trains.

    Attributes:
        name: "frozen" or "tuned".
        epochs: At most so many.
        learning_rate: The highest; "auto" looks for one first.
        unfreeze_from: First layer of the backbone that learns; None freezes all of it.
    """

    name: StageName
    epochs: int
    learning_rate: float | Literal["auto"]
    unfreeze_from: str | None = None


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    Attributes:
        stage: "frozen" or "tuned".
        epoch: From 1 within its stage.
        loss: Mean cross-entropy while learning, with Dropout and with what smooths and mixes the targets.
        accuracy: Share of right answers while learning.
        val_loss: Mean cross-entropy on the validation pictures after the epoch.
        val_accuracy: Share of right answers on them.
        seconds: How long it took.
        best: Whether it was the best so far, so that its weights were kept.
        learning_rate: Of its last step.
        waited: Share of its time, 0..1, for which the model waited for data.
        val_balanced_accuracy: The mean of that share over the classes where epochs are compared by it; otherwise None.
    """

    stage: StageName
    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float
    best: bool
    learning_rate: float = 0.0
    waited: float = 0.0
    val_balanced_accuracy: float | None = None

    @property
    def score(self) -> tuple[float, float]:
        """Higher is better: validation accuracy, balanced where that counts, among equals the lower loss."""
        balanced = self.val_balanced_accuracy
        return self.val_accuracy if balanced is None else balanced, -self.val_loss


@dataclass(frozen=True)
class StageData:
    """What a stage works on.

    Attributes:
        network: A `keras.Model` that ends in probabilities, made of the layers of the model that is trained: `Cut.top`,
            or that model itself.
        train: To learn from; what `network` takes.
        valid: To validate on.
    """

    network: Any
    train: LearningData
    valid: LearningData


class Training:
    """What lasts over the stages: the model, the best weights so far, the history; goes on where a state lies.

    Epochs are compared by accuracy on the validation pictures; where training evens out classes, by balanced accuracy.

    Args:
        model: From `build_classifier`, as the run starts, or started.
        run: The run's folder, for the checkpoint, the state and the history.
        config: Resolved options.

    Attributes:
        model: The one given; where a state lies in the folder, with the numbers that the run began with.
        checkpoint: The file with the best weights, which `keep_best` writes.
        progress: How far training is.
        told: Called with each finished epoch.

    Raises:
        DataError: the state in the run's folder is damaged.
    """

    def __init__(self, model: Any, run: Path, config: FinetuneConfig) -> None:
        self.model = model
        self.checkpoint = run / CHECKPOINT_NAME
        self._run = run
        self._config = config
        self.told: Callable[[Epoch], None] = lambda _epoch: None
        self._state = StateFolder(run)
        self._state.begin(model)
        saved = self._state.load()
        self.progress = saved[0] if saved else Progress(batch=config.batch)
        if self.progress.history:
            write_history(self._run, self.progress.history)

    @property
    def history(self) -> list[Epoch]:
        """Every finished epoch."""
        return [Epoch(**row) for row in self.progress.history]

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights ship."""
        return None if self.progress.best is None else Epoch(**self.progress.history[self.progress.best])

    def is_over(self, stage: Stage) -> bool:
        """Whether a stage has nothing more to do."""
        at = self.progress
        if at.stopped or not stage.epochs:
            return True
        if at.stage != stage.name:
            return at.stage == "tuned"
        return at.epoch >= stage.epochs or at.stale >= self._config.patience

    def run_stage(self, stage: Stage, data: StageData) -> None:
        """Train until the stage's epochs are done or nothing improves any more.

        A stage starts from the best weights so far; one that was interrupted goes on after its last finished epoch.

        Raises:
            LensmithError: the loss is no longer a number before any epoch was finished, or the memory does not suffice
                for a single picture.
            DataError: the pictures can no longer be read.
        """
        if self.is_over(stage):
            return
        statistics = {} if self._config.from_scratch else statistics_of(self.model)
        freeze(self.model, stage.unfreeze_from, learn_statistics=self._config.from_scratch)
        while not self.is_over(stage):
            if not self._fits(stage, data):
                self._take_smaller_batch()
        need_same_statistics(self.model, statistics)

    def keep_best(self) -> None:
        """Give the model the best weights, and write them to the checkpoint."""
        self.restore_best()
        save_weights(self.model, self.checkpoint)

    def restore_best(self) -> None:
        """Give the model the best weights so far; those it started with where there are none."""
        load_all_layers(self.model, self._state.start)
        if name := self.progress.best_file:
            put_learned(self.model, self._state.load_best(name), self._state.folder / name)

    def _fits(self, stage: Stage, data: StageData) -> bool:
        """Train to the stage's end; False where the memory did not suffice."""
        try:
            self._go_on(stage, data)
        except NotANumberError as error:
            self._stop(stage, str(error))
        except Exception as error:
            if not is_memory_full(error):
                raise
            if self.progress.batch == 1:
                what = "There is not enough memory for a single picture."
                raise LensmithError(what, where=self._run, next_step="use a smaller --imgsz") from error
            return False
        return True

    def _go_on(self, stage: Stage, data: StageData) -> None:
        """Enter the stage, or enter it again after its last finished epoch; train to its end."""
        import keras

        saved = self._state.load()
        again = saved is not None and saved[0].stage == stage.name
        self.restore_best()
        if not again:
            self.progress.stage, self.progress.epoch = stage.name, 0
            self.progress.stale, self.progress.stage_best = 0, None
        if not self.progress.history:
            standardize(data.network, data.train, self.progress.batch)
        plan = self._plan(stage, data)
        optimizer = build_optimizer(self._config.optimizer, plan.peak)
        loss = keras.losses.CategoricalCrossentropy()
        data.network.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        data.network.optimizer.build(data.network.trainable_weights)
        if saved is not None and again:
            put_learned(data.network, saved[1], self._state.folder)
            for variable, value in zip(data.network.optimizer.variables, saved[2], strict=True):
                variable.assign(value)
        while not self.is_over(stage):
            self._one_epoch(stage, data, plan)

    def _plan(self, stage: Stage, data: StageData) -> Plan:
        config, searches = self._config, self.progress.searches
        peak = stage.learning_rate
        if peak == "auto":
            if stage.name not in searches:
                say("looking for a learning rate ...")
                batch = self.progress.batch
                found = asdict(find_rate(data.network, data.train, batch, config.optimizer, config.seed))
                searches[stage.name] = found
                say(f"  learning rate {found['chosen']:.2g}: {found['reason']}")
            peak = float(searches[stage.name]["chosen"])
        classes = int(data.network.outputs[0].shape[-1])
        weights = class_weights(data.train.labels, classes) if config.balance == "weights" else None
        first = 0 if stage.name == "frozen" else config.epochs_frozen or 0
        return Plan(stage.name, stage.epochs, first, peak, config, weights, classes)

    def _one_epoch(self, stage: Stage, data: StageData, plan: Plan) -> None:
        at, started = self.progress, time.monotonic()
        reseed(data.network, self._config.seed, plan.first + at.epoch)
        learned = learn(data.network, data.train, plan, at.epoch, at.batch)
        validated = validate(data.network, data.valid, at.batch)
        row = self._row(stage, learned, validated, time.monotonic() - started)
        self._keep(row, data.network)
        say(_line(row, stage))
        self.told(row)
        if at.stale >= self._config.patience and at.epoch < stage.epochs:
            say(f"  no better for {at.stale} epochs: the {stage.name} stage ends early")

    def _row(self, stage: Stage, learned: Pass, validated: Pass, seconds: float) -> Epoch:
        row = Epoch(
            stage.name, self.progress.epoch + 1, learned.loss, learned.accuracy, validated.loss, validated.accuracy,
            seconds=round(seconds, 2), best=False, learning_rate=learned.rate,
            waited=round((learned.waited + validated.waited) / max(seconds, 1e-9), 4),
            val_balanced_accuracy=None if self._config.balance == "none" else validated.balanced,
        )  # fmt: skip
        return replace(row, best=self.best is None or row.score > self.best.score)

    def _keep(self, row: Epoch, network: Any) -> None:
        """Note an epoch; everything that a resumed run needs is on the disk before the history says so."""
        at, learned = self.progress, learned_of(network)
        at.history.append(asdict(row))
        at.epoch = row.epoch
        if at.stage_best is None or row.score > at.stage_best:
            at.stage_best, at.stale = row.score, 0
        else:
            at.stale += 1
        if row.best:
            at.best, at.best_file = len(at.history) - 1, f"best-{row.stage}-{row.epoch}.npz"
            self._state.save_best(at.best_file, learned)
        self._state.save(at, learned, [as_array(variable) for variable in network.optimizer.variables])
        write_history(self._run, self.progress.history)

    def _stop(self, stage: Stage, where: str) -> None:
        """The weights are spoilt: training ends, and the best epoch before ships where there is one."""
        option = f"--lr-{'frozen' if stage.name == 'frozen' else 'tune'}"
        reason = f"The loss is no longer a number in the {stage.name} stage, {where}"
        advice = f"the learning rate is too high; try a lower {option}, or {option} auto"
        if self.best is None:
            raise LensmithError(f"{reason}.", where=self._run, next_step=advice)
        self.progress.stopped = reason
        kept = f"epoch {self.best.epoch} of the {self.best.stage} stage"
        warn(f"{reason}: {advice}. Training ends here, and {kept} is kept")

    def _take_smaller_batch(self) -> None:
        """Go back to the last finished epoch with half as many pictures per step."""
        saved, batch, searches = self._state.load(), self.progress.batch, self.progress.searches
        self.progress = saved[0] if saved else Progress(batch=batch, searches=searches)
        self.progress.batch = half = batch // 2
        warn(f"the memory does not suffice for {batch} pictures per step: going on with {half}")
        free_memory()  # what the failed step held


def _line(row: Epoch, stage: Stage) -> str:
    balanced = "" if row.val_balanced_accuracy is None else f" (balanced {row.val_balanced_accuracy:.3f})"
    return (
        f"  {row.stage:6} {row.epoch}/{stage.epochs}  loss {row.loss:.4f}  accuracy {row.accuracy:.3f}"
        f"  val loss {row.val_loss:.4f}  val accuracy {row.val_accuracy:.3f}{balanced}"
        f"  {row.seconds:.{0 if row.seconds >= 10 else 1}f} s, {row.waited:.0%} waiting for data"
        f"{'  best so far' if row.best else ''}"
    )
