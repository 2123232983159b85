"""`cv import-dataset`: from a person's folder or zip to a dataset in the workspace."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import JsonOption, WorkspaceOption, print_json


class Layout(StrEnum):
    """What `--format` takes."""

    auto = "auto"
    yolo = "yolo"
    coco = "coco"
    voc = "voc"
    folder = "folder"


def import_dataset(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with pictures and labels, or a zip of one.")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the dataset. Default: that of PATH.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="Split all pictures anew, such as 70/20/10 (train/valid/test). Without it splits that are there stay,"
            " and where there are none it is 70/20/10.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the split.")] = 0,
    link: Annotated[
        bool,
        typer.Option("--link", help="Make hard links of the pictures instead of copies: quick, and no room needed."),
    ] = False,
    layout: Annotated[
        Layout, typer.Option("--format", help="Layout of PATH. auto recognises it; folder is one folder per class.")
    ] = Layout.auto,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier import of PATH brought.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring your own folder or zip into datasets/; the original is only read.

    Example: cv import-dataset ~/Downloads/chess.zip --name chess
    """
    from ..core.progress import say
    from ..core.workspace import Workspace
    from ..datasets.import_dataset import ImportConfig
    from ..datasets.import_dataset import import_dataset as run
    from ..datasets.write import ensure_writable

    config = ImportConfig(
        name=name,
        split=split,
        seed=seed,
        link=link,
        format=None if layout is Layout.auto else layout.value,
        force=force,
    )
    place = Workspace.find(workspace)
    ensure_writable(place)
    done = run(path, place, config)
    record = done.record
    next_step = f"cv check-dataset {done.folder.name}"
    if as_json:
        about = record.model_dump(mode="json", exclude={"files"})
        print_json({
            "name": done.folder.name, "folder": str(done.folder), "fresh": done.fresh, "next": next_step, **about,
        })  # fmt: skip
        return
    counts = ", ".join(f"{split} {count}" for split, count in record.counts.items())
    say(f"{path} {'is in' if done.fresh else 'was imported already, and nothing has changed:'} {done.folder}")
    say(f"pictures: {counts}")
    say(f"classes:  {len(record.names)}: {', '.join(record.names)}")
    say(f"licence:  {record.licence or 'not stated'}")
    for remark in record.remarks:
        say(f"note:     {remark}")
    say(f"Next: {next_step}")
