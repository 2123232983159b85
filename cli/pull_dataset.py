"""`cv pull-dataset`: from a Roboflow project to a dataset in the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ApiKeyOption, JsonOption, WorkspaceOption, print_json


def pull_dataset(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="WORKSPACE/PROJECT/VERSION on Roboflow, or the address of its page. Without a version: the newest.",
        ),
    ],
    api_key: ApiKeyOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the dataset. Default: PROJECT-vVERSION.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Fetch again and replace what an earlier pull brought.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds that Roboflow may take to get the export ready.")
    ] = 600.0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download a dataset from Roboflow, check it, and put it into datasets/.

    Example: cv pull-dataset roboflow-100/chess-pieces-mjzgj/2
    """
    from ..core.progress import say
    from ..core.redact import register_secret
    from ..core.workspace import Workspace
    from ..datasets.pull import PullConfig, pull_roboflow

    register_secret(api_key)
    config = PullConfig(api_key=api_key, name=name, force=force, timeout_seconds=timeout)
    done = pull_roboflow(reference, Workspace.find(workspace), config)
    record = done.record
    train = "train-yolo" if record.task == "detect" else "finetune"
    if as_json:
        about = record.model_dump(mode="json", exclude={"files"})
        print_json({
            "name": done.folder.name, "folder": str(done.folder), "fetched": done.fetched,
            "next": f"cv {train} {done.folder.name}", **about,
        })  # fmt: skip
        return
    counts = ", ".join(f"{split} {count}" for split, count in record.counts.items())
    state = "is in" if done.fetched else "was there already, and every file is as it came:"
    say(f"{record.origin} {state} {done.folder}")
    say(f"pictures: {counts}")
    say(f"classes:  {len(record.names)}: {', '.join(record.names)}")
    say(f"licence:  {record.licence or 'not stated; its page on Roboflow may tell'}")
    for remark in record.remarks:
        say(f"note:     {remark}")
    if done.fetched:
        _tell_findings(done.folder)
    say(f"Next: cv {train} {done.folder.name}")


def _tell_findings(folder: Path) -> None:
    """What a first look at the new dataset finds, so that a leak between splits is known before training."""
    from ..core.progress import progress, say
    from ..core.workspace import Workspace
    from ..datasets.check.run import check_dataset
    from ..datasets.read import open_dataset

    dataset = open_dataset(folder, Workspace(folder.parent))
    with progress("looking it over", dataset.count()) as advance:
        report = check_dataset(dataset, advance=advance)
    told = {remark.what for remark in dataset.remarks}
    for finding in report.findings:
        if finding.what not in told:
            say(f"{finding.severity + ':':9} {finding.what}")
    if report.findings:
        say(f"More about it: cv check-dataset {dataset.name}")
