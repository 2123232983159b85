"""`cv finetune`: a folder-per-class dataset becomes a classifier."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .options import (
    AUGMENT_HELP,
    BatchOption,
    DatasetArgument,
    DeviceOption,
    JsonOption,
    SeedOption,
    WorkspaceOption,
    print_json,
)

if TYPE_CHECKING:
    from ..classify.finetune import ClassifierRun

_MODEL, _LEARNING, _DATA = "Model", "Learning", "Data"
_BACKBONES = "vgg16, vgg19, xception, resnet50, mobilenetv3, efficientnetv2b0, convnext_tiny, or cnn (small, untrained)"


def _option(help_text: str, panel: str, **limits: Any) -> Any:
    return typer.Option(help=help_text, rich_help_panel=panel, **limits)


def finetune_classifier(
    dataset: DatasetArgument,
    backbone: Annotated[str, _option(f"The network to start from: {_BACKBONES}.", _MODEL)] = "xception",
    weights: Annotated[str, _option("What it knows already: imagenet, none, or a .h5 or .keras file.", _MODEL)] = (
        "imagenet"
    ),
    imgsz: Annotated[int | None, _option("Side of the input in pixels. Default: what suits it.", _MODEL)] = None,
    pooling: Annotated[
        Literal["average", "flatten"], _option("How the network's last map becomes one row of numbers.", _MODEL)
    ] = "average",
    units: Annotated[int, _option("Size of the new hidden layer.", _MODEL)] = 256,
    dropout: Annotated[float, _option("Share of numbers dropped at random while learning.", _MODEL)] = 0.3,
    activation: Annotated[
        Literal["leaky_relu", "relu", "gelu", "silu", "elu", "tanh"], _option("After the hidden layer.", _MODEL)
    ] = "leaky_relu",
    epochs_frozen: Annotated[
        int | None, _option("Epochs in which only the new head learns. Default: 20; 0 with --weights none.", _LEARNING)
    ] = None,
    epochs_tune: Annotated[
        int | None,
        _option("Epochs in which the upper network learns too. Default: 10; 30 with --weights none.", _LEARNING),
    ] = None,
    unfreeze: Annotated[
        str | None,
        _option("What fine-tuning changes: from a block or layer on (block5), so many blocks (2), or all.", _LEARNING),
    ] = None,
    optimizer: Annotated[Literal["adam", "adamw", "sgd"], _option("How the weights are changed.", _LEARNING)] = "adam",
    lr: Annotated[
        str | None, _option("Learning rate of both stages: auto looks for good ones, or a number.", _LEARNING)
    ] = None,
    lr_frozen: Annotated[
        str | None, _option("Learning rate of the frozen stage: a number or auto. Default: 0.001.", _LEARNING)
    ] = None,
    lr_tune: Annotated[
        str | None, _option("Learning rate of fine-tuning; keep it low. Default: 0.00001.", _LEARNING)
    ] = None,
    schedule: Annotated[
        Literal["cosine", "constant"], _option("How the rate of fine-tuning falls.", _LEARNING)
    ] = "cosine",
    warmup: Annotated[float, _option("Share of fine-tuning in which its rate rises from 0.", _LEARNING)] = 0.1,
    batch: BatchOption = 16,
    patience: Annotated[int, _option("End a stage after so many epochs without a better one.", _LEARNING)] = 5,
    label_smoothing: Annotated[
        float, _option("Share of the truth that is spread over all classes, against overconfidence.", _LEARNING)
    ] = 0.0,
    mixup: Annotated[float, _option("Learn from mixtures of two pictures; 0 is off, 0.2 is usual.", _LEARNING)] = 0.0,
    cutmix: Annotated[
        float, _option("Learn from pictures with a piece of another; 0 is off, 1 is usual.", _LEARNING)
    ] = 0.0,
    balance: Annotated[
        Literal["none", "weights", "resample"],
        _option("Against classes of unequal size: rare ones count more, or come more often.", _DATA),
    ] = "none",
    augment: Annotated[str, _option(AUGMENT_HELP, _DATA)] = "default",
    views: Annotated[
        str, _option("Augmented views of a picture to compute features of: auto, or a number.", _DATA)
    ] = "auto",
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", rich_help_panel=_DATA,
                           help="Compute what stays frozen once and keep it on disk; --no-cache is much slower."),
    ] = True,
    force: Annotated[bool, typer.Option("--force", rich_help_panel=_DATA,
                                        help="Train although the dataset has errors.")] = False,
    name: Annotated[str | None, typer.Option(help="Name of the model. Default: DATASET-BACKBONE.")] = None,
    folds: Annotated[
        int, _option("Also measure by cross-validation with 3 to 20 parts, 5 say: for small data; 0 does not.", _DATA)
    ] = 0,
    target: Annotated[
        str | None, typer.Option(help="Answer 'unknown' where this cannot be held: precision=0.95, or recall=0.9.")
    ] = None,
    precise: Annotated[bool, typer.Option("--precise", help="Compute with 32 bits throughout.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard's files.")] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Also write into runs/mlflow.db for MLflow.")] = False,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Fine-tune a classifier: first a new head on the frozen network, then its upper part too.

    Example: cv finetune flowers --backbone vgg16 --imgsz 160
    """
    from ..classify.config import FinetuneConfig
    from ..classify.finetune import finetune
    from ..core.workspace import Workspace
    from ..datasets.read import open_dataset

    place = Workspace.find(workspace)
    tune = lr_tune or lr
    config = FinetuneConfig(
        backbone=backbone, weights="imagenet" if weights == "imagenet" else "none" if weights == "none"
        else Path(weights), imgsz=imgsz, pooling=pooling, units=units, dropout=dropout, activation=activation,
        epochs_frozen=epochs_frozen, epochs_tune=epochs_tune, unfreeze=unfreeze, optimizer=optimizer,
        lr_frozen=_rate(lr_frozen or lr or "0.001", "--lr-frozen" if lr_frozen else "--lr"),
        lr_tune=_rate(tune, "--lr-tune" if lr_tune else "--lr") if tune else None, schedule=schedule,
        warmup=warmup, batch=batch,
        patience=patience, balance=balance, label_smoothing=label_smoothing, mixup=mixup, cutmix=cutmix,
        augment=augment, views=_views(views), cache=cache, precise=precise, device=device, seed=seed, name=name,
        folds=folds, target=target, tensorboard=tensorboard, mlflow=mlflow,
        force=force,
    )  # fmt: skip
    tell_classifier(finetune(open_dataset(dataset, place), place, config), as_json)


