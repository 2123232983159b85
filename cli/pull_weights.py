"""`cv pull-weights`: a model from a folder or store."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import JsonOption, WorkspaceOption, print_json
from .push_weights import EndpointOption


def pull_weights(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="PLACE/NAME: a folder, or s3://BUCKET/FOLDER/NAME.")],
    name: Annotated[str | None, typer.Option("--name", help="What the model is to be called here.")] = None,
    endpoint_url: EndpointOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Get a model that was pushed to a folder or an S3-compatible store.

    It appears only when every file has its hash and, where an engine for it is installed, its golden samples were
    repeated in a fresh process. A pull that was cut short goes on where it was.

    Example: cv pull-weights s3://our-models/vision/chess-yolo26n
    """
    from ..core.progress import say
    from ..core.workspace import Workspace
    from ..predict.proof import prove_arrival
    from ..weights.places import open_place, split_source
    from ..weights.store import pull_bundle

    place, there = split_source(source)
    bundle = pull_bundle(open_place(place, endpoint_url), there, name, Workspace.find(workspace), prove_arrival)
    if as_json:
        print_json({"folder": str(bundle.folder), **bundle.record.model_dump(mode="json")})
    else:
        say(f"{bundle.name} is ready: cv predict PICTURES --weights {bundle.name}")
