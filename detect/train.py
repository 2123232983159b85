"""Train a YOLO detector up to a bundle that is ready to use, and go on after an interruption."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..core.device import resolve_device, told_when_memory_is_full
from ..core.errors import DataError, LensmithError, MissingExtraError, UsageError
from ..core.extras import need_extra
from ..core.files import write_atomic
from ..core.install import pip_command
from ..core.isolation import isolate_ultralytics
from ..core.lock import sole_use
from ..core.manifest import DatasetRef, RunManifest
from ..core.progress import say, say_resume
from ..core.workspace import Workspace
from ..datasets.augment import check_spec
from ..datasets.augment_spec import AugmentSpec, from_record, read_spec
from ..datasets.check.leaks import warn_of_leaks
from ..datasets.fingerprint import fingerprint
from ..datasets.model import Dataset
from ..datasets.of_run import dataset_of_run
from ..weights.bundle import Bundle
from ..weights.shelf import free_bundle_name
from .augmented import OWN_CHANGES, SPEC_NAME, spec_line
from .checkpoints import newest_checkpoint
from .config import YoloConfig
from .finish import Trained, make_bundle, most_telling
from .settings import check_settings
from .start import choose_start
from .view import VIEW_NAME, ViewReport, build_view, read_view

COMMAND = "train-yolo"
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


def train_yolo(dataset: Dataset, workspace: Workspace, config: YoloConfig) -> DetectorRun:
    """Train a detector and make a bundle of it.

    Args:
        dataset: A detection dataset; its files are only read.
        workspace: Where the run and the bundle go.
        config: What the person chose.

    Raises:
        MissingExtraError: the detect part is not installed.
        UsageError: a choice makes no sense, or a GPU was asked for that is not there.
        DataError: the dataset or the weights cannot be used.
        LensmithError: the pretrained weights are nowhere to be found.
        KeyboardInterrupt: the person stopped it; the run can go on with `resume_yolo`.
    """
    need_extra("detect", "Training a detector")
    if dataset.task != "detect":
        raise DataError("This dataset has a class per picture and no boxes.", where=dataset.root,
                        next_step=f"train a classifier on it: cv finetune {dataset.name}")  # fmt: skip
    device = _check_device(config.device)
    if config.settings:
        isolate_ultralytics()
        check_settings(config.settings)
    augment = _read_augment(config)
    start = choose_start(config, workspace)
    name = free_bundle_name(config.name, f"{dataset.name}-{start.model}", workspace)
    run = workspace.new_run(COMMAND, dataset.name)
    manifest = RunManifest(
        command=COMMAND,
        options=config.model_dump(mode="json")
        | {"model": start.model, "name": name}
        | start.as_options()
        | {"augment": augment.as_record() if augment else None},
        seed=config.seed,
        device=device,
        dataset=DatasetRef(name=dataset.name, fingerprint=fingerprint(dataset), path=str(dataset.root)),
    )
    with sole_use(run):
        manifest.save(run)
        say(f"run: {run}")
        return _carry_on(run, manifest, dataset, workspace)


def resume_yolo(run: Path, workspace: Workspace) -> DetectorRun:
    """Go on with a training that was interrupted, from its newest whole checkpoint.

    Raises:
        UsageError: the run is finished, or is no training of a detector.
        DataError: its record or its dataset is damaged or was changed.
    """
    need_extra("detect", "Training a detector")
    manifest = RunManifest.load(run)
    if manifest.command != COMMAND:
        raise UsageError(f"This is a run of `cv {manifest.command}`, not a training of a detector.", where=run)
    if manifest.status == "done":
        raise UsageError(
            "This run is finished: there is nothing to resume.",
            where=run,
            next_step=f"its model is '{manifest.result.get('bundle')}'; to train on, start from it: cv train-yolo "
            f"{manifest.dataset.name if manifest.dataset else 'DATASET'} --weights "
            f"{workspace.weights / str(manifest.result.get('bundle'))}/model.pt",
        )
    dataset = dataset_of_run(run, manifest, workspace)
    _check_device(str(manifest.options.get("device", "auto")))
    with sole_use(run):
        manifest.status, manifest.ended = "running", None
        manifest.save(run)
        return _carry_on(run, manifest, dataset, workspace)


def _carry_on(run: Path, manifest: RunManifest, dataset: Dataset, workspace: Workspace) -> DetectorRun:
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
    from .trainer import BEST, BEST_BEFORE, SafeTrainer

    weights = run / "train" / "weights"
    if (weights / BEST_BEFORE).exists() and not (weights / BEST).exists():  # killed between the two renames
        (weights / BEST_BEFORE).rename(weights / BEST)
    checkpoint = newest_checkpoint(weights)
    overrides = _overrides(run, manifest)
    _write_augment(run, manifest)
    if checkpoint:
        if checkpoint.epoch + 1 >= int(manifest.options["epochs"]):
            return
        overrides |= {"resume": str(checkpoint.path), "model": str(checkpoint.path), "pretrained": False}
        say(f"going on after epoch {checkpoint.epoch + 1} of {manifest.options['epochs']}")
    debug = bool(os.environ.get("CV_DEBUG"))
    trainer = SafeTrainer(overrides=overrides | {"verbose": debug})
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


def _overrides(run: Path, manifest: RunManifest) -> dict[str, Any]:
    """Ultralytics' own arguments."""
    options = manifest.options
    device = resolve_device(str(options["device"]))
    return {
        "task": "detect", "mode": "train", "model": f"{options['model']}.yaml",
        "pretrained": options["start_from"] or False,
        "data": str(run / VIEW_NAME / "data.yaml"), "project": str(run), "name": "train", "exist_ok": True,
        "epochs": options["epochs"], "imgsz": options["imgsz"], "batch": options["batch"],
        "freeze": options["freeze"] or None, "patience": options["patience"], "workers": options["workers"],
        "seed": options["seed"], "device": device if isinstance(device, str) else ",".join(map(str, device)),
        "plots": False, "cache": False,
    } | (dict(OWN_CHANGES) if options.get("augment") else {}) | options["settings"]  # fmt: skip


def _read_augment(config: YoloConfig) -> AugmentSpec | None:
    if config.augment is None:
        return None
    spec = read_spec(config.augment)
    check_spec(spec)
    return spec


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
    bundle, scores = make_bundle(trained, dataset, workspace)
    shown = most_telling(scores)
    manifest.result |= {
        "bundle": bundle.name,
        "metrics": {split: score.as_metrics() for split, score in scores.items()},
        "per_class": {name: list(values) for name, values in shown.per_class.items()},
        "best_confidence": shown.confidence,
    }
    leaked = manifest.result.get("leaked", {}).get(shown.split, 0)
    return DetectorRun(run, bundle, shown.as_metrics(), shown.split, leaked)


def _check_device(spec: str) -> str:
    device = resolve_device(spec)
    if isinstance(device, str):
        return device
    if len(device) > 1 and find_spec("cloudpickle") is None:
        raise MissingExtraError("Training on several GPUs needs the package cloudpickle.",
                                next_step=f"{pip_command('cloudpickle')}, or give one GPU: --device 0")  # fmt: skip
    return ",".join(map(str, device))


@contextmanager
def _timed(manifest: RunManifest, stage: str) -> Iterator[None]:
    """Add the seconds that the block takes to the stage; a run that was resumed has the sum."""
    started = time.monotonic()
    try:
        yield
    finally:
        manifest.timings[stage] = round(manifest.timings.get(stage, 0.0) + time.monotonic() - started, 2)
