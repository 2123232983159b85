"""`cv push-dataset`: from a dataset, or from what a model is unsure of, to a Roboflow project."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import JsonOption, WorkspaceOption, print_json


def push_dataset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A dataset's name or folder.")],
    project: Annotated[
        str,
        typer.Option("--project", help="WORKSPACE/PROJECT on Roboflow, or the address of its page. It must exist."),
    ],
    api_key: Annotated[
        str | None,
        typer.Option("--api-key", help="Roboflow key. Better in ROBOFLOW_API_KEY: other users see what is typed here."),
    ] = None,
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
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Upload a dataset's pictures and labels to a Roboflow project.

    A push that was cut off goes on where it stopped, and no picture is sent twice. Labels that a picture has on
    Roboflow already stay as they are.

    Example: cv push-dataset parts-fixed --project acme/parts
    """
    from ..core.redact import register_secret
    from ..core.workspace import Workspace
    from ..datasets.push import push_dataset as push
    from ..datasets.read import open_dataset
    from ..datasets.roboflow.workers import PushConfig

    register_secret(api_key)
    place = Workspace.find(workspace)
    config = PushConfig(
        api_key=api_key, workers=workers, batch_name=batch_name, tags=tuple(tag or ()), overwrite=overwrite,
        force=force, dry_run=dry_run,
    )  # fmt: skip
    _tell(push(open_dataset(name, place), project, place, config), dry_run, as_json)


def _tell(done: Any, dry_run: bool, as_json: bool) -> None:
    """The summary; exit code 1 when pictures were refused."""
    from dataclasses import asdict

    from ..core.progress import say, warn

    if as_json:
        print_json({"dry_run": dry_run, **asdict(done)})
    else:
        say(f"{'would upload' if dry_run else 'uploaded'}: {done.uploaded} pictures to {done.project}")
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
