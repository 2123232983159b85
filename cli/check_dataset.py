"""`cv check-dataset`: what is wrong with a dataset, why it hurts, and what would repair it."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Annotated

import typer

from .leak_effect import leak_effect, open_fitting, tell_leak_effect
from .options import DatasetArgument, JsonOption, WorkspaceOption, plain, print_json


def check_dataset(
    name: DatasetArgument,
    html: Annotated[
        bool, typer.Option("--html", help="Also write a page with pictures: reports/check-DATASET.html.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Leave with exit code 5 when there is a problem or a warning.")
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="Also measure this trained model, with the pictures that leak and without."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that look at pictures. Default: one per core.")
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Read every picture again, even those that have not changed.")
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look a dataset over: damaged pictures, wrong labels, classes out of balance, leaks between splits.

    Example: cv check-dataset chess --html
    """
    from ..core.progress import progress, say
    from ..core.workspace import Workspace
    from ..datasets.check.run import CheckConfig, check_dataset
    from ..datasets.check.tell import as_values, tell
    from ..datasets.read import open_dataset

    place = Workspace.find(workspace)
    dataset = open_dataset(name, place)
    if weights:
        open_fitting(weights, dataset, place)  # before every picture is read
    with progress("looking at the pictures", dataset.count()) as advance:
        report = check_dataset(dataset, CheckConfig(workers=workers, remember=not forget), advance)
    effects = leak_effect(report, weights, place) if weights else []
    page = None
    if html:
        from ..datasets.check.page import write_check_page

        page = write_check_page(report, place)
    train = "train-yolo" if dataset.task == "detect" else "finetune"
    follow = f"cv {'fix-dataset' if report.fixable else train} {shlex.quote(name)}"
    if as_json:
        measured = [asdict(effect) for effect in effects] if weights else None
        print_json({**as_values(report), "leak_effect": measured, "page": page and str(page), "next": follow})
    else:
        for line in tell(report):
            typer.echo(plain(line))
        typer.echo("")
        if weights:
            tell_leak_effect(effects, weights)
        if page:
            say(f"The page: {page}")
        say(f"Next: {follow}")
    if strict and not report.sound:
        raise typer.Exit(5)
