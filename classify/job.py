"""One fine-tuning in its run folder, from wherever it is to the finished bundle."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.device import told_when_memory_is_full
from ..core.ending import told_in
from ..core.errors import LensmithError
from ..core.files import write_atomic
from ..core.manifest import DatasetRef, RunManifest
from ..core.progress import say
from ..core.words import many
from ..core.workspace import Workspace
from ..datasets.check.leaks import warn_of_leaks
from ..datasets.check.run import check_dataset
from ..datasets.crops import margin_of
from ..datasets.model import Dataset
from ..predict.proof import prove_bundle
from ..report.target import parse_target
from ..report.tracking import open_trackers
from ..weights.bundle import Bundle, BundleRecord, read_bundle
from ..weights.shelf import write_for_run
from .bundling import about_evaluations, finish_bundle, measure, stage_bundle
from .config import FinetuneConfig
from .evaluate import Evaluation
from .folds import FoldsResult, cross_validate, forget_folds, has_folds
from .history import HISTORY_NAME, curves_of
from .proof import prove
from .report import write_report
from .saved import save_evaluation
from .stage_data import Pictures, about_data, open_stage
from .stages import CHECKPOINT_NAME, Stage, StageData, Training
from .state import StateFolder

EVALUATION_NAME = "evaluation.json"
_STAGED = "bundle"


@dataclass(frozen=True)
class ClassifierRun:
    """What a fine-tuning ended with; `Classifier.load(done.bundle.folder)` is the model, ready to be asked.

    Attributes:
        run: Its folder.
        bundle: The finished model.
        metrics: The figures that stand in the bundle.
        report: The page that tells all of it.
        leaked: How many of the pictures that it was measured on show what pictures of an earlier split show.
        folds: What cross-validation gave, see `FoldsResult.as_record`; None without it.
    """

    run: Path
    bundle: Bundle
    metrics: dict[str, float]
    report: Path
    leaked: int = 0
    folds: dict[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """A fine-tuning, new or interrupted.

    Attributes:
        run: Its folder.
        manifest: Its record, with the dataset in it.
        pictures: What it learns from, with the resolved options: `imgsz`, `name` and the first layer to unfreeze are in
            them.
        workspace: Where the bundle goes.
    """

    run: Path
    manifest: RunManifest
    pictures: Pictures
    workspace: Workspace

    @property
    def config(self) -> FinetuneConfig:
        """The resolved options."""
        return self.pictures.config

    @property
    def dataset(self) -> Dataset:
        """What it learns from."""
        return self.pictures.dataset

    def carry_out(self, model: Any) -> ClassifierRun:
        """Do what is not done yet, and note in run.json how it ended; the caller has the run to itself.

        Args:
            model: As the run started; where a state lies in the run's folder, the numbers come from there.
        """
        manifest = self.manifest
        manifest.status, manifest.ended = "running", None
        manifest.result.pop("error", None)
        manifest.save(self.run)
        with told_in(self.run, manifest):
            done = self._work(model)
        manifest.end(self.run, "done")
        forget(self.run)  # not before: killed in between, a run would have to begin again
        return done

    def _work(self, model: Any) -> ClassifierRun:
        result = self.manifest.result
        if "leaked" not in result:
            with self._timed("check"):
                result["leaked"] = warn_of_leaks(self.dataset)
        training = Training(model, self.run, self.config)
        if self.config.folds and "folds" not in result:
            with self._timed("folds"):
                result["folds"] = self._cross_validate(training).as_record()
            self.manifest.save(self.run)
        forget_folds(self.run)
        with open_trackers(
            self.run, tensorboard=self.config.tensorboard, mlflow=self.config.mlflow, params=asdict(self.config),
            history=[curves_of(asdict(row)) for row in training.history],
        ) as trackers:  # fmt: skip
            training.told = lambda row: trackers.epoch(curves_of(asdict(row)))
            self._train(training)
            _use_full_precision()  # what ships is built with 32 bits, whatever it was trained with
            bundle, evaluations = self._finish(training)
            metrics, split = bundle.record.metrics, bundle.record.metrics_split
            result |= {"bundle": bundle.name, "split": split, **metrics}
            self.manifest.save(self.run)
            with self._timed("report"):
                report = write_report(self.run, bundle, evaluations, self.dataset)
            trackers.end(metrics)
        return ClassifierRun(self.run, bundle, metrics, report, result["leaked"].get(split, 0), result.get("folds"))

    @property
    def _stages(self) -> tuple[Stage, ...]:
        config = self.config
        return (
            Stage("frozen", config.epochs_frozen or 0, config.lr_frozen),
            Stage("tuned", config.epochs_tune or 0, config.lr_tune or 1e-5, config.unfreeze),
        )

    def _cross_validate(self, training: Training) -> FoldsResult:
        def opening(model: Any, stage: Stage, pictures: Pictures) -> AbstractContextManager[StageData]:
            return open_stage(model, stage, pictures, self._reference.fingerprint)

        found = cross_validate(training.model, self.pictures, self.run, self._stages, opening)
        say(str(found))
        return found

    def _train(self, training: Training) -> None:
        result = self.manifest.result
        for stage in self._stages:
            if training.is_over(stage):
                continue
            opening = open_stage(training.model, stage, self.pictures, self._reference.fingerprint)
            with ExitStack() as stack:
                with self._timed(f"prepare {stage.name}"), told_when_memory_is_full("use a smaller --imgsz"):
                    data = stack.enter_context(opening)
                result.setdefault("features", {})[stage.name] = about_data(data.train)
                self.manifest.save(self.run)
                say(_headline(stage, data, training))
                with self._timed(stage.name):
                    training.run_stage(stage, data)
                result["features"][stage.name] = about_data(data.train)  # with what was lost on the way
        self._note(training)

    def _finish(self, training: Training) -> tuple[Bundle, list[Evaluation]]:
        with self._timed("export"):
            record = self._record(training)
            staged = stage_bundle(self.run / _STAGED, record, training.checkpoint, self.pictures.golden())
        with self._timed("proof"):
            self.manifest.result["proof"] = prove(staged.folder, self.config.device)
            prove_bundle(staged.folder)
        with self._timed("measure"):
            evaluations = self._measure(staged)
        bundle = read_bundle(
            write_for_run(
                self.workspace, self._name, self.run.name, lambda folder: finish_bundle(folder, staged, evaluations)
            )
        )
        shutil.rmtree(staged.folder, ignore_errors=True)
        return bundle, evaluations

    def _note(self, training: Training) -> None:
        """Keep the best weights, and write into run.json what there is to say of the training."""
        best, at = training.best, training.progress
        if best is None:
            raise LensmithError("No epoch was finished, so there is no model.", where=self.run)
        training.keep_best()
        both = {epoch.stage for epoch in training.history} == {"frozen", "tuned"}
        if both and best.stage == "frozen":
            say(
                f"Fine-tuning did not do better than the frozen stage ({best.score[0]:.3f}), "
                "so the frozen stage's weights are kept."
            )
        self.manifest.result |= {
            "stage": best.stage, "epoch": best.epoch, "batch": at.batch, "searches": at.searches, "stopped": at.stopped,
        }  # fmt: skip
        self.manifest.save(self.run)

    def _measure(self, staged: Bundle) -> list[Evaluation]:
        splits = {self.pictures.valid_name: self.pictures.valid_items, "test": list(self.dataset.items("test"))}
        target = parse_target(self.config.target) if self.config.target else None
        evaluations = measure(staged, splits, self.config.device, target)
        folds = self.manifest.result.get("folds")
        leaked = frozenset(check_dataset(self.dataset).leaked)  # known since the start
        content = about_evaluations(evaluations, leaked) | ({"folds": folds} if folds else {})
        write_atomic(self.run / EVALUATION_NAME, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        for one in evaluations:
            save_evaluation(one, self.run)
        return evaluations

    def _record(self, training: Training) -> BundleRecord:
        best = training.best
        tuned = best is not None and best.stage == "tuned"
        classifier = self.config.record("tuned" if tuned else "frozen", self.config.unfreeze if tuned else None)
        return BundleRecord(
            name=self._name, task="classify", names=self.dataset.names, preprocessing=self.pictures.preprocessing,
            classifier=classifier.model_copy(update={"crop_margin": margin_of(self.dataset.root)}),
            confidence=0.0, dataset=self._reference.model_copy(update={"path": None}), run=self.run.name,
        )  # fmt: skip

    @property
    def _name(self) -> str:
        return self.config.name or self.dataset.name

    @property
    def _reference(self) -> DatasetRef:
        if self.manifest.dataset is None:
            raise LensmithError("run.json does not say which dataset the run uses.", where=self.run)
        return self.manifest.dataset

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        """Add the seconds that the block takes; a run that was resumed has the sum."""
        started, timings = time.monotonic(), self.manifest.timings
        try:
            yield
        finally:
            timings[what] = round(timings.get(what, 0.0) + time.monotonic() - started, 2)


def has_learned(run: Path) -> bool:
    """Whether anything in a run's folder comes from weights that the run began with."""
    return (
        StateFolder(run).has_epoch
        or has_folds(run)
        or any((run / name).is_file() for name in (HISTORY_NAME, CHECKPOINT_NAME))
    )


def forget(run: Path) -> None:
    """Remove what only an interrupted run needs."""
    StateFolder(run).remove()
    forget_folds(run)
    shutil.rmtree(run / _STAGED, ignore_errors=True)


def _use_full_precision() -> None:
    import keras

    keras.mixed_precision.set_dtype_policy("float32")


def _headline(stage: Stage, data: StageData, training: Training) -> str:
    what = "all of the backbone frozen" if stage.unfreeze_from is None else f"unfrozen from {stage.unfreeze_from}"
    rate = stage.learning_rate if isinstance(stage.learning_rate, str) else f"{stage.learning_rate:g}"
    found = about_data(data.train)
    source = f"features of {many(found['views'], 'view')} of " if "views" in found else ""
    text = f"{stage.name} stage: {what}, learning rate {rate}, {source}{many(len(data.train), 'picture')}"
    at = training.progress
    return f"{text}; going on after epoch {at.epoch}" if at.stage == stage.name and at.epoch else text
