"""`cv weights export`: a model as one zip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import JsonOption, WorkspaceOption, print_json
from .weights import NameArgument, find_workspace


def export_weights(
    context: typer.Context,
    name: NameArgument,
    to: Annotated[Path, typer.Option("--to", help="The zip to write; it must not exist.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pack a model into one zip, for `cv weights import` on another machine. The same model gives the same bytes.

    For another format, such as TensorRT or TFLite, see `cv export`.

    Example: cv weights export chess-yolo26n --to chess.zip
    """
    from ..core.files import sha256_of
    from ..core.progress import say
    from ..weights.archive import export_zip
    from ..weights.bundle import open_bundle

    file = export_zip(open_bundle(name, find_workspace(context, workspace)), to)
    if as_json or context.obj["as_json"]:
        print_json({"file": str(file), "bytes": file.stat().st_size, "sha256": sha256_of(file)})
    else:
        say(f"{name} is packed into {file}; on the other machine: cv weights import {file.name}")
