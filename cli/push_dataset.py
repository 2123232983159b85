"""`cv push-dataset`: from a dataset, or from what a model is unsure of, to a Roboflow project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import ApiKeyOption, JsonOption, WorkspaceOption, print_json
from .uncertain import LIMIT, push_frames, read_range

if TYPE_CHECKING:
    from ..core.workspace import Workspace
    from ..datasets.push import Pushed
    from ..datasets.roboflow.workers import PushConfig
    from ..predict.unsure import UnsureConfig


def push_dataset(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A dataset's name or folder; with --predictions any folder of pictures, or a video."
        ),
    ],
    project: Annotated[
        str,
        typer.Option("--project", help="WORKSPACE/PROJECT on Roboflow, or the address of its page. It must exist."),
    ],
    api_key: ApiKeyOption = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=32, help="Pictures that are sent at a time.")] = 4,
    batch_name: Annotated[
        str | None, typer.Option("--batch-name", help="What the batch is called there. Default: NAME.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag for each picture; may be repeated.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace labels that pictures have there already.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Send what an earlier push sent, too. Roboflow keeps one copy of equal files."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Find the project and count what would be sent; send nothing.")
    ] = False,
    predictions: Annotated[
        str | None,
        typer.Option("--predictions", help="A trained model: upload what it is unsure of, for you to label there."),
    ] = None,
    uncertain: Annotated[
        str | None,
        typer.Option("--uncertain", help="With --predictions: which confidences are unsure. Default: 0.25-0.6."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="With --predictions: the most frames to upload. Default: 100."),
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Upload a dataset's pictures and labels to a Roboflow project.

    A push that was cut off goes on where it stopped, and no picture is sent twice. Labels that a picture has on
    Roboflow already stay as they are. With --predictions a model looks at your pictures first, those that it is least
    sure of are uploaded, and what it sees is shown there as a prediction for you to correct.

    Example: cv push-dataset parts-fixed --project acme/parts
    """
    from ..core.redact import register_secret
    from ..core.workspace import Workspace
    from ..datasets.push import push_dataset as push
    from ..datasets.read import open_dataset
    from ..datasets.roboflow.workers import PushConfig
    from ..predict.unsure import UnsureConfig

    register_secret(api_key)
    place = Workspace.find(workspace)
    config = PushConfig(
        api_key=api_key, workers=workers, batch_name=batch_name, tags=tuple(tag or ()), overwrite=overwrite,
        force=force, dry_run=dry_run,
    )  # fmt: skip
    if predictions is not None:
        chosen = UnsureConfig(*read_range(uncertain), limit or LIMIT)
        done = _push_unsure(name, predictions, chosen, project, place, config)
    elif uncertain is not None or limit is not None:
        raise typer.BadParameter("--uncertain and --limit choose among predictions: give --predictions MODEL too")
    else:
        done = push(open_dataset(name, place), project, place, config)
    _tell(done, dry_run, as_json)


def _push_unsure(
    name: str, model: str, chosen: UnsureConfig, project: str, place: Workspace, config: PushConfig
) -> Pushed:
    """Upload the frames that a model is least sure of."""
    import tempfile
    from pathlib import Path

    from ..predict.model import open_model
    from ..predict.sources import open_source
    from ..predict.tiles import as_used
    from ..predict.unsure import find_unsure
    from ..weights.bundle import open_bundle

    bundle = open_bundle(model, place)
    named = place.datasets / name
    source = open_source(named if len(Path(name).parts) == 1 and named.is_dir() else name)
    with tempfile.TemporaryDirectory() as folder:
        frames = find_unsure(source, as_used(open_model(bundle)), Path(folder), chosen)
        return push_frames(frames, source.skipped, source.name, bundle, project, place, config)


def _tell(done: Pushed, dry_run: bool, as_json: bool) -> None:
    """The summary; exit code 1 when pictures were refused."""
    from dataclasses import asdict

    from ..core.progress import say, warn
    from ..core.words import many

    if as_json:
        print_json({"dry_run": dry_run, **asdict(done)})
    else:
        say(f"{'would upload' if dry_run else 'uploaded'}: {many(done.uploaded, 'picture')} to {done.project}")
        say(f"{'would label' if dry_run else 'labelled'}:  {done.annotated}")
        if done.already_there:
            say(f"already there: {done.already_there}")
        if done.kept:
            say(f"labels kept that were there: {done.kept} (--overwrite replaces them)")
        if done.doubled:
            say(f"left out as copies of others: {done.doubled}")
        for remark in done.remarks:
            say(f"note: {remark}")
    for refused in done.refused[:20]:
        warn(f"{refused.picture}: {refused.reason}")
    if len(done.refused) > 20:
        warn(f"and {len(done.refused) - 20} more; --json lists all of them")
    if done.refused:
        raise typer.Exit(1)
    if not as_json:
        say(f"Next: look at them on {done.url}")
