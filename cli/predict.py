"""`cv predict`: a trained model on pictures and videos."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import DeviceOption, JsonOption, WorkspaceOption, print_json

ModelsOption = Annotated[
    list[str],
    typer.Option(
        "--weights",
        help="The trained model: its name (`cv weights` lists them) or its folder. Given several times, classifiers of "
        "the same classes answer as one: the mean of what they say.",
    ),
]
ConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--conf", min=0, max=1,
        help="Show what the model is at least this sure of, 0 to 1. Default: what the model was made with.",
    ),
]  # fmt: skip
EngineOption = Annotated[
    str,
    typer.Option("--engine", help="Library that runs the model: auto, onnxruntime, ultralytics (detector), keras."),
]
TilesOption = Annotated[
    bool | None,
    typer.Option(
        "--tiles/--no-tiles",
        help="Look at large pictures in overlapping parts too: finds smaller objects and takes several times as long. "
        "Default: as the model was made.",
        show_default=False,
    ),
]


def predict(
    source: Annotated[
        str, typer.Argument(help="A picture, a folder, a video, or a pattern in quotes such as 'shots/*.jpg'.")
    ],
    weights: ModelsOption,
    conf: ConfidenceOption = None,
    save: Annotated[
        bool, typer.Option("--save", help="Write drawn copies and predictions.jsonl into a new folder under runs/.")
    ] = False,
    tiles: TilesOption = None,
    as_json: JsonOption = False,
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
) -> None:
    """Find objects in pictures or videos, or tell what they show.

    A picture that cannot be read does not stop the others: it is skipped and named at the end, and the exit code is
    then 5. With --json there is one line per frame on standard output.

    Example: cv predict photos/ --weights chess-yolo26n --save
    """
    from ..core.progress import console, say
    from ..core.workspace import Workspace
    from ..predict.batch import PredictConfig, predict_source
    from ..predict.ensemble import open_models
    from ..predict.sources import open_source
    from ..predict.summary import print_summary
    from ..predict.tiles import as_used
    from ..weights.bundle import open_bundle

    place = Workspace.find(workspace)
    bundles = [open_bundle(one, place) for one in weights]
    frames = open_source(source)
    model = as_used(open_models(bundles, engine=engine, device=device), tiles)
    config = PredictConfig(confidence=conf, save=save, on_record=print_json if as_json else None)
    done = predict_source(frames, model, place, config)
    is_video = frames.frames_per_second is not None
    print_summary(done.summary, model, f"{model.name} on {frames.name}", console, video=is_video)
    if done.run:
        again = " ".join(f"--weights {bundle.name}" for bundle in bundles)
        say(f"written: {done.run}")
        say(f"next: look at the drawn copies there, or show the model your camera: cv live {again}")
    else:
        say("next: add --save for drawn copies and a file of all results")
    if done.summary.skipped:
        raise typer.Exit(5)
