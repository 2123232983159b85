"""From a folder-per-class dataset to a classifier's bundle: frozen stage, fine-tuning, export, measurement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import DataError, UsageError
from ..core.extras import need_extra
from ..core.lock import sole_use
from ..core.manifest import DatasetRef, RunManifest
from ..core.progress import say
from ..core.workspace import Workspace
from ..datasets.augment import check_spec
from ..datasets.check.gate import refuse_problems
from ..datasets.fingerprint import fingerprint
from ..datasets.model import Dataset
from ..datasets.of_run import dataset_of_run
from ..weights.architecture import base_layers, build_classifier, import_keras
from ..weights.shelf import free_bundle_name
from .config import FinetuneConfig
from .data import training_items
from .features.compute import views_for
from .job import ClassifierRun, Job, forget, has_learned
from .sizing import choose_input
from .stage_data import Pictures, warn_of_small_classes
from .start import build_model
from .state import StateFolder

COMMAND = "finetune"

__all__ = ["COMMAND", "ClassifierRun", "finetune", "resume_finetune"]


def finetune(dataset: Dataset, workspace: Workspace, config: FinetuneConfig) -> ClassifierRun:
    """Train a classifier in two stages and write its bundle into `workspace.weights`.

    The run's folder gets `run.json`, `history.json` and `.csv`, `evaluation.json`, `report.html` and `best.weights.h5`.
    After every epoch it holds in `state/` what `resume_finetune` goes on from.

    Example:
        place = Workspace.find()
        dataset = open_dataset("flowers", place)
        done = finetune(dataset, place, FinetuneConfig(backbone="vgg16", epochs_tune=5))
        print(done.metrics["accuracy"], done.bundle.folder, done.report)

    Args:
        dataset: One folder per class; its files are only read.
        workspace: Where the run and the bundle go.
        config: What the person chose.

    Raises:
        MissingExtraError: the classify part is not installed.
        UsageError: an option makes no sense, such as a layer that is not there, or an augmentation that cannot be done.
        DataError: the dataset has errors or cannot train a classifier, or the weights file does not fit.
        NotFoundError: the weights file is not there.
        LensmithError: the ImageNet weights cannot be fetched, or the loss is no longer a number.
        KeyboardInterrupt: the person stopped it; the run can go on with `resume_finetune`.
    """
    need_extra("classify", "Fine-tuning a classifier")
    config = config.resolved()
    check_spec(config.augmentation)
    name = free_bundle_name(config.name, f"{dataset.name}-{config.backbone}", workspace)
    train, valid, valid_name = training_items(dataset, config.seed)
    refuse_problems(dataset, force=config.force)
    choice = choose_input(config.backbone, config.imgsz, train)
    for remark in choice.remarks:
        say(remark)
    warn_of_small_classes(dataset.names, train, valid)
    with _keras(config) as device:
        model, layer = build_model(config, choice.preprocessing, len(dataset.names))
        # Views too are settled here: cross-validation has other numbers of pictures, but measures the same recipe.
        views = views_for(len(train), config.augmentation, config.views) if config.cache else config.views
        config = replace(config, name=name, imgsz=choice.preprocessing.width, unfreeze=layer, views=views)
        pictures = Pictures(dataset, config, choice.preprocessing, train, valid, valid_name)
        _ = pictures.train  # what is wrong with them is said before there is a run
        if _reads_pictures_first(model, config):
            pictures.read()
        reference = DatasetRef(name=dataset.name, fingerprint=fingerprint(dataset), path=str(dataset.root))
        manifest = RunManifest(
            command=COMMAND, options=config.as_options(), seed=config.seed, device=device, dataset=reference
        )
        run = workspace.new_run(COMMAND, name)
        with sole_use(run):
            return Job(run, manifest, pictures, workspace).carry_out(model)


def resume_finetune(run: Path, workspace: Workspace, *, dataset: str | Path | None = None) -> ClassifierRun:
    """Go on with a training that was interrupted, in the stage and after the epoch that it had finished.

    Args:
        run: The run's folder.
        workspace: Where its dataset is looked for and the bundle goes.
        dataset: The dataset's name or folder now; None where it is where it was, or in the workspace under its name.

    Raises:
        UsageError: the run is finished, is no training of a classifier, or another process is at work on it.
        NotFoundError: its dataset is gone.
        DataError: its record or its state is damaged, or its dataset was changed.
        LensmithError: as for `finetune`.
        KeyboardInterrupt: the person stopped it again.
    """
    need_extra("classify", "Fine-tuning a classifier")
    RunManifest.load(run)  # a folder that is no run gets no lock
    with sole_use(run):  # before anything is read that another process might be changing
        manifest = RunManifest.load(run)
        found = _dataset_of(run, manifest, workspace, dataset)
        config = FinetuneConfig.from_options(manifest.options, run)
        train, valid, valid_name = training_items(found, config.seed)
        choice = choose_input(config.backbone, config.imgsz, train)
        pictures = Pictures(found, config, choice.preprocessing, train, valid, valid_name)
        with _keras(config) as device:
            manifest.device = device
            model = _rebuilt(run, pictures)
            return Job(run, manifest, pictures, workspace).carry_out(model)


def _reads_pictures_first(model: Any, config: FinetuneConfig) -> bool:
    """Whether the first stage learns from pictures; where it learns from features, these find out what is wrong."""
    return not config.cache or (not config.epochs_frozen and config.unfreeze == base_layers(model)[0].name)


def _dataset_of(run: Path, manifest: RunManifest, workspace: Workspace, moved_to: str | Path | None) -> Dataset:
    """The dataset of a run that can go on, as it was."""
    if manifest.command != COMMAND:
        raise UsageError(f"This is a run of `cv {manifest.command}`, not a training of a classifier.", where=run)
    if manifest.status == "done":
        forget(run)  # what a kill just after the end left behind
        raise UsageError(
            "This run is finished: there is nothing to resume.",
            where=run,
            next_step=f"its model is '{manifest.result.get('bundle')}'; cv finetune starts another training",
        )
    return dataset_of_run(run, manifest, workspace, moved_to)


def _rebuilt(run: Path, pictures: Pictures) -> Any:
    """The model of an interrupted run; the file that its weights came from is not needed any more once it had begun."""
    classes, size, config = len(pictures.dataset.names), pictures.preprocessing, pictures.config
    state = StateFolder(run)
    if not state.start.is_file():
        if has_learned(run):
            raise DataError(
                "The weights that this run began with are gone, so it cannot go on.",
                where=state.start,
                next_step=f"start the training anew: cv finetune {pictures.dataset.name}",
            )
        return build_model(config, size, classes)[0]
    return build_classifier(config.record(), size.width, size.height, classes, learn_statistics=config.from_scratch)


@contextmanager
def _keras(config: FinetuneConfig) -> Iterator[str]:
    """Keras on the device that was asked for, with the precision that suits it; yields what run.json calls it."""
    keras, scope = import_keras(config.device)
    before = keras.mixed_precision.dtype_policy()
    with keras.device(scope):
        keras.utils.set_random_seed(config.seed)
        keras.mixed_precision.set_dtype_policy(_precision(config, scope))
        try:
            yield f"{scope} ({keras.backend.backend()})"
        finally:
            keras.mixed_precision.set_dtype_policy(before)


def _precision(config: FinetuneConfig, scope: str) -> str:
    """16 bits on a GPU, which computes with them several times faster; a CPU gains nothing in training."""
    if config.precise or not scope.startswith("gpu"):
        return "float32"
    import torch

    with torch.cuda.device(scope.replace("gpu", "cuda")):  # where there are several, they differ
        return "mixed_bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "mixed_float16"
