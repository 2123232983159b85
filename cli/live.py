"""`cv live`: a trained model on a camera, a stream or a video, as it happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import ApiKeyOption, DeviceOption, JsonOption, Within, WorkspaceOption, print_json
from .predict import LABELLING, ConfidenceOption, EngineOption, ModelsOption, TilesOption
from .stage_options import (
    ClassifierConfidenceOption,
    ClassifierOption,
    LineOption,
    TrackOption,
    ZoneOption,
    stages_config,
)
from .uncertain import frame_uploader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..predict.address import Address
    from ..predict.hooks import Action, Rule
    from ..weights.bundle import Bundle

_SHOWN, _SEEN = "Where it is shown", "When something is seen"


def live(
    weights: ModelsOption,
    camera: Annotated[
        str | None,
        typer.Option(
            "--camera",
            metavar="NAME",
            help="Number of the camera, or a part of its name. Default: 0.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="WHAT",
            help="Instead of a camera: a video file, or an address (rtsp, rtmp, http, https).",
        ),
    ] = None,
    show: Annotated[
        str,
        typer.Option(
            "--show",
            rich_help_panel=_SHOWN,
            metavar="WHERE",
            help="window, page (for a browser on this machine), or none. auto takes a window where there is a screen, "
            "else the --record file, else a page.",
        ),
    ] = "auto",
    no_window: Annotated[
        bool, typer.Option("--no-window", rich_help_panel=_SHOWN, help="The same as --show none.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            rich_help_panel=_SHOWN,
            metavar="FILE",
            help="Write what is shown into this new video file, such as out.mp4.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", click_type=Within("N", 0.1), help="End by itself after so many seconds."),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            rich_help_panel=_SEEN,
            metavar="WHAT",
            help='Act when this is seen: person, "person>0.8", "person:3" for three at least. May be given several '
            "times: one of them is enough. Without it every frame will do.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            "--every",
            rich_help_panel=_SEEN,
            metavar="TIME",
            help="Act at most so often: 5s, 2m. Default: 5s.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            rich_help_panel=_SEEN,
            metavar="CMD",
            help="Act by starting this command, without a shell. It gets the record as JSON on its standard input, and "
            "LENSMITH_CLASS, LENSMITH_TIME and others as variables.",
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            "--webhook",
            rich_help_panel=_SEEN,
            metavar="URL",
            help="Act by posting the record as JSON to this http(s) address.",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            rich_help_panel=_SEEN,
            metavar="DIR",
            help="With --on or --every: act by saving the frame, a drawn copy and the record in this folder. Without: "
            "where the key s saves them. Default: frames/.",
        ),
    ] = None,
    upload: Annotated[
        str | None,
        typer.Option(
            "--upload",
            rich_help_panel=LABELLING,
            metavar="PROJECT",
            help="When the key u is pressed, upload the frame to this Roboflow project (WORKSPACE/PROJECT), for you to "
            "label there.",
        ),
    ] = None,
    api_key: ApiKeyOption = None,
    conf: ConfidenceOption = None,
    classifier: ClassifierOption = None,
    classifier_conf: ClassifierConfidenceOption = None,
    track: TrackOption = False,
    line: LineOption = None,
    zone: ZoneOption = None,
    tiles: TilesOption = None,
    as_json: JsonOption = False,
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
) -> None:
    """Show what a trained model sees on a camera, live.

    Only the newest picture is looked at, so what you see is never late. A camera or stream that is lost is tried again
    until it comes back. A recording plays even when the machine goes down. Keys: q quit, space pause, s save the
    frame, u upload it for labelling, + and - show only what the model is surer of, or more, ? shows the keys.

    Example: cv live --weights chess-yolo26n --camera 0
    """
    from dataclasses import replace

    from ..core.progress import say, warn
    from ..core.redact import register_secret
    from ..core.workspace import Workspace
    from ..predict.ensemble import open_models
    from ..predict.live import LiveConfig, LiveView
    from ..predict.recorder import check_recording
    from ..predict.screen import choose_show
    from ..predict.stages import check_front, open_stages
    from ..predict.tiles import Tiled, as_used
    from ..weights.bundle import open_bundle

    register_secret(api_key)
    if record is not None:
        check_recording(record)
    place = Workspace.find(workspace)
    chosen_stages = stages_config(place, classifier, classifier_conf, track, line, zone)
    bundles = [open_bundle(one, place) for one in weights]
    finds_boxes = len(bundles) == 1 and bundles[0].record.task == "detect"
    check_front(chosen_stages, bundles[0].name, finds_boxes=finds_boxes)
    address = _address(camera, source)
    rules = _rules(on, [*bundles, *chosen_stages.classifiers])
    actions = _actions(run, webhook, save if rules or every else None)
    every_seconds = _every(every, rules, actions)
    where, why_not = choose_show("none" if no_window else show, recording=record is not None)
    _check_keys(where, save if not (rules or every) else None, upload)
    on_upload = frame_uploader(upload, api_key, bundles[0], place) if upload else None
    model = as_used(open_models(bundles, engine=engine, device=device, live=True), tiles)
    if isinstance(model, Tiled):
        warn(f"each picture larger than {model.tiles.size} pixels is looked at in parts, which takes several times as "
             "long; --no-tiles looks at it once and overlooks small objects")  # fmt: skip
    stages = open_stages(model, replace(chosen_stages, engine=engine, device=device))
    config = LiveConfig(
        confidence=conf, usual_confidence=bundles[0].record.confidence, show=where, record=record, seconds=seconds,
        on_record=print_json if as_json else None, stages=stages, rules=rules, every_seconds=every_seconds,
        actions=actions, save=save or place.root / "frames", on_upload=on_upload,
    )  # fmt: skip
    view = LiveView(address, model, config)
    if why_not:
        instead = "a page for the browser" if where == "page" else "the recording alone"
        say(f"no window can be shown here: {why_not}; it is {instead}")
    quit_with = {"window": "q in the window", "page": "q on the page"}.get(where)
    say(f"{model.name} on {address.label} with {model.engine_name} on {model.device}; "
        f"{f'{quit_with}, or ' if quit_with else ''}Ctrl-C ends it")  # fmt: skip
    if where == "none" and not (record or as_json or actions):
        say("nothing is shown or written: add --show page, --record FILE.mp4 or --json to see what the model finds")
    try:
        view.run()
    finally:
        for text in view.result.lines():
            say(text)


def _address(camera: str | None, source: str | None) -> Address:
    """What to look at, looked for before the model is opened."""
    from ..core.errors import UsageError
    from ..predict.address import check_address, find_camera, parse_address

    if camera is not None and source is not None:
        raise UsageError("Give a camera or a source, not both.", where="--camera, --source")
    address = find_camera(camera or "0") if source is None else parse_address(source)
    check_address(address)
    return address


def _rules(texts: Sequence[str] | None, bundles: Sequence[Bundle]) -> list[Rule]:
    """`--on`, with the classes of all models."""
    from ..predict.hooks import parse_rule

    names = [name for bundle in bundles for name in bundle.record.names]
    if any(bundle.record.task == "classify" for bundle in bundles):
        names.append("unknown")
    return [parse_rule(text, names) for text in texts or ()]


def _check_keys(where: str, save: Path | None, upload: str | None) -> None:
    """What only a key would do is refused where nobody can press one."""
    from ..core.errors import UsageError

    if where != "none" or (save is None and upload is None):
        return
    option, key = ("--save", "s") if save is not None else ("--upload", "u")
    otherwise = "say when to save by itself: --every 5s, or --on CLASS; or " if save is not None else ""
    raise UsageError(
        f"Nothing is shown here, so that no key can be pressed, and {option} alone is for the key {key}.",
        where=option,
        next_step=f"{otherwise}give --show page",
    )


def _actions(run: str | None, webhook: str | None, save: Path | None) -> list[Action]:
    from ..predict.actions import RunCommand, SaveFrames, Webhook

    actions: list[Action] = []
    if run is not None:
        actions.append(RunCommand(run))
    if webhook is not None:
        actions.append(Webhook(webhook))
    if save is not None:
        actions.append(SaveFrames(save))
    return actions


def _every(every: str | None, rules: Sequence[Rule], actions: Sequence[Action]) -> float:
    """Seconds of `--every`; what would do nothing is refused."""
    from ..core.duration import read_duration
    from ..core.errors import UsageError
    from ..core.progress import say
    from ..predict.hooks import USUAL_EVERY_SECONDS

    if (every is not None or rules) and not actions:
        raise UsageError(
            "There is nothing to do when something is seen.",
            where="--on" if rules else "--every",
            next_step="say what: --run COMMAND, --webhook ADDRESS or --save FOLDER",
        )
    seconds = read_duration(every, "--every") if every else USUAL_EVERY_SECONDS
    if actions:
        seen = " or ".join(rule.text for rule in rules) or "any frame"
        what = ", ".join(action.name for action in actions)
        say(f"on {seen}, every {seconds:g} s at most: {what}")
    return seconds