def tell_classifier(done: ClassifierRun, as_json: bool) -> None:
    """Say what a finished training is worth, or print it as JSON."""
    from ..core.progress import say

    record = done.bundle.record
    if as_json:
        print_json({
            "bundle": str(done.bundle.folder), "run": str(done.run), "report": str(done.report),
            "split": record.metrics_split, "leaked": done.leaked, **done.metrics, "folds": done.folds,
        })  # fmt: skip
        return
    metrics = done.metrics
    between = (
        f" (95% interval {metrics['accuracy_low']:.3f} to {metrics['accuracy_high']:.3f})"
        if "accuracy_low" in metrics
        else ""
    )
    say(f"accuracy {metrics['accuracy']:.3f}{between} on {record.metrics_split}; the model is {done.bundle.folder}")
    _tell_thresholds(done)
    say(f"Next: look at the report: {done.report}")
    say(f"Next: cv predict PICTURES --weights {done.bundle.name}")


def _tell_thresholds(done: ClassifierRun) -> None:
    """What the thresholds of --target do on the measured pictures, and whether the target is held there."""
    from ..core.manifest import RunManifest
    from ..core.progress import say, warn
    from ..report.target import parse_target

    asked = RunManifest.load(done.run).options.get("target")
    if not asked:
        return
    target, split = parse_target(asked), done.bundle.record.metrics_split
    answered = done.metrics.get("answered", 1.0)  # both are left out where every picture is answered, or none
    right = done.metrics.get("accuracy_answered", done.metrics["accuracy"] if answered == 1 else 0.0)
    of_those = f", {right:.0%} of those right" if answered else ""
    say(f"with its thresholds it answers {answered:.0%} of the {split} pictures{of_those}; the rest is 'unknown'")
    # Of all classes as one: where that falls short, some class does.
    reached = right if target.metric == "precision" else answered * right
    if reached < target.value:
        warn(f"{target} is not held on the {split} pictures: all classes together come to {reached:.3f}")


def _rate(text: str, option: str) -> float | Literal["auto"]:
    """A learning rate as it was typed; what is wrong with it is said of the option that it was typed for."""
    from ..classify.config import is_rate, no_rate
    from ..core.errors import UsageError

    if text == "auto":
        return "auto"
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not is_rate(rate):
        what, offered = no_rate(text)
        raise UsageError(f"{what}.", where=option, next_step=f"give {option} {offered}")
    return rate


def _views(text: str) -> int | Literal["auto"]:
    from ..core.errors import UsageError

    if text == "auto":
        return "auto"
    if text.isdecimal():
        return int(text)
    raise UsageError(
        f"'{text}' is no number of views.", where="--views", next_step="give --views a number from 1 to 64, or auto"
    )
