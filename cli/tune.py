"""`cv tune`: look for better training options on a person's own pictures."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import DatasetArgument, DeviceOption, JsonOption, SeedOption, WorkspaceOption, number_or, print_json

if TYPE_CHECKING:
    from ..detect.tune_job import TuneRun

_TUNING, _TRIAL, _SEVERAL = "Tuning", "Each trial", "Several machines"


def _option(help_text: str, panel: str, **limits: Any) -> Any:
    return typer.Option(help=help_text, rich_help_panel=panel, **limits)


def tune(
    dataset: DatasetArgument,
    trials: Annotated[int, _option("How many trainings, the first one with nothing changed.", _TUNING, min=2)] = 20,
    time: Annotated[str | None, _option("Begin no trial after this long: 30m, 2h, ...", _TUNING)] = None,
    space: Annotated[
        Path | None,
        _option("A YAML file with what to try: `lr0: {low: 0.0001, high: 0.01, log: true}`, `imgsz: [320, 640]`.",
                _TUNING),
    ] = None,
    epochs: Annotated[int, _option("Epochs of a trial; some 30 show what is worth more.", _TRIAL, min=1)] = 30,
    model: Annotated[str | None, _option("The detector: yolo26n, yolov8s, auto, ... Default: yolo26n.", _TRIAL)] = None,
    imgsz: Annotated[str, _option("Side of the training pictures in pixels, or auto.", _TRIAL)] = "640",
    batch: Annotated[str, _option("Pictures per training step, or auto.", _TRIAL)] = "16",
    weights: Annotated[Path | None, _option("A .pt file to start from.", _TRIAL)] = None,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Start from random weights.",
                                               rich_help_panel=_TRIAL)] = False,
    augment: Annotated[
        str | None, _option("Random changes: none, light, default, heavy, or a YAML file.", _TRIAL)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="An argument of Ultralytics, KEY=VALUE, which is then not tried.",
                     rich_help_panel=_TRIAL),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the finished model is called.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Train although the dataset has problems.")] = False,
    ray: Annotated[bool, typer.Option("--ray", help="Do several trials at once with Ray.",
                                      rich_help_panel=_SEVERAL)] = False,
    ray_address: Annotated[
        str | None, _option("Of a Ray cluster that runs already. Default: one is started here.", _SEVERAL)
    ] = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Try training options on your pictures, judged on validation pictures alone; the best trial becomes a model.

    Ctrl-C stops it, and `cv resume` goes on. Whether the best one is better than the defaults by more than chance is
    said at the end.

    Example: cv tune chess --trials 20 --epochs 30 --imgsz 320
    """
    from ..core.duration import read_duration
    from ..core.workspace import Workspace
    from ..datasets.read import open_dataset
    from ..detect.config import YoloConfig, checked
    from ..detect.settings import parse_settings
    from ..detect.tune import TuneConfig, tune_yolo

    place = Workspace.find(workspace)
    yolo = checked(YoloConfig(), {
        "model": model, "epochs": epochs, "imgsz": number_or("auto", imgsz, "--imgsz"),
        "batch": number_or("auto", batch, "--batch"), "device": device, "weights": weights,
        "from_scratch": from_scratch, "augment": augment, "settings": parse_settings(settings or []), "name": name,
        "force": force, "seed": seed,
    })  # fmt: skip
    limit = read_duration(time, "--time") if time else None
    config = TuneConfig(yolo, trials=trials, time=limit, space=space, ray=ray, ray_address=ray_address)
    tell_tuning(tune_yolo(open_dataset(dataset, place), place, config), as_json)


def tell_tuning(done: TuneRun, as_json: bool) -> None:
    """Say what came out, or print it as JSON."""
    from dataclasses import asdict

    from ..core.progress import say
    from ..core.words import many
    from ..detect.tune_page import in_short

    detector, used = done.detector, done.recommended
    if as_json:
        print_json({
            "run": str(done.run), "best_run": str(detector.run), "bundle": str(detector.bundle.folder),
            "split": detector.split, "metrics": detector.metrics, "best_trial": done.best.number + 1,
            "values": done.values, "better": done.verdict.better,
            "recommended": str(used.bundle.folder), "verdict": list(done.verdict.sentences),
            "report": str(done.report), "trials": [asdict(row) for row in done.trials],
        })  # fmt: skip
        return
    say(f"\nbest of {many(len(done.trials), 'trial')}: number {done.best.number + 1}")
    for key, value in done.values.items():
        say(f"  {key:14} {in_short(value)}")
    for sentence in done.verdict.sentences:
        say(sentence)
    for key, value in used.metrics.items():
        say(f"  {key:10} {value:.3f} on {used.split}")
    say(f"the model{' of the defaults' if done.verdict.defaults else ''}: {used.bundle.folder}")
    if done.verdict.defaults:
        say(f"the model of the best trial: {detector.bundle.folder}")
    say(f"Next: look at the report: {done.report}")
    say(f"Next: cv predict PICTURES --weights {shlex.quote(used.bundle.name)}")
