"""From a folder-per-class dataset to a classifier's bundle: frozen stage, fine-tuning, export, measurement."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.errors import DataError, LensmithError
from ..core.extras import need_extra
from ..core.files import write_atomic
from ..core.manifest import DatasetRef, RunManifest
from ..core.progress import say
from ..core.workspace import Workspace
from ..datasets.augment import check_spec
from ..datasets.augment_spec import AugmentSpec, read_spec
from ..datasets.check.leaks import warn_of_leaks
from ..datasets.fingerprint import fingerprint
from ..datasets.model import Dataset
from ..weights.architecture import import_keras
from ..weights.backbones import find_backbone
from ..weights.bundle import Bundle, BundleRecord, ClassifierRecord, Preprocessing, free_bundle_name, target_of_run
from .bundling import finish_bundle, measure, stage_bundle
from .config import FinetuneConfig
from .data import Samples, as_batches, need_every_class, training_items
from .stages import CHECKPOINT_NAME, Stage, Training
from .start import build_model


@dataclass(frozen=True)
class ClassifierRun:
    """What a fine-tuning ended with.

    Attributes:
        run: Its folder.
        bundle: The finished model.
        metrics: The figures that stand in the bundle.
        leaked: How many of the pictures that it was measured on show what pictures of an earlier split show.
    """

    run: Path
    bundle: Bundle
    metrics: dict[str, float]
    leaked: int = 0


def finetune(dataset: Dataset, workspace: Workspace, config: FinetuneConfig) -> ClassifierRun:
    """Train a classifier in two stages and write its bundle into `workspace.weights`.

    The run's folder gets `run.json`, `history.json` and `.csv`, `scores.json`, and `best.weights.h5`, which is whole at
    every moment.

    Raises:
        UsageError: an option makes no sense, such as a layer that is not there, or an augmentation that cannot be done.
        DataError: the dataset cannot train a classifier, or the weights file does not fit.
        NotFoundError: the weights file is not there.
        LensmithError: the ImageNet weights cannot be fetched, or the loss is no longer a number.
    """
    need_extra("classify", "Fine-tuning a classifier")
    config = config.resolved()
    augment = read_spec(config.augment)
    check_spec(augment)
    name = free_bundle_name(config.name, f"{dataset.name}-{config.backbone}", workspace)
    train_items, valid_items, valid_name = training_items(dataset, config.seed)
    size = config.imgsz or find_backbone(config.backbone).default_size
    preprocessing = Preprocessing(width=size, height=size, resize="stretch", interpolation="area")
    keras, scope = import_keras(config.device)
    with keras.device(scope):
        keras.utils.set_random_seed(config.seed)
        model, layer = build_model(config, preprocessing, len(dataset.names))
        train = Samples(train_items, preprocessing, augment, config.seed, what="training pictures")
        need_every_class(train, dataset.names, dataset.root)
        valid = Samples(valid_items, preprocessing, what="validation pictures")
        if not len(valid):
            raise DataError("No validation picture can be read.", where=dataset.root, next_step="add some pictures")
        job = _Job(dataset, config, augment, preprocessing, valid_name, workspace, name, layer)
        with job.recorded(f"{scope} ({keras.backend.backend()})"):
            return job.carry_out(model, train, valid)


class _Job:
    """One fine-tuning with its run folder."""

    def __init__(
        self,
        dataset: Dataset,
        config: FinetuneConfig,
        augment: AugmentSpec,
        preprocessing: Preprocessing,
        valid_name: str,
        workspace: Workspace,
        name: str,
        layer: str,
    ) -> None:
        self.dataset = dataset
        self.config = config
        self.augment = augment
        self.preprocessing = preprocessing
        self.valid_name = valid_name
        self.workspace = workspace
        self.name = name
        self.run = workspace.new_run("finetune", name)
        self.layer = layer
        self.timings: dict[str, float] = {}
        self.result: dict[str, Any] = {}

    @contextmanager
    def recorded(self, device: str) -> Iterator[None]:
        """Keep `run.json` true, however the block ends."""
        options = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self.config).items()}
        options |= {"imgsz": self.preprocessing.width, "name": self.name, "unfreeze": self.layer}
        options["augment"] = self.augment.as_record()
        manifest = RunManifest(
            command="finetune", options=options, seed=self.config.seed, device=device, timings=self.timings,
            result=self.result,
        )  # fmt: skip
        manifest.save(self.run)
        manifest.timings, manifest.result = self.timings, self.result
        try:
            with self.timed("fingerprint"):
                self.reference = DatasetRef(
                    name=self.dataset.name, fingerprint=fingerprint(self.dataset), path=str(self.dataset.root)
                )
            manifest.dataset = self.reference
            manifest.save(self.run)
            yield
        except KeyboardInterrupt:
            manifest.end(self.run, "interrupted")
            if (self.run / CHECKPOINT_NAME).exists():
                say(f"interrupted; the best weights so far are kept: {self.run / CHECKPOINT_NAME}")
            raise
        except BaseException as error:
            self.result["error"] = str(error)
            manifest.end(self.run, "failed")
            raise
        manifest.end(self.run, "done")

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long the block takes."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.timings[what] = round(time.monotonic() - started, 2)

    def carry_out(self, model: Any, train: Samples, valid: Samples) -> ClassifierRun:
        """Train, export, measure, write the bundle."""
        config = self.config
        with self.timed("check"):
            self.result["leaked"] = warn_of_leaks(self.dataset)
        training = Training(
            model,
            as_batches(train, config.batch, shuffle=True),
            as_batches(valid, config.batch, shuffle=False),
            self.run,
            config.patience,
        )
        for stage in (
            Stage("frozen", config.epochs_frozen or 0, float(config.lr_frozen)),
            Stage("tuned", config.epochs_tune or 0, float(config.lr_tune or 1e-5), self.layer),
        ):
            if stage.epochs:
                what = "all of the backbone frozen" if stage.unfreeze_from is None else f"unfrozen from {self.layer}"
                say(f"{stage.name} stage: {what}, learning rate {stage.learning_rate:g}, {len(train)} pictures")
                with self.timed(stage.name):
                    training.run_stage(stage)
        return self._finish(training, valid)

    def _finish(self, training: Training, valid: Samples) -> ClassifierRun:
        record = self._record(training)
        with self.timed("export"):
            staged = stage_bundle(self.run / "bundle", record, training.checkpoint, valid)
        splits = {self.valid_name: valid.items, "test": list(self.dataset.items("test"))}
        with self.timed("measure"):
            scores = measure(staged, splits, self.config.device)
        records = [one.scores.as_record() for one in scores]
        write_atomic(self.run / "scores.json", json.dumps(records, indent=1, ensure_ascii=False) + "\n")
        target = target_of_run(self.workspace, self.name, self.run.name)
        bundle = finish_bundle(target, staged, scores)
        shutil.rmtree(staged.folder, ignore_errors=True)
        self.result |= {"bundle": bundle.name, "split": bundle.record.metrics_split, **bundle.record.metrics}
        leaked = self.result["leaked"].get(bundle.record.metrics_split, 0)
        return ClassifierRun(self.run, bundle, bundle.record.metrics, leaked)

    def _record(self, training: Training) -> BundleRecord:
        best = training.best
        if best is None:
            raise LensmithError("No epoch was finished, so there is no model.", where=self.run)
        if self.config.epochs_frozen and self.config.epochs_tune and best.stage == "frozen":
            say(
                f"Fine-tuning did not do better than the frozen stage ({best.val_accuracy:.3f}), "
                "so the frozen stage's weights are kept."
            )
        classifier = ClassifierRecord(
            backbone=self.config.backbone, units=self.config.units, dropout=self.config.dropout,
            pooling=self.config.pooling, activation=self.config.activation, stage=best.stage,
            unfrozen_from=self.layer if best.stage == "tuned" else None,
        )  # fmt: skip
        self.result["stage"] = best.stage
        return BundleRecord(
            name=self.name, task="classify", names=self.dataset.names, preprocessing=self.preprocessing,
            classifier=classifier, confidence=0.0, dataset=self.reference.model_copy(update={"path": None}),
            run=self.run.name,
        )  # fmt: skip
