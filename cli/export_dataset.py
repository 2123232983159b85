"""`cv export-dataset`: a dataset in a layout that other tools read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import DatasetArgument, JsonOption, WorkspaceOption, print_json


class Layout(StrEnum):
    """What `--format` takes."""

    yolo = "yolo"
    coco = "coco"
    voc = "voc"
    folder = "folder"


def export_dataset(
    dataset: DatasetArgument,
    layout: Annotated[
        Layout, typer.Option("--format", help="yolo, coco or voc for boxes; folder, one folder per class, for classes.")
    ],
    to: Annotated[
        Path | None, typer.Option("--to", help="New folder, or a file ending in .zip. Default: ./DATASET-FORMAT.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier export wrote there.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a dataset in YOLO, COCO, Pascal VOC or folder-per-class layout, as a folder or a zip.

    Example: cv export-dataset chess --format coco --to chess-coco.zip
    """
    from ..core.progress import say
    from ..core.workspace import Workspace
    from ..datasets.export_dataset import ExportConfig
    from ..datasets.export_dataset import export_dataset as run

    done = run(dataset, layout.value, Workspace.find(workspace), ExportConfig(to=to, force=force))
    if as_json:
        print_json({"path": str(done.path), "counts": done.counts, "losses": done.losses})
        return
    say(f"{dataset} is written to {done.path}")
    say(f"pictures: {', '.join(f'{split} {count}' for split, count in done.counts.items())}")
    for loss in done.losses:
        say(f"note:     {loss}")
