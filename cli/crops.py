"""`cv crops`: the boxes of a detection dataset as pictures for a classifier."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import DatasetArgument, JsonOption, WorkspaceOption, print_json


def crops(
    name: DatasetArgument,
    margin: Annotated[
        float,
        typer.Option("--margin", help="Cut out this much more around a box: a share of its longer side."),
    ] = 0.1,
    min_size: Annotated[
        int, typer.Option("--min-size", help="Pass over boxes with a side of fewer pixels than this.")
    ] = 16,
    new_name: Annotated[
        str | None, typer.Option("--name", help="Name of the new dataset. Default: NAME-crops.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cut out the boxes of a detection dataset, one folder per class, to train the classifier behind the detector.

    Example: cv crops chess-v2 --margin 0.1
    """
    from ..core.workspace import Workspace
    from ..datasets.crops import CropsConfig, cut_crops

    report = cut_crops(name, Workspace.find(workspace), CropsConfig(margin, min_size, new_name))
    # What stands still in several pictures gives crops that are alike, so they may leak where the pictures do not.
    follow = f"cv check-dataset {report.folder.name}"
    if as_json:
        print_json({
            "name": report.folder.name, "folder": str(report.folder), "fingerprint": report.record.fingerprint,
            "crops": report.crops, "too_small": report.too_small, "unreadable": report.unreadable,
            "next": follow,
        })  # fmt: skip
        return
    from rich.markup import escape
    from rich.table import Table

    from ..core.progress import console, say
    from ..core.words import many
    from ..datasets.model import SPLITS

    table = Table("class", *SPLITS, box=None, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for class_name, counts in report.crops.items():
        table.add_row(escape(class_name), *(str(counts[split]) for split in SPLITS))
    console.print(table)
    for remark in report.record.remarks:
        say(f"note: {remark}")
    if report.too_small:
        small = many(report.too_small, "box is", "boxes are")
        say(f"note: {small} smaller than {min_size} pixels: passed over (--min-size).")
    say(f"The crops are in {report.folder}, in the splits that their pictures are in.")
    say(f"Next: {follow}")
