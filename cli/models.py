"""`cv models`: which detectors there are, how large they are, and which this machine can train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import DeviceOption, JsonOption, WorkspaceOption, print_json

if TYPE_CHECKING:
    from ..detect.listing import Listing


def models(
    name: Annotated[str | None, typer.Argument(help="Part of a name: yolo26, rtdetr, -p6.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Variants too: p2 for small objects, p6 for large pictures, ghost, ...")
    ] = False,
    imgsz: Annotated[
        int, typer.Option("--imgsz", min=64, help="Side of the training pictures in pixels, for the memory.")
    ] = 640,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Pictures per training step, for the memory.")] = 16,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """List the detectors by name, with their size and what fits this machine.

    Numbers are what a model learns, in millions. Memory is an estimate for training, within a few percent on a CPU;
    using a model takes far less. "batch 8" fits with --batch 8. Who has no reason for another takes yolo26n.

    Example: cv models yolo26 --imgsz 320
    """
    from ..core.workspace import Workspace
    from ..detect.listing import list_detectors

    found = list_detectors(name, Workspace.find(workspace), imgsz=imgsz, batch=batch, device=device)
    if as_json:
        print_json(found.as_record())
    else:
        _print(found, every=every or name is not None)


def _print(found: Listing, *, every: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..core.progress import say
    from ..detect.models import DEFAULT_MODEL

    shown = [row for row in found.rows if every or "-" not in row.card.family.removeprefix("rtdetr-")]
    table = Table()
    for head in ("name", "numbers", "file", "memory", "fits", "pretrained"):
        table.add_column(head, no_wrap=True, justify="left" if head in {"name", "fits", "pretrained"} else "right")
    for row in shown:
        fits = "yes" if row.fits else f"batch {row.largest_batch}" if row.largest_batch else "no"
        table.add_row(row.card.name, f"{row.card.parameters / 1e6:.1f} M", f"{row.card.file_bytes / 1e6:.0f} MB",
                      f"{row.memory / 1e9:.1f} GB", fits, row.pretrained_words)  # fmt: skip
    if found.rows:
        Console().print(table)
        say(f"memory: for training at {found.imgsz} pixels and {found.batch} pictures a step, estimated; here is "
            f"{found.where}")  # fmt: skip
        say(
            "pretrained: here on this machine, official file with a known checksum, unchecked where none is known, none"
        )
        if any(not row.fits and row.largest_batch for row in shown):
            say("fits: 'batch 8' means that it fits with --batch 8, not with what was asked for")
        say(f"The default is {DEFAULT_MODEL}: right to begin with; a larger one (s, m, ...) pays with some thousands of"
            " boxes")  # fmt: skip
    if rest := len(found.rows) - len(shown):
        say(f"{rest} variants (p2, p6, ghost, ...) are left out: --all lists them, and so does a name")
    for old, near in found.not_here.items():
        say(f"{old}: not here; {found.why_not_here}. The nearest is {near}.")
