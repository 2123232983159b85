"""`cv predict`: a trained model on pictures and videos."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, cast

import typer

from .options import ApiKeyOption, DeviceOption, JsonOption, Within, WorkspaceOption, print_json
from .stage_options import (
    ClassifierConfidenceOption,
    ClassifierOption,
    LineOption,
    TrackOption,
    ZoneOption,
    stages_config,
    warn_of_pictures,
)
from .uncertain import LIMIT, push_frames, read_range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..core.workspace import Workspace
    from ..predict.batch import Format, PredictRun
    from ..predict.model import Predictor
    from ..predict.sources import Source
    from ..predict.unsure import UnsureConfig, UnsureFrames
    from ..weights.bundle import Bundle

_HOW, _RESULTS, LABELLING = "How the model runs", "Results", "Labelling"

ModelsOption = Annotated[
    list[str],
    typer.Option(
        "--weights",
        metavar="NAME",
        help="The trained model: its name (`cv weights` lists them) or its folder. Given several times, classifiers of "
        "the same classes answer as one: the mean of what they say.",
    ),
]
ConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--conf", click_type=Within("0..1", 0, 1),
        help="Show what the model is at least this sure of. Default: what the model was made with.",
    ),
]  # fmt: skip
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        rich_help_panel=_HOW,
        metavar="NAME",
        help="Library that runs the model: auto, openvino, onnxruntime, ultralytics (detector), keras (classifier), "
        "tensorrt. auto takes what is fastest here.",
    ),
]
TilesOption = Annotated[
    bool | None,
    typer.Option(
        "--tiles/--no-tiles",
        rich_help_panel=_HOW,
        help="Look at large pictures in overlapping parts too: finds smaller objects and takes several times as long. "
        "Default: as the model was made.",
        show_default=False,
    ),
]


FormatOption = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        rich_help_panel=_RESULTS,
        metavar="NAME",
        help="Write the results as jsonl, csv, yolo (label files with confidences) or coco into a new folder under "
        "runs/; may be given several times.",
    ),
]


def predict(
    source: Annotated[
        str,
        typer.Argument(
            help="A picture, a folder, a video, a pattern in quotes such as 'shots/*.jpg', a zip of pictures, a .txt "
            "with one path a line, a camera's number, an address (rtsp://, http://), or - for paths on standard input."
        ),
    ],
    weights: ModelsOption,
    conf: ConfidenceOption = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds", click_type=Within("N", 0.1), help="End after so many seconds; for a camera or a stream."
        ),
    ] = None,
    save: Annotated[
        bool,
        typer.Option(
            "--save",
            rich_help_panel=_RESULTS,
            help="Write drawn copies and predictions.jsonl into a new folder under runs/.",
        ),
    ] = False,
    formats: FormatOption = None,
    classifier: ClassifierOption = None,
    classifier_conf: ClassifierConfidenceOption = None,
    track: TrackOption = False,
    line: LineOption = None,
    zone: ZoneOption = None,
    upload: Annotated[
        str | None,
        typer.Option(
            "--upload",
            rich_help_panel=LABELLING,
            metavar="PROJECT",
            help="At the end, upload the frames that the model is least sure of to this Roboflow project "
            "(WORKSPACE/PROJECT), for you to label there.",
        ),
    ] = None,
    uncertain: Annotated[
        str | None,
        typer.Option(
            "--uncertain",
            rich_help_panel=LABELLING,
            metavar="0..1-0..1",
            help="With --upload: which confidences are unsure. Default: 0.25-0.6.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            rich_help_panel=LABELLING,
            click_type=Within("N", 1, whole=True),
            help="With --upload: the most frames to upload. Default: 100.",
        ),
    ] = None,
    api_key: ApiKeyOption = None,
    tiles: TilesOption = None,
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Find objects in pictures or videos, or tell what they show.

    A picture that cannot be read does not stop the others: it is skipped and named at the end, and the exit code is
    then 5. With --json there is one line per frame on standard output, and at the end one with the reason for each
    picture that was skipped. A camera or a stream goes on until its end, --seconds, or Ctrl-C; what was written until
    then is complete.

    Example: cv predict photos/ --weights chess-yolo26n --save
    """
    from contextlib import ExitStack

    from ..core.isolation import only_our_words
    from ..core.redact import register_secret
    from ..core.workspace import Workspace
    from ..predict.batch import PredictConfig, PredictRun, check_formats, predict_source
    from ..predict.ensemble import open_models
    from ..predict.sources import StreamSource, open_source
    from ..predict.stages import check_front, open_stages
    from ..predict.summary import Summary
    from ..predict.tiles import as_used
    from ..weights.bundle import open_bundle

    register_secret(api_key)
    place = Workspace.find(workspace)
    chosen_stages = stages_config(place, classifier, classifier_conf, track, line, zone)
    bundles = [open_bundle(one, place) for one in weights]
    finds_boxes = len(bundles) == 1 and bundles[0].record.task == "detect"
    check_formats(formats or [], bundles[0].name, finds_boxes=finds_boxes)
    check_front(chosen_stages, bundles[0].name, finds_boxes=finds_boxes)
    chosen = _upload_options(upload, uncertain, limit, api_key, bundles[0])
    frames = open_source(source, live=True, seconds=seconds)
    if seconds is not None and not isinstance(frames, StreamSource):
        raise typer.BadParameter("--seconds is for a camera or a stream; files have an end of their own")
    model = as_used(open_models(bundles, engine=engine, device=device), tiles)
    rate = frames.frames_per_second
    stages = open_stages(model, replace(chosen_stages, frames_per_second=rate, engine=engine, device=device))
    if track:
        warn_of_pictures(frames)
    config = PredictConfig(
        confidence=conf, save=save, formats=cast("list[Format]", formats or []), stages=stages,
        on_record=print_json if as_json else None,
    )  # fmt: skip
    done = PredictRun(Summary(model.names))
    with ExitStack() as stack:
        unsure = stack.enter_context(_unsure_frames(chosen, model, frames)) if chosen else None
        config = replace(config, stages=[unsure, *stages] if unsure else stages)
        again = [*_again("--weights", bundles), *_again("--classifier", chosen_stages.classifiers)]
        report = partial(_report, done, model, frames, again, as_json=as_json, measured=engine == "auto")
        try:
            with only_our_words():
                predict_source(frames, model, place, config, done)
        except typer.Exit:  # nobody reads what is printed any more
            raise
        except BaseException:
            report()
            raise
        report()
        if upload and unsure:
            _upload(unsure, upload, api_key, bundles, frames, place)
    if done.summary.skipped:
        raise typer.Exit(5)


