"""Train a YOLO detector up to a bundle that is ready to use, and go on after an interruption."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..core.device import resolve_device
from ..core.errors import DataError, MissingExtraError, NotFoundError, UsageError
from ..core.extras import need_extra
from ..core.files import sha256_of
from ..core.install import pip_command
from ..core.isolation import isolate_ultralytics
from ..core.lock import sole_use
from ..core.manifest import DatasetRef, RunManifest
from ..core.progress import say
from ..core.words import many
from ..core.workspace import Workspace
from ..datasets.augment import check_spec
from ..datasets.augment_spec import AugmentSpec, read_spec
from ..datasets.check.gate import refuse_problems
from ..datasets.fingerprint import fingerprint
from ..datasets.model import Dataset
from ..datasets.of_run import dataset_of_run
from ..weights.shelf import free_bundle_name
from .ahead import imported_ahead
from .checkpoints import EXTENDED, LAST, newest_checkpoint
from .config import YoloConfig
from .job import TRAINED, WEIGHTS_PATH, DetectorRun, carry_on, forget
from .settings import check_settings
from .start import check_choices, choose_start

COMMAND = "train-yolo"


def train_yolo(dataset: Dataset, workspace: Workspace, config: YoloConfig) -> DetectorRun:
    """Train a detector and make a bundle of it.

    Args:
        dataset: A detection dataset; its files are only read.
        workspace: Where the run and the bundle go.
        config: What the person chose.

    Raises:
        MissingExtraError: the detect part is not installed.
        UsageError: a choice makes no sense, or a GPU was asked for that is not there.
        DataError: the dataset has errors (see `datasets.check.gate`), or the weights cannot be used.
        LensmithError: the pretrained weights are nowhere to be found.
        KeyboardInterrupt: the person stopped it; the run can go on with `resume_yolo`.
    """
    manifest = resolved(dataset, workspace, config, COMMAND)
    run = workspace.new_run(COMMAND, dataset.name)
    with sole_use(run):
        manifest.save(run)
        say(f"run: {run}")
        return carry_on(run, manifest, dataset, workspace)


def resolved(dataset: Dataset, workspace: Workspace, config: YoloConfig, command: str) -> RunManifest:
    """The record of a new run, with every choice made and looked into; errors as in `train_yolo`."""
    need_extra("detect", "Training a detector")
    if config.mlflow:
        need_extra("mlflow", "Writing into MLflow")
    if dataset.task != "detect":
        raise DataError("This dataset has a class per picture and no boxes.", where=dataset.root,
                        next_step=f"train a classifier on it: cv finetune {dataset.name}")  # fmt: skip
    device = _check_device(config.device)
    if config.settings:
        isolate_ultralytics()
        check_settings(config.settings)
    augment = _read_augment(config)
    check_choices(config, workspace, dataset)
    if config.name:
        free_bundle_name(config.name, config.name, workspace)  # asked before the long look at the pictures
    with imported_ahead():
        refuse_problems(dataset, force=config.force)
        digest = fingerprint(dataset)
    start = choose_start(config, workspace, dataset)
    name = free_bundle_name(config.name, f"{dataset.name}-{start.model}", workspace)
    return RunManifest(
        command=command,
        options=config.model_dump(mode="json")
        | {"name": name}
        | start.as_options()
        | {"augment": augment.as_record() if augment else None},
        seed=config.seed,
        device=device,
        dataset=DatasetRef(name=dataset.name, fingerprint=digest, path=str(dataset.root)),
    )


def resume_yolo(
    run: Path, workspace: Workspace, *, dataset: str | Path | None = None, device: str | None = None
) -> DetectorRun:
    """Go on with a training that was interrupted or failed, from its newest whole checkpoint.

    The run, its workspace and its dataset may have been moved meanwhile.

    Args:
        run: The run's folder.
        workspace: Where the dataset is looked for and the bundle goes.
        dataset: The dataset's name or folder now; None where it is where it was, or in the workspace under its name.
        device: From now on, as in `core.device.parse_device`; None for that of the run.

    Raises:
        UsageError: the run is finished, is no training of a detector, or another process is at work on it.
        NotFoundError: the dataset or the weights to start from are gone.
        DataError: the run's record, all its checkpoints or its dataset are damaged or were changed.
        KeyboardInterrupt: the person stopped it again.
    """
    need_extra("detect", "Training a detector")
    RunManifest.load(run)  # a folder that is no run gets no lock
    with sole_use(run):  # before anything is read that another process might be changing
        manifest = _manifest_of(run)
        if manifest.status == "done":
            forget(run)  # what a kill just after the end left behind
            raise UsageError(
                "This run is finished: there is nothing to resume.",
                where=run,
                next_step=f"its model is '{manifest.result.get('bundle')}'; to train it for 20 more epochs: "
                f"cv resume {run.name} --extend 20",
            )
        return _go_on(run, _moved_to(device, manifest), workspace, dataset)


def extend_yolo(
    run: Path, workspace: Workspace, epochs: int, *, dataset: str | Path | None = None, device: str | None = None
) -> DetectorRun:
    """Go on with a finished training for more epochs, with its optimizer's state.

    Everything is as if the longer training had been asked for from the beginning: the learning rate, which had fallen
    to its end, goes up to where that of the longer training would be and falls again, and mosaic is on again until the
    last epochs. Early stopping counts anew; a time budget does not count any more. The model from before stays: if a
    later epoch is better, it becomes a bundle of its own, else there is no new one.

    Args:
        run: The run's folder.
        workspace: Where the dataset is looked for and the bundle goes.
        epochs: How many epochs to add to those that were done.
        dataset: As for `resume_yolo`.
        device: As for `resume_yolo`.

    Raises:
        UsageError: the run is not finished, or as for `resume_yolo`.
        DataError: `last.pt` is gone, is damaged, or is a model alone.
        LensmithError: as for `resume_yolo`.
    """
    need_extra("detect", "Training a detector")
    RunManifest.load(run)
    with sole_use(run):
        manifest = _manifest_of(run)
        if manifest.status != "done":
            raise UsageError(
                "This run is not finished, and only a finished one can be extended.",
                where=run,
                next_step=f"first go on to its end: cv resume {run.name}",
            )
        last = newest_checkpoint(run / WEIGHTS_PATH)
        if last is None:
            raise DataError(
                "The last checkpoint of this run is gone, so it cannot go on.",
                where=run / WEIGHTS_PATH / LAST,
                next_step="start a new training from its model: cv train-yolo DATASET --weights MODEL.pt",
            )
        options, result = manifest.options, manifest.result
        extensions = result.get(EXTENDED) or []
        first_name = extensions[0]["name"] if extensions else options["name"]
        so_far = {"after": last.epoch, "name": first_name, "bundle": result.get("bundle"), "epochs": options["epochs"],
                  "time": options.get("time")}  # fmt: skip
        result[EXTENDED] = [*extensions, so_far]
        result.pop(TRAINED, None)
        name = free_bundle_name(None, first_name, workspace)
        options |= {"epochs": last.epoch + epochs, "time": None, "name": name}
        say(_schedule_line(last.epoch, options))
        return _go_on(run, _moved_to(device, manifest), workspace, dataset)


def _manifest_of(run: Path) -> RunManifest:
    manifest = RunManifest.load(run)
    if manifest.command != COMMAND:
        raise UsageError(f"This is a run of `cv {manifest.command}`, not a training of a detector.", where=run)
    return manifest


def _moved_to(device: str | None, manifest: RunManifest) -> RunManifest:
    if device is not None:
        manifest.options["device"] = device
    return manifest


def _go_on(run: Path, manifest: RunManifest, workspace: Workspace, dataset: str | Path | None) -> DetectorRun:
    found = dataset_of_run(run, manifest, workspace, dataset)
    device = str(manifest.options.get("device", "auto"))
    try:
        manifest.device = _check_device(device)
    except UsageError as error:
        error.next_step = f"go on elsewhere: cv resume {run.name} --device auto; `cv doctor` shows what there is"
        raise
    if not any((run / WEIGHTS_PATH).glob("*.pt")):
        _check_same_weights(manifest.options)
    manifest.status, manifest.ended = "running", None
    manifest.save(run)
    return carry_on(run, manifest, found, workspace)


def _check_same_weights(options: Mapping[str, Any]) -> None:
    """Raises NotFoundError or DataError when the file that a run starts from is gone, or is another one by now."""
    if not (start := options.get("start_from")):
        return
    path = Path(start)
    if not path.is_file():
        raise NotFoundError("The weights that this run starts from are gone.", where=path,
                            next_step="bring the file back, or start the training anew")  # fmt: skip
    if sha256_of(path) != options.get("start_sha256"):
        raise DataError("The weights that this run starts from were changed since it began.", where=path,
                        next_step="bring the file back, or start the training anew")  # fmt: skip


def _schedule_line(after: int, options: Mapping[str, Any]) -> str:
    """What an extension does to the learning rate, by Ultralytics' own two schedules."""
    settings, total = options["settings"], options["epochs"]
    end = float(settings.get("lrf", 0.01))
    share = (1 + math.cos(math.pi * after / total)) / 2 if settings.get("cos_lr") else 1 - after / total
    return (
        f"extending from epoch {after} to {total}: the learning rate goes up again to {share * (1 - end) + end:.0%} of"
        f" its start and falls to {end:.0%}, as if {many(total, 'epoch')} had been asked for from the beginning"
    )


def _read_augment(config: YoloConfig) -> AugmentSpec | None:
    if config.augment is None:
        return None
    spec = read_spec(config.augment)
    check_spec(spec)
    return spec


def _check_device(spec: str) -> str:
    device = resolve_device(spec)
    if isinstance(device, str):
        return device
    if len(device) > 1 and find_spec("cloudpickle") is None:
        raise MissingExtraError("Training on several GPUs needs the package cloudpickle.",
                                next_step=f"{pip_command('cloudpickle')}, or give one GPU: --device 0")  # fmt: skip
    return ",".join(map(str, device))
