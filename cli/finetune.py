"""`cv finetune`: a folder-per-class dataset becomes a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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


def finetune_classifier(
    dataset: DatasetArgument,
    backbone: Annotated[str, typer.Option(help="The network to start from: xception or vgg16.")] = "xception",
    epochs_frozen: Annotated[int, typer.Option(min=0, help="Epochs in which only the new head learns.")] = 5,
    epochs_tune: Annotated[int, typer.Option(min=0, help="Epochs in which the upper backbone learns too.")] = 5,
    unfreeze: Annotated[
        str | None,
        typer.Option(help="What fine-tuning changes: from a block or layer on (block5), so many blocks (2), or all."),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="What the backbone knows already: imagenet, none, or a .h5 or .keras file.")
    ] = "imagenet",
    imgsz: Annotated[int | None, typer.Option(help="Side of the input in pixels. Default: 299 or 224.")] = None,
    batch: BatchOption = 16,
    lr_frozen: Annotated[float, typer.Option(help="Learning rate of the frozen stage.")] = 1e-3,
    lr_tune: Annotated[float | None, typer.Option(help="Learning rate of fine-tuning; keep it low.")] = None,
    augment: Annotated[str, typer.Option("--augment", help=AUGMENT_HELP)] = "default",
    patience: Annotated[int, typer.Option(min=1, help="End a stage after so many epochs without a better one.")] = 3,
    name: Annotated[str | None, typer.Option(help="Name of the bundle. Default: DATASET-BACKBONE.")] = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a classifier: first a new head on the frozen backbone, then the upper backbone.

    Example: cv finetune flowers --backbone vgg16 --imgsz 160
    """
    from ..classify.config import FinetuneConfig
    from ..classify.finetune import finetune
    from ..core.progress import say, warn
    from ..core.workspace import Workspace
    from ..datasets.check.leaks import leak_sentence
    from ..datasets.read import open_dataset

    place = Workspace.find(workspace)
    config = FinetuneConfig(
        backbone=backbone, epochs_frozen=epochs_frozen, epochs_tune=epochs_tune, unfreeze=unfreeze,
        weights="imagenet" if weights == "imagenet" else "none" if weights == "none" else Path(weights),
        imgsz=imgsz, batch=batch, lr_frozen=lr_frozen, lr_tune=lr_tune, augment=augment, patience=patience, name=name,
        device=device, seed=seed,
    )  # fmt: skip
    done = finetune(open_dataset(dataset, place), place, config)
    record = done.bundle.record
    if as_json:
        print_json({
            "bundle": str(done.bundle.folder), "run": str(done.run), "split": record.metrics_split,
            "leaked": done.leaked, **done.metrics,
        })  # fmt: skip
        return
    say(f"accuracy {done.metrics['accuracy']:.3f} on {record.metrics_split}; the model is {done.bundle.folder}")
    if done.leaked:
        warn(leak_sentence(record.metrics_split or "test", done.leaked))
    say(f"Next: cv predict PICTURES --weights {done.bundle.name}")
