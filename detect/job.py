"""One training of a detector in its run folder, from wherever it is to the finished bundle."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.device import free_memory
from ..core.ending import told_in
from ..core.errors import DataError, LensmithError, NotFoundError
from ..core.files import write_atomic
from ..core.isolation import isolate_ultralytics
from ..core.manifest import RunManifest
from ..core.progress import say, warn
from ..core.workspace import Workspace
from ..datasets.augment_spec import from_record
from ..datasets.check.leaks import warn_of_leaks
from ..datasets.model import Dataset
from ..weights.bundle import Bundle, Tiles, open_bundle
from .arguments import training_arguments
from .augmented import SPEC_NAME, spec_line
from .checkpoints import (
    BEST,
    BEST_BEFORE,
    EXTENDED,
    LAST_BEFORE,
    Checkpoint,
    best_checkpoint,
    extended_after,
    mend_results,
    newest_checkpoint,
)
from .evaluate import evaluation_name, read_evaluation
from .finish import Trained, make_bundle, most_telling
from .history import RESULTS_PATH
from .metrics import FIGURES
from .report import write_report
from .tracking import RunTracking, tracked
from .trouble import TooLittleMemoryError
from .view import VIEW_NAME, ViewReport, build_view, read_view, view_stands

TRAINED = "trained"  # in the manifest's result: training is over, what is missing is the bundle
WEIGHTS_PATH = Path("train") / "weights"


@dataclass(frozen=True)
class DetectorRun:
    """A finished training.

    Attributes:
        run: The run's folder.
        bundle: The finished model.
        metrics: mAP50, mAP50-95, precision, recall on `split`; empty when that split has no boxes.
        split: "test", or "valid" when the dataset has no test pictures.
        leaked: How many pictures of `split` show what pictures of an earlier split show.
        report: The page that tells all of it; None where an extension changed nothing of a run of an older version.
    """

    run: Path
    bundle: Bundle
    metrics: dict[str, float]
    split: str
    leaked: int = 0
    report: Path | None = None


def carry_on(run: Path, manifest: RunManifest, dataset: Dataset, workspace: Workspace) -> DetectorRun:
    """Do what is not done yet, and note in run.json how it ended."""
    isolate_ultralytics()
    with told_in(run, manifest):
        with _timed(manifest, "prepare"):
            view = _view(run, manifest, dataset)
        with tracked(run, manifest) as tracking:
            if not manifest.result.get(TRAINED):
                with _timed(manifest, "train"):
                    learn(run, manifest, view, tracking)
                manifest.result[TRAINED] = True
                manifest.save(run)
            with _timed(manifest, "finish"):
                done = _finish(run, manifest, dataset, view, workspace)
            tracking.end(done.metrics)
    manifest.end(run, "done")
    forget(run)
    return done


def forget(run: Path) -> None:
    """Remove what only an interrupted run needs; `last.pt` and `best.pt` stay, for `extend_yolo`."""
    shutil.rmtree(run / VIEW_NAME, ignore_errors=True)
    for name in (LAST_BEFORE, BEST_BEFORE):
        (run / WEIGHTS_PATH / name).unlink(missing_ok=True)


def _view(run: Path, manifest: RunManifest, dataset: Dataset) -> ViewReport:
    # Before the view is built: its hard links change the files' state, and every picture would be read once more.
    if "leaked" not in manifest.result:
        manifest.result["leaked"] = warn_of_leaks(dataset)
    folder = run / VIEW_NAME
    if folder.exists() and not view_stands(folder, dataset):  # the run or the dataset was moved, or somebody tidied up
        shutil.rmtree(folder)
    view = read_view(folder) if folder.exists() else build_view(dataset, folder, manifest.seed, _tiles(manifest))
    manifest.result["pictures"] = view.counts
    manifest.result["skipped"] = [list(entry) for entry in view.skipped]
    manifest.result["label_problems"] = len(view.label_problems)
    manifest.save(run)
    return view


def _tiles(manifest: RunManifest) -> Tiles | None:
    """How training pictures are cut: as large as the model's input, so that nothing of them is shrunk."""
    return Tiles(size=int(manifest.options["imgsz"])) if manifest.options.get("tiles") == "on" else None


def learn(run: Path, manifest: RunManifest, view: ViewReport, tracking: RunTracking) -> None:
    """Train what a run's record says, from its newest checkpoint where there is one; its view must stand."""
    weights = run / WEIGHTS_PATH
    mend_results(run / RESULTS_PATH, newest_checkpoint(weights))
    tracking.begin()
    _write_augment(run, manifest)
    while not _learned(run, manifest, view):
        free_memory()  # what the failed step held
    if not (weights / BEST).exists():
        raise LensmithError("Training ended without a checkpoint.", where=run,
                            next_step="run it again with --debug and read what Ultralytics says")  # fmt: skip


