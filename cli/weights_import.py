"""`cv weights import`: a model from a zip of ours, or from another program's file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import JsonOption, WorkspaceOption, print_json
from .weights import find_workspace

if TYPE_CHECKING:
    from ..core.workspace import Workspace
    from ..predict.imported import Imported

_FOREIGN = {".pt", ".keras", ".onnx"}


@dataclass(frozen=True)
class ImportOptions:
    """What a person says of a foreign model because its file does not; None: not said.

    Attributes:
        task: "detect" or "classify".
        classes: Names with commas between, or the path of a text file with one a line.
        imgsz: Side of the input in pixels.
        scale: Which numbers the model takes for a pixel: "0-255", "0-1", "-1-1" or "imagenet".
    """

    task: str | None = None
    classes: str | None = None
    imgsz: int | None = None
    scale: str | None = None


def import_weights(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A zip of `cv weights export`, or a .pt, .keras or .onnx.")
    ],
    name: Annotated[str | None, typer.Option("--name", help="What the model is to be called here.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="Of an .onnx file: detect or classify.")] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", help="Class names: a,b,c, or a text file with one a line.")
    ] = None,
    imgsz: Annotated[int | None, typer.Option("--imgsz", min=32, help="Side of its input in pixels.")] = None,
    scale: Annotated[
        str | None, typer.Option("--scale", help="What it takes for a pixel: 0-255, 0-1, -1-1 or imagenet.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in a model: a zip from another machine, or another program's file, which is read without running any of it.

    Where an engine for it is installed, it appears only after its golden samples were repeated in a fresh process.

    Example: cv weights import chess.zip
    """
    from ..core.errors import NotFoundError, UsageError
    from ..core.progress import say
    from ..predict.engines.choose import engines_for

    place = find_workspace(context, workspace)
    path = file.expanduser()
    suffix = path.suffix.lower()
    if not path.is_file():
        raise NotFoundError("There is no such file.", where=path.absolute(),
                            next_step="give a .zip of `cv weights export`, or a .pt, .keras or .onnx file")  # fmt: skip
    options = ImportOptions(task, classes, imgsz, scale)
    if suffix == ".zip":
        if options != ImportOptions():
            raise UsageError("A zip says by itself what its model is.", where=path,
                             next_step="leave out --task, --classes, --imgsz and --scale")  # fmt: skip
        done = _import_zip(path, name, place)
    elif suffix in _FOREIGN:
        from .import_model import import_model

        done = import_model(path, name, place, options)
    else:
        raise UsageError("A model comes as .zip, .pt, .keras or .onnx.", where=path,
                         next_step="for a folder or a store: cv pull-weights")  # fmt: skip
    if as_json or context.obj["as_json"]:
        print_json({
            "folder": str(done.bundle.folder), **done.bundle.record.model_dump(mode="json"),
            "facts": done.facts, "proven": done.proven,
        })  # fmt: skip
    else:
        called = done.bundle.name
        say(f"{called} is ready: cv predict PICTURES --weights {called}" if engines_for(done.bundle) else
            f"{called} is here: {done.bundle.folder}")  # fmt: skip


def _import_zip(path: Path, name: str | None, place: Workspace) -> Imported:
    from ..predict.imported import Imported
    from ..predict.proof import prove_arrival
    from ..weights.archive import import_zip

    proven: list[str] = []
    bundle = import_zip(path, name, place, lambda folder: proven.extend(prove_arrival(folder)))
    return Imported(bundle, {}, tuple(proven))
