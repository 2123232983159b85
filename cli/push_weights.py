"""`cv push-weights`: a model to a folder or store for others."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import JsonOption, WorkspaceOption, print_json
from .weights import NameArgument

EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint-url", envvar="AWS_ENDPOINT_URL", help="Address of an S3-compatible store of your own."),
]


def push_weights(
    name: NameArgument,
    to: Annotated[str, typer.Option("--to", metavar="PLACE", help="A folder, or s3://BUCKET/FOLDER.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace another model of this name there.")] = False,
    endpoint_url: EndpointOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a model to a folder or an S3-compatible store, from where others get it with `cv pull-weights`.

    Keys are taken from the environment or the usual files of AWS. Half an upload is never taken for a model.

    Example: cv push-weights chess-yolo26n --to s3://our-models/vision
    """
    from dataclasses import asdict

    from ..core.progress import say
    from ..core.words import many
    from ..core.workspace import Workspace
    from ..weights.bundle import open_bundle
    from ..weights.places import open_place
    from ..weights.store import push_bundle

    bundle = open_bundle(name, Workspace.find(workspace))
    done = push_bundle(bundle, open_place(to, endpoint_url), replace=replace)
    if as_json:
        print_json(asdict(done))
    elif done.outcome == "same":
        say(f"{bundle.name} is there already, and is the same: {done.address}")
    else:
        say(f"{bundle.name} {done.outcome}, {many(done.files, 'file')}: {done.address}")
