"""Train a YOLO detector up to a bundle that is ready to use, and go on after an interruption."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..core.device import resolve_device
from ..core.errors import DataError, MissingExtraError, UsageError
from ..core.extras import need_extra
from ..core.install import pip_command
from ..core.isolation import isolate_ultralytics
from ..core.lock import sole_use
from ..core.manifest import DatasetRef, RunManifest
from ..core.progress import say
from ..core.workspace import Workspace
from ..datasets.augment import check_spec
from ..datasets.augment_spec import AugmentSpec, read_spec
from ..datasets.check.gate import refuse_problems
from ..datasets.fingerprint import fingerprint
from ..datasets.model import Dataset
from ..datasets.of_run import dataset_of_run
from ..weights.shelf import free_bundle_name
from .config import YoloConfig
from .job import DetectorRun, carry_on
from .settings import check_settings
from .start import choose_start

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
    refuse_problems(dataset, force=config.force)
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
        return carry_on(run, manifest, dataset, workspace)


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
        return carry_on(run, manifest, dataset, workspace)


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
