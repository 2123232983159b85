"""`cv compare`: which of several trainings is better, and what they did differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import JsonOption, WorkspaceOption, plain, print_json
from .tables import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..core.manifest import RunManifest
    from ..core.workspace import Workspace
    from ..report.compare import ComparedRun, Comparison, Pair

_MOST_CLASSES = 20


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Two or more finished trainings, by name.")],
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Compare finished trainings: which is better on the same pictures, what differs; writes a page.

    Detectors are compared with detectors and classifiers with classifiers, each with the first one that is named. Only
    pictures count that both were measured on, whatever their names.

    Example: cv compare train-yolo-chess-20260301-101500 train-yolo-chess-20260302-090000
    """
    from ..core.progress import say, warn
    from ..core.workspace import Workspace
    from ..report.compare_page import write_comparison

    place = Workspace.find(workspace)
    found = compare_runs(runs, place)
    page = write_comparison(found, place)
    if as_json:
        print_json({**found.as_record(), "page": str(page)})
        return
    number = {name: str(place) for place, name in enumerate(found.names, 1)}
    for run in found.runs:
        typer.echo(plain(f"{number[run.name]}: {run.name}{f', {run.epochs}' if run.epochs else ''}"))
    for pair in found.pairs:
        _tell_pair(pair, (number[pair.first], number[pair.second]), found.runs[0].leading)
    if not all(pair.differences for pair in found.pairs):
        _tell_alone(found, number)
    for remark in found.remarks:
        warn(remark)
    if found.options:
        typer.echo("\noptions that differ:")
        print_table(("", *number.values()), found.options)
    say(f"The page: {page}")


def compare_runs(names: Sequence[str], workspace: Workspace) -> Comparison:
    """Compare finished runs by name or folder, see `report.compare.compare_runs`.

    Raises:
        NotFoundError: there is no such run.
        UsageError: a run is not finished or no training, or see `report.compare.compare_runs`.
        DataError: a run's record is damaged.
    """
    from ..core.manifest import MANIFEST_NAME
    from ..core.workspace import locate
    from ..report.compare import compare_runs as compare_them

    folders = [locate(name, workspace.runs, "run", marker=MANIFEST_NAME) for name in names]
    return compare_them([_open(folder) for folder in folders])


def _open(run: Path) -> ComparedRun:
    from ..core.errors import UsageError
    from ..core.manifest import RunManifest

    manifest = RunManifest.load(run)
    if manifest.command not in ("train-yolo", "finetune"):
        raise UsageError(
            f"'{run.name}' is a run of `cv {manifest.command}`; only trainings can be compared.",
            where=run,
            next_step="name runs of `cv train-yolo` or of `cv finetune`; `cv runs` lists them",
        )
    if manifest.status != "done":
        raise UsageError(_unfinished(run.name, manifest), where=run, next_step=f"cv resume {run.name}")
    if manifest.command == "train-yolo":
        from ..detect.compared import open_compared
    else:
        from ..classify.compared import open_compared
    return open_compared(run, manifest)


def _unfinished(name: str, manifest: RunManifest) -> str:
    words = {"running": "is not finished, or was killed", "failed": "failed", "interrupted": "was interrupted"}
    why = f": {str(manifest.result['error']).splitlines()[0]}" if manifest.result.get("error") else ""
    return f"The run '{name}' {words.get(manifest.status, manifest.status)}, so there is nothing to compare{why}"


def _tell_alone(found: Comparison, number: Mapping[str, str]) -> None:
    """What each run came to on its own pictures, where others cannot tell."""
    rows = [
        (number[name], split, {measure: str(value) for (of, measure), value in values.items() if not of})
        for name, splits in found.alone.items()
        for split, values in splits.items()
    ]
    measures = list(dict.fromkeys(measure for _, _, own in rows for measure in own))
    if rows:
        typer.echo("each on its own pictures:")
        print_table(
            ("", "", *measures), [(name, split, *(own.get(m, "-") for m in measures)) for name, split, own in rows]
        )


def _tell_pair(pair: Pair, heads: tuple[str, str], leading: str) -> None:
    """The answer, the figures of all classes together, and of each class the one that tells most."""
    typer.echo("")
    for sentence in pair.sentences():
        typer.echo(plain(sentence))
    whole = [one for one in pair.differences if not one.of]
    typer.echo("")
    if not whole:
        return
    print_table(
        ("", *heads, "points more", ""),
        [[one.measure, str(one.first), str(one.second), one.points(), one.verdict] for one in whole],
    )
    classes = [one for one in pair.differences if one.of and one.measure == leading]
    classes.sort(key=lambda one: (one.within_noise, -abs(one.difference.value)))
    if len(classes) > 1:
        typer.echo(f"\n{leading} of each class:")
        print_table(
            ("", *heads, "points more", ""),
            [
                [one.of, f"{one.first.value:.3f}", f"{one.second.value:.3f}", one.points(), one.verdict]
                for one in classes[:_MOST_CLASSES]
            ],
        )
    if len(classes) > _MOST_CLASSES:
        typer.echo(f"... and {len(classes) - _MOST_CLASSES} more classes, on the page")