def _upload_options(
    upload: str | None, uncertain: str | None, limit: int | None, api_key: str | None, bundle: Bundle
) -> UnsureConfig | None:
    """What `--upload` chooses, None where nothing is uploaded."""
    if upload is None:
        if uncertain is not None or limit is not None:
            raise typer.BadParameter("--uncertain and --limit choose what is uploaded: give --upload PROJECT too")
        return None
    from ..datasets.push import check_project
    from ..predict.unsure import UnsureConfig

    chosen = UnsureConfig(*read_range(uncertain), limit or LIMIT)
    check_project(upload, api_key, bundle.record.task)  # known before the model has run for an hour
    return chosen


@contextmanager
def _unsure_frames(chosen: UnsureConfig, model: Predictor, frames: Source) -> Iterator[UnsureFrames]:
    """What keeps the frames to upload while the model runs."""
    import tempfile
    from pathlib import Path

    from ..predict.unsure import UnsureFrames

    with tempfile.TemporaryDirectory() as folder:
        yield UnsureFrames(chosen, model, frames, Path(folder))


def _upload(
    unsure: UnsureFrames, project: str, api_key: str | None, bundles: list[Bundle], frames: Source, place: Workspace
) -> None:
    """Send them to Roboflow, with what the model says; exit code 1 where some were refused."""
    from ..core.progress import say, warn
    from ..core.words import many
    from ..datasets.roboflow.workers import PushConfig

    pushed = push_frames(unsure.chosen(), (), frames.name, bundles[0], project, place, PushConfig(api_key=api_key))
    say(f"uploaded: {many(pushed.uploaded, 'picture')} to {pushed.project}; already there: {pushed.already_there}")
    for refused in pushed.refused[:20]:
        warn(f"{refused.picture}: {refused.reason}")
    if pushed.refused:
        raise typer.Exit(1)
    say(f"next: look at them on {pushed.url}")


def _again(option: str, bundles: Sequence[Bundle]) -> list[str]:
    return [f"{option} {bundle.name}" for bundle in bundles]


def _report(
    done: PredictRun, model: Predictor, frames: Source, again: list[str], *, as_json: bool, measured: bool
) -> None:
    """What was found, and what to do next; also of a run that was cut off, once it had begun."""
    from ..core.progress import console, say
    from ..predict.advice import Situation
    from ..predict.sources import PicturesBase, StdinSource, StreamSource
    from ..predict.summary import print_summary

    if as_json:
        for path, reason in done.summary.skipped:
            print_json({"source": path, "skipped": reason})
    if not done.summary.frames and not done.summary.skipped:
        return
    is_video = not isinstance(frames, PicturesBase)
    situation = Situation(
        measured, done.run is not None, isinstance(frames, StreamSource), isinstance(frames, StdinSource)
    )
    print_summary(done.summary, model, f"{model.name} on {frames.name}", console, situation=situation, video=is_video)
    if done.run is None:
        say("next: add --save for drawn copies and a file of all results")
        return
    say(f"written: {done.run}")
    say(f"next: look at the results there, or show the model your camera: cv live {' '.join(again)}")
