"""`cv live`: a trained model on a camera, a stream or a video, as it happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DeviceOption, JsonOption, WorkspaceOption, print_json
from .predict import ConfidenceOption, EngineOption, ModelsOption, TilesOption
from .stage_options import (
    ClassifierConfidenceOption,
    ClassifierOption,
    LineOption,
    TrackOption,
    ZoneOption,
    stages_config,
)

if TYPE_CHECKING:
    from ..predict.live import LiveResult


def live(
    weights: ModelsOption,
    camera: Annotated[int | None, typer.Option("--camera", min=0, help="Number of the camera. Default: 0.")] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Instead of a camera: a video file, or an address (rtsp, rtmp, http, https)."),
    ] = None,
    no_window: Annotated[
        bool, typer.Option("--no-window", help="Show nothing; for machines without a screen.")
    ] = False,
    record: Annotated[
        Path | None, typer.Option("--record", help="Write what is shown into this new video file, such as out.mp4.")
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.1, help="End by itself after so long.")] = None,
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
    """Show what a trained model sees on a camera, live. q, Esc or closing the window ends it.

    Only the newest picture is looked at, so what you see is never late. A camera or stream that is lost is tried again
    until it comes back.

    Example: cv live --weights chess-yolo26n --camera 0
    """
    from dataclasses import replace

    from ..core.errors import UsageError
    from ..core.progress import say, warn
    from ..core.workspace import Workspace
    from ..predict.address import check_address, parse_address
    from ..predict.ensemble import open_models
    from ..predict.live import LiveConfig, LiveView
    from ..predict.stages import open_stages
    from ..predict.tiles import Tiled, as_used
    from ..predict.window import need_window
    from ..weights.bundle import open_bundle

    if camera is not None and source is not None:
        raise UsageError("Give a camera or a source, not both.", where="--camera, --source")
    place = Workspace.find(workspace)
    chosen_stages = stages_config(place, classifier, classifier_conf, track, line, zone)
    bundles = [open_bundle(one, place) for one in weights]
    address = parse_address(str(camera or 0) if source is None else source)
    check_address(address)
    if not no_window:
        need_window()
    model = as_used(open_models(bundles, engine=engine, device=device), tiles)
    if isinstance(model, Tiled):
        warn(f"each picture larger than {model.tiles.size} pixels is looked at in parts, which takes several times as "
             "long; --no-tiles looks at it once and overlooks small objects")  # fmt: skip
    stages = open_stages(model, replace(chosen_stages, engine=engine, device=device))
    config = LiveConfig(
        confidence=conf, window=not no_window, record=record, seconds=seconds,
        on_record=print_json if as_json else None, stages=stages,
    )  # fmt: skip
    view = LiveView(address, model, config)
    quit_with = "Ctrl-C" if no_window else "q in the window, or Ctrl-C"
    say(f"{model.name} on {address.label} with {model.engine_name} on {model.device}; {quit_with} ends it")
    if no_window and not record and not as_json:
        say("nothing is shown or written: add --record FILE.mp4 or --json to see what the model finds")
    try:
        view.run()
    finally:
        _report(view.result, record)


def _report(result: LiveResult, record: Path | None) -> None:
    from ..core.progress import say

    summary = result.summary
    if not summary.frames:
        return
    say(
        f"{summary.frames} frames shown, {summary.frames_per_second:.1f} per second; latency from arrival to screen: "
        f"p50 {result.latency(50):.0f} ms, p95 {result.latency(95):.0f} ms"
    )
    say(f"{result.read} frames came in, {result.dropped} were overtaken by newer ones")
    if result.reconnections:
        say(f"the source was lost and came back: {result.reconnections}")
    for text in summary.told_of_stages():
        say(text)
    found = ", ".join(f"{name} in {count}" for name, count in summary.frames_with.most_common())
    say(f"found (frames): {found or 'nothing'}")
    if record and record.exists():
        say(f"recorded: {record.resolve()}")
