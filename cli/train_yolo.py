"""`cv train-yolo`: a detector from a person's own labelled pictures."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .options import (
    AUGMENT_HELP,
    DatasetArgument,
    DeviceOption,
    JsonOption,
    SeedOption,
    WorkspaceOption,
    number_or,
    print_json,
)

if TYPE_CHECKING:
    from ..detect.train import DetectorRun

_MODEL, _LEARNING, _DATA = "Model", "Learning", "Data"


def _option(help_text: str, panel: str, *names: str, **limits: Any) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=panel, **limits)


def train_yolo(
    dataset: DatasetArgument,
    model: Annotated[
        str | None,
        _option(
            "The detector: yolo26n, yolo11s, yolov8m, ... or auto; `cv models` lists them. "
            "Default: yolo26n, or what --weights is.",
            _MODEL,
        ),
    ] = None,
    size: Annotated[
        str | None, _option("Its size in place of the one in its name: n, s, m, l, x, or auto.", _MODEL)
    ] = None,
    weights: Annotated[
        Path | None, _option("A .pt file to start from. Default: the official pretrained weights.", _MODEL)
    ] = None,
    from_scratch: Annotated[
        bool, _option("Start from random weights; needs far more pictures and epochs.", _MODEL, "--from-scratch")
    ] = False,
    imgsz: Annotated[
        str, _option("Side of the square that pictures are fitted into, in pixels, or auto.", _MODEL)
    ] = "640",
    name: Annotated[str | None, _option("What the finished model is called. Default: DATASET-MODEL.", _MODEL)] = None,
    epochs: Annotated[
        int, _option("How often to go through the training pictures.", _LEARNING, min=1)
    ] = 100,
    time: Annotated[
        str | None, _option("Stop after so much training: 30m, 2h, 90s. Default: when the epochs are done.", _LEARNING)
    ] = None,
    patience: Annotated[
        int, _option("Stop after this many epochs without a better one.", _LEARNING, min=1)
    ] = 100,
    batch: Annotated[str, _option("Pictures per training step, or auto.", _LEARNING)] = "16",
    freeze: Annotated[
        str, _option("Keep what the first layers know: backbone, or how many of them.", _LEARNING)
    ] = "0",
    unfreeze_after: Annotated[
        int | None, _option("After so many epochs the frozen layers learn too. Default: never.", _LEARNING, min=1)
    ] = None,
    settings: Annotated[
        list[str] | None,
        _option("A further argument of Ultralytics, KEY=VALUE; may be given again. fliplr=0, say.", _LEARNING, "--set"),
    ] = None,
    balance: Annotated[
        Literal["none", "weights", "resample"],
        _option("Against classes of unequal size: rare ones count more, or come more often.", _DATA),
    ] = "none",
    tiles: Annotated[
        Literal["auto", "on", "off"],
        _option("Cut pictures into tiles, for small objects; auto tries whether it pays.", _DATA),
    ] = "auto",
    augment: Annotated[str | None, _option(f"{AUGMENT_HELP} Default: Ultralytics' own changes.", _DATA)] = None,
    cache: Annotated[
        bool, _option(
            "Keep the decoded pictures in memory where they fit. Mosaics are then drawn from all of them and not from"
            " the latest ones, so random numbers and figures differ a little from those without.",
            _DATA, "--cache/--no-cache",
        ),
    ] = True,
    workers: Annotated[
        int, _option("Processes that read pictures for a GPU; on a CPU there are none.", _DATA, min=0)
    ] = 4,
    force: Annotated[bool, _option("Train although the dataset has errors.", _DATA, "--force")] = False,
    rehearse: Annotated[
        bool,
        typer.Option("--rehearse", help="Only try every stage on 8 pictures, in about a minute; nothing is kept."),
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(help="Choose each class's threshold for this: precision=0.95, or recall=0.9. Default: best F1."),
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard's files.")] = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Also write into runs/mlflow.db for MLflow.")] = False,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:  # fmt: skip
    """Train a YOLO detector on your pictures; ends in a model ready to use.

    Your pictures and labels are only read. If it is interrupted, `cv resume` goes on from the last epoch.

    Example: cv train-yolo chess --epochs 50 --imgsz 640
    """
    from ..core.duration import read_duration
    from ..core.workspace import Workspace
    from ..datasets.read import open_dataset
    from ..detect.config import YoloConfig, checked
    from ..detect.settings import parse_settings
    from ..detect.train import train_yolo as train

    place = Workspace.find(workspace)
    config = checked(YoloConfig(), {
        "model": model, "size": size, "epochs": epochs, "imgsz": number_or("auto", imgsz, "--imgsz"),
        "batch": number_or("auto", batch, "--batch"), "device": device,
        "freeze": number_or("backbone", freeze, "--freeze"), "unfreeze_after": unfreeze_after, "weights": weights,
        "from_scratch": from_scratch, "patience": patience,
        "time": None if time is None else read_duration(time, "--time"), "name": name, "seed": seed, "cache": cache,
        "workers": workers, "balance": balance, "tiles": tiles, "target": target, "augment": augment,
        "settings": parse_settings(settings or []), "tensorboard": tensorboard, "mlflow": mlflow, "force": force,
    })  # fmt: skip
    if rehearse:
        from ..detect.rehearse import rehearse as try_out
        from .rehearsal import tell_rehearsal

        raise typer.Exit(tell_rehearsal(try_out(open_dataset(dataset, place), place, config), as_json))
    with epoch_lines(as_json):
        done = train(open_dataset(dataset, place), place, config)
    tell_detector(done, as_json)


@contextmanager
def epoch_lines(as_json: bool) -> Iterator[None]:
    """With --json: a line on standard output for each epoch while the block trains; the result is the last line."""
    if not as_json:
        yield
        return
    from ..detect.progress import listening

    with listening(lambda row: print_json(row.as_record())):
        yield


def tell_detector(done: DetectorRun, as_json: bool) -> None:
    """Say how good the new model is and what to do with it."""
    from ..core.progress import say

    limits = {key: done.bundle.record.interval(key) for key in done.metrics}
    if as_json:
        print_json({"run": str(done.run), "bundle": str(done.bundle.folder), "name": done.bundle.name,
                    "split": done.split, "leaked": done.leaked, "metrics": done.metrics,
                    "intervals": {key: between for key, between in limits.items() if between},
                    "report": done.report and str(done.report)})  # fmt: skip
        return
    say(f"\nfinished: {done.bundle.folder}")
    if taken := _taken_name(done):
        say(f"there is a model called '{taken}' already, so this one is '{done.bundle.name}'")
    if done.metrics:
        say(f"measured on the {done.split} pictures; in brackets the 95% interval:")
        for key, value in done.metrics.items():
            between = limits[key]
            say(f"  {key:10} {value:.3f}" + (f" ({between[0]:.3f} to {between[1]:.3f})" if between else ""))
    else:
        say(f"not measured: no picture of the {done.split} split has a box")
    if done.report:
        say(f"the whole story: {done.report}")
    say("next:")
    for line in _next(done):
        say(f"  {line}")


def _taken_name(done: DetectorRun) -> str | None:
    """The name that the model would have if it were free; None where it has that, or the one that was asked for."""
    from ..core.files import slug

    record = done.bundle.record
    if record.dataset is None or record.detector is None:
        return None
    name = slug(f"{record.dataset.name}-{record.detector.family}")
    return name if re.fullmatch(rf"{re.escape(name)}-\d+", done.bundle.name) else None


def _next(done: DetectorRun) -> list[str]:
    """Commands to go on with."""
    from ..core.manifest import RunManifest
    from ..detect.history import read_history

    name, data = shlex.quote(done.bundle.name), done.bundle.record.dataset
    lines = [f"cv predict PICTURES --weights {name} --save", f"cv live --weights {name}"]
    if data and done.metrics:
        lines.append(f"cv evaluate {shlex.quote(data.name)} --weights {name} --html")
    history = read_history(done.run)
    if len(history) > 1 and RunManifest.load(done.run).result.get("best_epoch") == history[-1].epoch:
        lines.append(f"cv resume {shlex.quote(done.run.name)} --extend 20   (the last epoch was the best)")
    return lines
