"""What `cv weights import` does with a file of another program: by its ending, the room that knows such models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

if TYPE_CHECKING:
    from ..core.workspace import Workspace
    from ..predict.imported import ImportConfig, Imported
    from .weights_import import ImportOptions


def import_model(path: Path, name: str | None, workspace: Workspace, options: ImportOptions) -> Imported:
    """Make a bundle of a `.pt`, `.keras` or `.onnx` file; nothing in the file is run as a program.

    Args:
        path: The file.
        name: What the bundle is to be called; None: like the file.
        workspace: Where it goes.
        options: What the person says of it.

    Raises:
        UsageError: something is missing that the file does not say, or an option does not fit this kind of file.
        DataError: the file is refused; the message names what it asks for.
    """
    config = _config(name, options)
    match path.suffix.lower():
        case ".pt":
            from ..detect.imported import import_checkpoint

            return import_checkpoint(path, workspace, config)
        case ".keras":
            from ..classify.imported import import_keras_file

            return import_keras_file(path, workspace, config)
        case _:
            from ..predict.onnx_import import import_onnx

            return import_onnx(path, workspace, config)


def _config(name: str | None, options: ImportOptions) -> ImportConfig:
    from ..core.errors import UsageError
    from ..predict.imported import ImportConfig, Scale, Task

    for option, value, kind in (("--task", options.task, Task), ("--scale", options.scale, Scale)):
        if value is not None and value not in get_args(kind):
            raise UsageError(f"There is no '{value}'.", where=option, next_step=f"use {', '.join(get_args(kind))}")
    classes = _classes(options.classes) if options.classes is not None else None
    return ImportConfig(name, options.task, classes, options.imgsz, options.scale)  # pyright: ignore[reportArgumentType]


def _classes(said: str) -> tuple[str, ...]:
    """Names with commas between, or those in a text file, one a line."""
    from ..core.errors import UsageError

    path = Path(said).expanduser()
    if path.suffix.lower() in {".txt", ".names"} or (len(said) < 1000 and path.is_file()):
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The class names cannot be read: {error}", where=path) from None
    else:
        lines = said.split(",")
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise UsageError("No class has a name.", where="--classes", next_step="give a,b,c or a text file")
    return names
