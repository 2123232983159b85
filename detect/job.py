"""One training of a detector in its run folder, from wherever it is to the finished bundle."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.device import told_when_memory_is_full
from ..core.errors import DataError, LensmithError, UsageError
from ..core.files import write_atomic
from ..core.isolation import isolate_ultralytics
from ..core.manifest import RunManifest
from ..core.progress import say, say_resume
from ..core.workspace import Workspace
from ..datasets.augment_spec import from_record
from ..datasets.check.leaks import warn_of_leaks
from ..datasets.model import Dataset
from ..weights.bundle import Bundle
from .arguments import training_arguments
from .augmented import SPEC_NAME, spec_line
from .checkpoints import newest_checkpoint
from .finish import Trained, make_bundle, most_telling
from .view import VIEW_NAME, ViewReport, build_view, read_view

_TRAINED = "trained"  # in the manifest's result: training is over, what is missing is the bundle


@dataclass(frozen=True)
class DetectorRun:
    """A finished training.

    Attributes:
        run: The run's folder.
        bundle: The finished model.
        metrics: mAP50, mAP50-95, precision, recall on `split`; empty when that split has no boxes.
        split: "test", or "valid" when the dataset has no test pictures.
        leaked: How many pictures of `split` show what pictures of an earlier split show.
    """

    run: Path
    bundle: Bundle
    metrics: dict[str, float]
    split: str
    leaked: int = 0


def carry_on(run: Path, manifest: RunManifest, dataset: Dataset, workspace: Workspace) -> DetectorRun:
    """Do what is not done yet, and note in run.json how it ended."""
    isolate_ultralytics()
    manifest.result.pop("error", None)
    try:
        with _timed(manifest, "prepare"):
            view = _view(run, manifest, dataset)
        if not manifest.result.get(_TRAINED):
            with _timed(manifest, "train"):
                _train(run, manifest, view)
            manifest.result[_TRAINED] = True
            manifest.save(run)
        with _timed(manifest, "finish"):
            done = _finish(run, manifest, dataset, view, workspace)
    except KeyboardInterrupt:
        manifest.end(run, "interrupted")
        say_resume(run.name)
        raise
    except BaseException as error:
        manifest.result["error"] = str(error)[:1000]
        manifest.end(run, "failed")
        raise
    manifest.end(run, "done")
    shutil.rmtree(run / VIEW_NAME, ignore_errors=True)
    return done


def _view(run: Path, manifest: RunManifest, dataset: Dataset) -> ViewReport:
    folder = run / VIEW_NAME
    view = read_view(folder) if folder.exists() else build_view(dataset, folder, manifest.seed)
    manifest.result["pictures"] = view.counts
    manifest.result["skipped"] = [list(entry) for entry in view.skipped]
    manifest.result["label_problems"] = len(view.label_problems)
    if "leaked" not in manifest.result:
        manifest.result["leaked"] = warn_of_leaks(dataset)
    manifest.save(run)
    return view


def _train(run: Path, manifest: RunManifest, view: ViewReport) -> None:
    from .trainer import BEST, BEST_BEFORE, trainer_for

    weights = run / "train" / "weights"
    if (weights / BEST_BEFORE).exists() and not (weights / BEST).exists():  # killed between the two renames
        (weights / BEST_BEFORE).rename(weights / BEST)
    checkpoint = newest_checkpoint(weights)
    overrides = training_arguments(run, manifest)
    _write_augment(run, manifest)
    if checkpoint:
        if checkpoint.epoch + 1 >= int(manifest.options["epochs"]):
            return
        overrides |= {"resume": str(checkpoint.path), "model": str(checkpoint.path), "pretrained": False}
        say(f"going on after epoch {checkpoint.epoch + 1} of {manifest.options['epochs']}")
    debug = bool(os.environ.get("CV_DEBUG"))
    trainer = trainer_for(str(manifest.options["model"]))(overrides=overrides | {"verbose": debug})
    try:
        with told_when_memory_is_full("train again with a smaller --batch or --imgsz"):
            trainer.train()
    except RuntimeError as error:
        if "froze the entire model" in str(error):
            raise UsageError("--freeze leaves no layer to train.", where="--freeze",
                             next_step="freeze fewer; 10 is the backbone of most models") from None  # fmt: skip
        raise
    if not (weights / BEST).exists():
        raise LensmithError("Training ended without a checkpoint.", where=run,
                            next_step="run it again with --debug and read what Ultralytics says")  # fmt: skip
    _compare_counts(trainer, view)


def _compare_counts(trainer: Any, view: ViewReport) -> None:
    """What Ultralytics really trained on; it leaves pictures out without a word."""
    if (loader := getattr(trainer, "train_loader", None)) is None:
        return
    lost = view.counts["train"] - len(loader.dataset)
    if lost:
        raise LensmithError(f"Ultralytics left out {lost} training pictures that Lensmith had found good.")


def _write_augment(run: Path, manifest: RunManifest) -> None:
    """Put the spec that run.json holds where the trainer looks for it, also in a run that goes on."""
    if record := manifest.options.get("augment"):
        spec = from_record(record)
        write_atomic(run / SPEC_NAME, spec.as_yaml())
        say(spec_line(spec, manifest.options["settings"]))


def _finish(run: Path, manifest: RunManifest, dataset: Dataset, view: ViewReport, workspace: Workspace) -> DetectorRun:
    options = manifest.options
    if manifest.dataset is None:
        raise DataError("run.json does not say which dataset the run uses.", where=run)
    trained = Trained(
        run=run, best=run / "train" / "weights" / "best.pt", family=options["model"], imgsz=options["imgsz"], view=view,
        seed=manifest.seed, dataset=manifest.dataset, bundle_name=options["name"], device=options["device"],
    )  # fmt: skip
    bundle, evaluations = make_bundle(trained, dataset, workspace)
    shown = most_telling(evaluations).scores
    manifest.result |= {
        "bundle": bundle.name,
        "metrics": {one.split: one.scores.as_metrics() for one in evaluations},
        "per_class": {name: list(values) for name, values in shown.per_class.items()},
        "best_confidence": shown.confidence,
    }
    leaked = manifest.result.get("leaked", {}).get(shown.split, 0)
    return DetectorRun(run, bundle, shown.as_metrics(), shown.split, leaked)


@contextmanager
def _timed(manifest: RunManifest, stage: str) -> Iterator[None]:
    """Add the seconds that the block takes to the stage; a run that was resumed has the sum."""
    started = time.monotonic()
    try:
        yield
    finally:
        manifest.timings[stage] = round(manifest.timings.get(stage, 0.0) + time.monotonic() - started, 2)
