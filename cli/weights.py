"""`cv weights`: list and show bundles."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import JsonOption, WorkspaceOption, print_json


def weights(
    name: Annotated[str | None, typer.Argument(help="A bundle's name or folder; without it, all are listed.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the trained models, or show and check one.

    Example: cv weights chess-yolo26n
    """
    from ..core.workspace import Workspace
    from ..weights.bundle import list_bundles, open_bundle, read_record

    place = Workspace.find(workspace)
    if name is not None:
        record = open_bundle(name, place).record
        if as_json:
            print_json(record.model_dump(mode="json"))
        else:
            _show(record)
        return
    records = [read_record(folder) for folder in list_bundles(place)]
    if as_json:
        print_json([record.model_dump(mode="json") for record in records])
    else:
        _list(records, place.weights)


def _show(record) -> None: ...


def _list(records, home) -> None: ...
