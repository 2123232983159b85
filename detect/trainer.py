"""Ultralytics' trainer, with checkpoints that survive a kill, without network, on all cores, and quiet.

Imported only when training starts, and by the processes that train on several GPUs.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch  # noqa: TID253 - a subclass needs its base, and only training imports this module
from ultralytics.engine.trainer import BaseTrainer  # noqa: TID253 - as above
from ultralytics.models.rtdetr.train import RTDETRTrainer  # noqa: TID253 - as above
from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: TID253 - as above
from ultralytics.nn.tasks import load_checkpoint  # noqa: TID253 - as above
from ultralytics.utils import DEFAULT_CFG, RANK  # noqa: TID253 - as above
from ultralytics.utils.patches import override_configs  # noqa: TID253 - as above

from ..core.device import usable_cores
from ..core.manifest import MANIFEST_NAME, RunManifest
from ..core.progress import say, warn
from .augmented import AugmentedReader, read_run_spec
from .balance import imbalance_line, repeat_rare
from .budget import TimeBudget
from .checkpoints import BEST, BEST_BEFORE, LAST, LAST_BEFORE, extended_after
from .freezing import freezing_line, unfreeze
from .half import half_precision_works
from .kept import keep_pictures
from .models import is_transformer, load_architecture
from .plan import Plan, read_plan
from .progress import EpochProgress
from .several import speaking, train_apart
from .trouble import NotANumberError, told_plainly

_T = TypeVar("_T")
_SEEDS_APART = 1_000_003  # of two epochs after which a training may go on


class SafeTrainer(DetectionTrainer):
    """A detection trainer whose checkpoints are whole at every moment.

    `args.model` is a detector's name with ".yaml" for a new training, the checkpoint's path for one that goes on.
    `args.pretrained` is the path of a checkpoint to start from, or False. Both were looked into before. When
    `args.project` holds an `augment.yaml`, training pictures are changed as it says; a `run.json` there gives the plan.

    Attributes:
        plan: How this training goes beyond the library's arguments.
    """

    def __init__(self, cfg: Any = DEFAULT_CFG, overrides: Any = None, _callbacks: Any = None) -> None:
        self._progress = EpochProgress(lambda: math.inf if self._budget is None else self._budget.left)
        self._budget: TimeBudget | None = None
        self._in_memory = 0
        self.plan = Plan()
        super().__init__(cfg, overrides, _callbacks)
        self.plan = read_plan(Path(self.args.project), again=bool(self.resume))
        # In hours; the library takes 0 for no limit.
        self.args.time = None if self.plan.seconds is None else max(self.plan.seconds, 1.0) / 3600
        if self.device.type == "cpu":
            torch.set_num_threads(usable_cores())  # Ultralytics leaves one core idle, on two cores that is half

    def check_resume(self, overrides: dict[str, Any]) -> None:
        """Take the arguments from the checkpoint, but the folders from here: the run may have been moved."""
        super().check_resume(overrides)
        if self.resume:
            for key in ("project", "name", "exist_ok", "device", "data", "epochs"):
                setattr(self.args, key, overrides[key])
            self.args.save_dir = str(Path(overrides["project"]) / overrides["name"])

    def resume_training(self, ckpt: dict[str, Any] | None) -> None:
        """As in the library, with new random changes; in an extended training early stopping counts from there."""
        super().resume_training(ckpt)
        if not self.resume:
            return
        # The library would go through the draws of the first epochs again, after each resume.
        torch.manual_seed(self.args.seed + 1 + RANK + _SEEDS_APART * self.start_epoch)
        random.seed(torch.initial_seed())
        np.random.seed(torch.initial_seed() % 2**32)
        generator = self.train_loader.generator
        generator.manual_seed(generator.initial_seed() + self.start_epoch)
        if (Path(self.args.project) / MANIFEST_NAME).is_file():
            after = extended_after(RunManifest.load(Path(self.args.project)))
            self.stopper.best_epoch = max(self.stopper.best_epoch, after)

    def setup_model(self) -> dict[str, Any] | None:
        """Build the model from a packaged description, never from one that a checkpoint carries."""
        if isinstance(self.model, torch.nn.Module):
            return None
        checkpoint: dict[str, Any] | None = None
        weights: Any = None
        if self.resume:
            weights, checkpoint = load_checkpoint(self.args.model)
            family = Path(weights.yaml["yaml_file"]).stem
        else:
            family = Path(self.args.model).stem
            if isinstance(self.args.pretrained, str):
                weights, _ = load_checkpoint(self.args.pretrained)
        self.model = self.get_model(load_architecture(family), weights, verbose=False)
        return checkpoint

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """As in the library; training pictures come as often as the plan says, changed as the run's spec says."""
        cache = self.args.cache
        with override_configs(self.args, {"cache": False}):
            dataset: Any = super().build_dataset(img_path, mode, batch)
        if mode == "train":
            self._balance(dataset)
        if cache:
            shared = self.args.workers > 0
            # The library lets the first process read alone; when the others look, its pictures are in memory already.
            times = max(self.world_size, 1) - (1 if shared and RANK > 0 else 0)
            spoken_for = 0 if shared else self._in_memory
            taken = keep_pictures(dataset, self.args, shared=shared, spoken_for=spoken_for, times=times)
            self._in_memory += taken
        spec = read_run_spec(Path(self.args.project))
        if mode == "train" and spec is not None:
            dataset.get_image_and_label = AugmentedReader(dataset, spec)
        return dataset

    def _balance(self, dataset: Any) -> None:
        if self.plan.balance == "resample":
            added = repeat_rare(dataset, self.args.seed)
            tell, text = say, f"resampled: {added} pictures of rare classes are added to {dataset.ni - added}"
        else:
            line = imbalance_line([label["cls"].reshape(-1) for label in dataset.labels], self.data["names"])
            if line is None or self.args.cls_pw:
                return
            tell, text = warn, line
        if RANK in {-1, 0}:
            tell(text)

    def _setup_train(self) -> None:
        """As in the library, with a check of half precision that needs no download."""
        library: Any = sys.modules[BaseTrainer.__module__]
        original = library.check_amp
        library.check_amp = half_precision_works
        try:
            super()._setup_train()
        finally:
            library.check_amp = original

    def save_model(self) -> Literal[True]:
        """Let the library write its checkpoints aside, then give them their names."""
        aside = self.wdir / ".aside"
        final = self.wdir, self.last, self.best
        shutil.rmtree(aside, ignore_errors=True)
        self.wdir, self.last, self.best = aside, aside / LAST, aside / BEST
        try:
            super().save_model()
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)  # half of a checkpoint takes room that may be wanted
            raise
        finally:
            self.wdir, self.last, self.best = final
        # best first: a kill in between leaves an older `last`, from which the same epoch is done again.
        for name, before in ((BEST, BEST_BEFORE), (LAST, LAST_BEFORE)):
            if (aside / name).exists():
                put_in_place(aside / name, self.wdir / name, self.wdir / before)
        shutil.rmtree(aside, ignore_errors=True)
        return True

    def _get_warmup_iterations(self, num_batches: int) -> int:
        """As in the library, which asks at the start, and after each epoch of a training with a limit of time.

        In between it has set the number of epochs, which is put right here.
        """
        if self._budget is not None and self.epoch_time is not None:
            self._fit_epochs(self._budget)
        return super()._get_warmup_iterations(num_batches)

    def _fit_epochs(self, budget: TimeBudget) -> None:
        done, before = self.epoch + 1, self._fitting
        epochs = self._agreed(budget.epochs(done, float(self.epoch_time or 0)))
        self.epochs, self.args.epochs, self._fitting = epochs, self._most, epochs
        self.stop = bool(self.stop) or epochs <= done
        if epochs != before and RANK in {-1, 0}:
            say(f"the time is enough for {epochs} of {self._most} epochs")

    @staticmethod
    def _agreed(value: _T) -> _T:
        """What the first of several processes has; each must ask."""
        agreed = [value]
        if RANK != -1:
            torch.distributed.broadcast_object_list(agreed, 0)
        return agreed[0]

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """As in the library, which goes back to the last checkpoint three times; but said, and never into nonsense.

        Where there is none, because it is the first epoch, it would go on with a model of which nothing is left.

        Raises:
            NotANumberError: going back does not help, or there is nothing to go back to.
        """
        spoilt = self.loss is not None and not bool(self.loss.isfinite())
        advice = "lower the learning rate (--set optimizer=AdamW --set lr0=0.0005), or add --set amp=false on a GPU"
        if epoch == self.start_epoch and self._agreed(spoilt):
            kept = f"; epoch {epoch} is kept" if self.resume else ""
            raise NotANumberError(f"The loss is no longer a number in epoch {epoch + 1}{kept}.",
                                  where=self.args.project, next_step=f"train anew and {advice}")  # fmt: skip
        try:
            again = super()._handle_nan_recovery(epoch)
        except RuntimeError as error:
            raise NotANumberError(f"The loss is no longer a number in epoch {epoch + 1}, and going back to the epoch "
                                  f"before did not help: {error}.", where=self.args.project,
                                  next_step=f"train anew and {advice}") from None  # fmt: skip
        if again and RANK in {-1, 0}:
            warn(f"the loss was no longer a number in epoch {epoch + 1}: it is done again from the checkpoint before "
                 f"(time {self.nan_recovery_attempts} of 3)")  # fmt: skip
        return again

    def train(self) -> None:
        """As in the library; what can go wrong is one message, see `trouble.told_plainly`."""
        run = Path(self.args.project)
        if self.ddp:
            with told_plainly(run):
                train_apart(self, run)
        elif RANK == -1:
            with told_plainly(run):
                super().train()
        else:
            with speaking(run, first=RANK == 0), told_plainly(run):
                super().train()

    def final_eval(self) -> None:
        """Leave the checkpoints alone: the library would rewrite them in place. We measure on the bundle."""

    def run_callbacks(self, event: str) -> None:
        """The library's callbacks, our line per epoch, and what the plan says of this moment."""
        super().run_callbacks(event)
        if RANK in {-1, 0}:
            self._progress.on(event, self)
        if event == "on_train_start":
            self._start_clock()
        elif event == "on_train_epoch_start":
            self._begin_epoch()

    def _start_clock(self) -> None:
        self._most = self._fitting = self.epochs
        if self.plan.seconds is not None:
            self._budget = TimeBudget(self.plan.seconds, self.epochs)
        if self.plan.freeze and RANK in {-1, 0} and not self._all_learn(self.start_epoch):
            say(freezing_line(self.args.freeze, self.plan.freeze, self.plan.unfreeze_after))

    def _begin_epoch(self) -> None:
        if self._all_learn(self.epoch) and unfreeze(self) and RANK in {-1, 0}:
            say(f"from epoch {self.epoch + 1} on all layers learn")

    def _all_learn(self, epoch: int) -> bool:
        after = self.plan.unfreeze_after
        return after is not None and epoch >= after


class SafeTransformerTrainer(SafeTrainer, RTDETRTrainer):
    """The same for RT-DETR: Ultralytics' trainer for it stands between `SafeTrainer` and `DetectionTrainer`."""


def trainer_for(model: str) -> type[SafeTrainer]:
    """Which trainer a detector needs, by its name."""
    return SafeTransformerTrainer if is_transformer(model) else SafeTrainer


def put_in_place(new: Path, target: Path, before: Path) -> None:
    """Bring a finished file to the disk and give it its name; what had the name is kept as `before`."""
    with new.open("rb+") as file:
        os.fsync(file.fileno())
    if target.exists():
        spare = before.with_name(f".{before.name}")
        spare.unlink(missing_ok=True)
        try:
            os.link(target, spare)
            spare.replace(before)
        except OSError:  # a disk without hard links: for a moment only `before` is there, which will do
            target.replace(before)
    new.replace(target)
    with contextlib.suppress(OSError):  # Windows cannot sync a folder
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