def _learned(run: Path, manifest: RunManifest, view: ViewReport) -> bool:
    """Train to the end; False where the memory did not suffice and fewer pictures per step are to be tried."""
    from .trainer import trainer_for

    options, checkpoint = manifest.options, newest_checkpoint(run / WEIGHTS_PATH)
    overrides = training_arguments(run, manifest)
    if checkpoint:
        if over := _why_over(checkpoint, options, extended_after(manifest)):
            say(over)
            return True
        overrides |= {"resume": str(checkpoint.path), "model": str(checkpoint.path), "pretrained": False}
        say(f"going on after epoch {checkpoint.epoch} of {options['epochs']}")
    debug = bool(os.environ.get("CV_DEBUG"))
    trainer = trainer_for(str(options["model"]))(overrides=overrides | {"verbose": debug})
    if not trainer.ddp:
        trainer.add_callback("on_train_batch_end", lambda one: _note_batch(run, manifest, int(one.batch_size)))
    try:
        trainer.train()
    except TooLittleMemoryError:
        batch, least = int(trainer.batch_size), max(int(trainer.world_size), 1)  # one picture for each GPU
        if (fewer := max(batch // 2, least)) >= batch:
            raise
        warn(f"the memory does not suffice for {batch} pictures a step: going on with {fewer}")
        _note_batch(run, manifest, fewer)
        return False
    _compare_counts(trainer, view)
    return True


def _note_batch(run: Path, manifest: RunManifest, batch: int) -> None:
    """Let a resume begin with the batch that fitted: in the first epoch the library halves it by itself."""
    if batch != manifest.result.get("batch", manifest.options["batch"]):
        manifest.result["batch"] = batch
        manifest.save(run)


def _why_over(checkpoint: Checkpoint, options: Mapping[str, Any], extended: int) -> str | None:
    """Why a training that was interrupted needs no further epoch, in a sentence; None when it does."""
    epoch, patience, budget = checkpoint.epoch, options["patience"], options.get("time")
    if epoch >= options["epochs"]:
        return f"all {epoch} epochs are done"
    if epoch - max(checkpoint.best_epoch, extended) >= patience:
        return f"training had stopped after epoch {epoch}: {patience} epochs without a better one"
    if budget is not None and checkpoint.seconds >= budget:
        return f"training had stopped after epoch {epoch}: its time is used up"
    return None


def _compare_counts(trainer: Any, view: ViewReport) -> None:
    """What Ultralytics really trained on; it leaves pictures out without a word."""
    if (loader := getattr(trainer, "train_loader", None)) is None:
        return
    lost = view.counts["train"] - len(set(loader.dataset.im_files))  # a picture may come several times in an epoch
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
    best = best_checkpoint(run / WEIGHTS_PATH)
    if best is None:
        raise DataError("The best checkpoint is gone.", where=run / WEIGHTS_PATH / BEST,
                        next_step="bring it back, or start the training anew")  # fmt: skip
    if kept := _kept_bundle(run, manifest, best, workspace):
        saved = [read_evaluation(run, split) for split in ("valid", "test") if (run / evaluation_name(split)).is_file()]
        return replace(kept, report=write_report(run, kept.bundle, saved, dataset)) if saved else kept
    trained = Trained(
        run=run, best=best.path, family=options["model"], imgsz=options["imgsz"], view=view,
        seed=manifest.seed, dataset=manifest.dataset, bundle_name=options["name"], device=options["device"],
        target=options.get("target"), tiles=options.get("tiles", "off"),
    )  # fmt: skip
    bundle, evaluations, tiles = make_bundle(trained, dataset, workspace)
    before = (manifest.result.get(EXTENDED) or [{}])[-1].get("bundle")
    if before and before != bundle.name:
        say(f"the model from before the extension stays, '{before}'; which is better: "
            f"cv evaluate {manifest.dataset.name} --weights {before} --weights {bundle.name}")  # fmt: skip
    shown = most_telling(evaluations).scores
    manifest.result |= {
        "bundle": bundle.name,
        "best_epoch": best.epoch,
        "metrics": {one.split: one.scores.as_metrics() for one in evaluations},
        "per_class": {name: list(values) for name, values in shown.per_class.items()},
        "best_confidence": shown.confidence,
        "tiles": tiles,
    }
    manifest.save(run)
    report = write_report(run, bundle, evaluations, dataset)
    leaked = manifest.result.get("leaked", {}).get(shown.split, 0)
    return DetectorRun(run, bundle, shown.as_metrics(), shown.split, leaked, report)


def _kept_bundle(run: Path, manifest: RunManifest, best: Checkpoint, workspace: Workspace) -> DetectorRun | None:
    """The model from before an extension, when that brought no better epoch and the model still is there."""
    result = manifest.result
    if not (after := extended_after(manifest)) or best.epoch > after or "bundle" not in result:
        return None
    try:
        bundle = open_bundle(str(result["bundle"]), workspace)
    except (DataError, NotFoundError):
        return None
    if bundle.record.run != run.name:
        return None
    say(f"no epoch after epoch {after} was better than epoch {best.epoch}, so the model stays as it is")
    split = bundle.record.metrics_split or "valid"
    metrics = {name: bundle.record.metrics[name] for name in FIGURES if name in bundle.record.metrics}
    return DetectorRun(run, bundle, metrics, split, result.get("leaked", {}).get(split, 0))


@contextmanager
def _timed(manifest: RunManifest, stage: str) -> Iterator[None]:
    """Add the seconds that the block takes to the stage; a run that was resumed has the sum."""
    started = time.monotonic()
    try:
        yield
    finally:
        manifest.timings[stage] = round(manifest.timings.get(stage, 0.0) + time.monotonic() - started, 2)
