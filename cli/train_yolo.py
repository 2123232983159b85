"""`cv train-yolo`: a detector from a person's own labelled pictures."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    AUGMENT_HELP,
    BatchOption,
    DatasetArgument,
    DeviceOption,
    EpochsOption,
    JsonOption,
    SeedOption,
    WorkspaceOption,
    print_json,
)

if TYPE_CHECKING:
    from ..detect.train import DetectorRun


def train_yolo(
    dataset: DatasetArgument,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="The detector: yolo26n, yolo11s, yolov8m, ... Default: yolo26n, or what --weights is."
        ),
    ] = None,
    epochs: EpochsOption = 100,
    imgsz: Annotated[
        int, typer.Option("--imgsz", min=64, help="Side of the square that pictures are fitted into, in pixels.")
    ] = 640,
    batch: BatchOption = 16,
    device: DeviceOption = "auto",
    freeze: Annotated[
        int, typer.Option("--freeze", min=0, help="Keep the first N layers as they are; 10 keeps the backbone.")
    ] = 0,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="A .pt file to start from. Default: the official pretrained weights."),
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Start from random weights; needs far more pictures and epochs.")
    ] = False,
    patience: Annotated[
        int, typer.Option("--patience", min=1, help="Stop after this many epochs without a better one.")
    ] = 100,
    name: Annotated[
        str | None, typer.Option("--name", help="What the finished model is called. Default: DATASET-MODEL.")
    ] = None,
    augment: Annotated[
        str | None, typer.Option("--augment", help=f"{AUGMENT_HELP} Default: Ultralytics' own changes.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A further argument of Ultralytics, KEY=VALUE; may be given again. fliplr=0, say."),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Train a YOLO detector on your pictures; ends in a model ready to use.

    Your pictures and labels are only read. If it is interrupted, `cv resume` goes on from the last epoch.

    Example: cv train-yolo chess --epochs 50 --imgsz 640
    """
    from pydantic import ValidationError

    from ..core.errors import UsageError
    from ..core.workspace import Workspace
    from ..datasets.read import open_dataset
    from ..detect.config import YoloConfig
    from ..detect.settings import parse_settings
    from ..detect.train import train_yolo as train

    place = Workspace.find(workspace)
    try:
        config = YoloConfig(
            model=model, epochs=epochs, imgsz=imgsz, batch=batch, device=device, freeze=freeze, weights=weights,
            from_scratch=from_scratch, patience=patience, name=name, seed=seed, augment=augment,
            settings=parse_settings(settings or []),
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{first['msg']}, not {first['input']}.", where=f"--{first['loc'][0]}") from None
    tell_detector(train(open_dataset(dataset, place), place, config), as_json)


def tell_detector(done: DetectorRun, as_json: bool) -> None:
    """Say how good the new model is and what to do with it."""
    from ..core.progress import say, warn
    from ..datasets.check.leaks import leak_sentence

    if as_json:
        print_json({"run": str(done.run), "bundle": str(done.bundle.folder), "name": done.bundle.name,
                    "split": done.split, "leaked": done.leaked, "metrics": done.metrics})  # fmt: skip
        return
    say(f"\nfinished: {done.bundle.folder}")
    if done.metrics:
        say(f"measured on the {done.split} pictures:")
        for key, value in done.metrics.items():
            say(f"  {key:10} {value:.3f}")
        if done.leaked:
            warn(leak_sentence(done.split, done.leaked))
    else:
        say(f"not measured: no picture of the {done.split} split has a box")
    name = shlex.quote(done.bundle.name)
    say("next:")
    say(f"  cv predict PICTURES --weights {name} --save")
    say(f"  cv live --weights {name}")
