"""Ultralytics' trainer, with checkpoints that survive a kill, without network, on all cores, and quiet.

Imported only when training starts, and by the processes that train on several GPUs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Literal

import torch  # noqa: TID253 - a subclass needs its base, and only training imports this module
from ultralytics.engine.trainer import BaseTrainer  # noqa: TID253 - as above
from ultralytics.models.rtdetr.train import RTDETRTrainer  # noqa: TID253 - as above
from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: TID253 - as above
from ultralytics.nn.tasks import load_checkpoint  # noqa: TID253 - as above
from ultralytics.utils import DEFAULT_CFG, RANK  # noqa: TID253 - as above

from ..core.device import usable_cores
from ..core.manifest import MANIFEST_NAME, RunManifest
from ..core.progress import warn
from .augmented import AugmentedReader, read_run_spec
from .checkpoints import BEST, BEST_BEFORE, LAST, LAST_BEFORE, extended_after
from .models import is_transformer, load_architecture
from .progress import EpochProgress


class SafeTrainer(DetectionTrainer):
    """A detection trainer whose checkpoints are whole at every moment.

    `args.model` is a detector's name with ".yaml" for a new training, the checkpoint's path for one that goes on.
    `args.pretrained` is the path of a checkpoint to start from, or False. Both were looked into before. When
    `args.project` holds an `augment.yaml`, training pictures are changed as it says.
    """

    def __init__(self, cfg: Any = DEFAULT_CFG, overrides: Any = None, _callbacks: Any = None) -> None:
        self._progress = EpochProgress()
        super().__init__(cfg, overrides, _callbacks)
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
        """As in the library; in a training that was extended, early stopping counts from there."""
        super().resume_training(ckpt)
        if self.resume and (Path(self.args.project) / MANIFEST_NAME).is_file():
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
        """As in the library; training pictures are changed as the run's spec says."""
        dataset: Any = super().build_dataset(img_path, mode, batch)
        spec = read_run_spec(Path(self.args.project))
        if mode == "train" and spec is not None:
            dataset.get_image_and_label = AugmentedReader(dataset, spec)
        return dataset

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
        finally:
            self.wdir, self.last, self.best = final
        # best first: a kill in between leaves an older `last`, from which the same epoch is done again.
        for name, before in ((BEST, BEST_BEFORE), (LAST, LAST_BEFORE)):
            if (aside / name).exists():
                put_in_place(aside / name, self.wdir / name, self.wdir / before)
        shutil.rmtree(aside, ignore_errors=True)
        return True

    def final_eval(self) -> None:
        """Leave the checkpoints alone: the library would rewrite them in place. We measure on the bundle."""

    def run_callbacks(self, event: str) -> None:
        """The library's callbacks, and our line per epoch."""
        super().run_callbacks(event)
        if RANK in {-1, 0}:
            self._progress.on(event, self)


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


def half_precision_works(model: torch.nn.Module) -> bool:
    """Whether this GPU's half precision gives what full precision gives, tried on the model itself.

    Some GPUs (the GTX 16 series) answer with NaN. The library tries it on a model that it would download.
    """
    device = next(model.parameters()).device
    if device.type != "cuda":
        return False
    pictures = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0)).to(device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            full = _first(model(pictures))
            with torch.autocast("cuda"):
                half = _first(model(pictures))
    finally:
        model.train(was_training)
    works = bool(torch.isfinite(half).all()) and torch.allclose(full, half.float(), rtol=0.1, atol=1.0)
    if not works:
        warn("this GPU's half precision gives wrong numbers, so training uses full precision and is slower")
    return works


def _first(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, (tuple, list)) else output
