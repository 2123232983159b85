"""`cv runs`: what was trained and tried, how it ended, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import JsonOption, WorkspaceOption, plain, print_json

if TYPE_CHECKING:
    from ..core.manifest import RunManifest
    from ..core.runs import RunEntry

_LEAKS = "*"  # beside a score that is too good
_EARLIER = "†"  # beside the score of a model from before an extension that is not done
_INTERNAL = {"start_sha256"}  # for `cv resume`, not for a person; --json has it
_CHECKED = {
    "published": "yes, it is the file that Ultralytics published",
    "remembered": "it is the file that was first fetched here; no published checksum is known",
    "not checked": "no: nobody has published a checksum of this file",
}
RESUMED = ("train-yolo", "finetune", "tune")  # the commands whose runs `cv resume` goes on with


def runs(
    name: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's name or folder; without it, all are listed.")
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only runs with this dataset.")] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", help="Only runs that are: running, done, failed, interrupted, killed or damaged."),
    ] = None,
    command: Annotated[
        str | None, typer.Option("--command", help="Only runs of this command: train-yolo, finetune, predict, ...")
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", help="The best first by this figure: mAP50, accuracy, ... Default: by date.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs, the newest first, or show one: what it was given, how good it was, what to do next.

    Example: cv runs --dataset chess --sort mAP50
    """
    from dataclasses import asdict

    from ..core.manifest import MANIFEST_NAME, RunManifest
    from ..core.runs import alive_or_killed, choose, list_runs, summarize
    from ..core.workspace import Workspace, locate

    place = Workspace.find(workspace)
    if name is not None:
        folder = locate(name, place.runs, "run", marker=MANIFEST_NAME)
        manifest = RunManifest.load(folder)
        entry = alive_or_killed(folder, summarize(folder))
        trained = trained_for(folder, manifest)
        if as_json:
            print_json({
                "folder": str(folder), **manifest.model_dump(mode="json"), "status": entry.status, "split": entry.split,
                "metrics": entry.metrics, "trained_for": trained, "files": _files(folder),
                "next": _next(entry, folder),
            })  # fmt: skip
        else:
            _show(folder, manifest, entry, trained)
        return
    found = choose(list_runs(place), dataset=dataset, status=status, command=command, sort=sort)
    if as_json:
        print_json([{"folder": str(place.runs / entry.name), **asdict(entry)} for entry in found])
    else:
        _list(found, place.runs, sort, filtered=any((dataset, status, command)))


def _list(found: list[RunEntry], home: Path, sort: str | None, *, filtered: bool) -> None:
    """Two lines a run, so that it fits a narrow terminal: how it did, and what to call it."""
    from ..core.progress import say

    if not found:
        say(f"No run in {home} is like that." if filtered else f"There is no run in {home} yet: train something.")
        return
    found = found if sort else _with_their_tuning(found)
    names = {entry.name for entry in found}
    earlier = {entry.name for entry in found if _value(entry, sort) is not None and _of_earlier(entry, home)}
    rows = [("command", "status", "dataset", "model", "score", "took", "started")]
    rows += [
        (
            ("  " if not sort and entry.tuned_by in names else "") + (entry.command or "?"), entry.status,
            entry.dataset or "-", Path(entry.model or "-").name,
            _score(entry, sort) + (_EARLIER if entry.name in earlier else ""), _took(entry), _date(entry),
        )
        for entry in found
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        typer.echo(plain("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()))
        if number:
            entry = found[number - 1]
            what = next(iter((entry.error or "").splitlines()), "")
            of = f", of {entry.tuned_by}" if entry.tuned_by else ""
            typer.echo(plain(f"    {entry.name}{of}{f': {what}' if what else ''}"))
    if any(entry.leaked and _value(entry, sort) is not None for entry in found):
        say(f"{_LEAKS} too good: some of these pictures show what the model was trained on, see cv check-dataset")
    if earlier:
        say(f"{_EARLIER} of the model from before --extend, which is not done: cv resume goes on with it")


def _of_earlier(entry: RunEntry, home: Path) -> bool:
    """Whether a run's figures are of the model that it had before an extension that was not brought to its end."""
    if entry.status in {"done", "damaged"} or entry.command != "train-yolo":
        return False
    from ..core.manifest import RunManifest

    result = RunManifest.load(home / entry.name).result
    return bool(result.get("extended")) and not result.get("trained")


def _with_their_tuning(found: list[RunEntry]) -> list[RunEntry]:
    """The same order, but what a tuning made stands below it."""
    names = {entry.name for entry in found}
    return [
        one
        for entry in found
        if entry.tuned_by not in names
        for one in (entry, *(made for made in found if made.tuned_by == entry.name))
    ]


def _score(entry: RunEntry, sort: str | None) -> str:
    value = _value(entry, sort)
    mark = _LEAKS if entry.leaked else ""
    return f"{sort or entry.metric} {value:.3f}{mark} ({entry.split})" if value is not None else "-"


def _value(entry: RunEntry, sort: str | None) -> float | None:
    return entry.metrics.get(sort) if sort else entry.score


def _took(entry: RunEntry) -> str:
    from ..core.duration import duration_words

    return "-" if entry.seconds is None else duration_words(entry.seconds)


def _date(entry: RunEntry) -> str:
    return f"{entry.started.astimezone():%Y-%m-%d %H:%M}" if entry.started else "-"


def trained_for(folder: Path, manifest: RunManifest) -> str | None:
    """How many epochs a detector was trained for and why it ended there; None for other runs."""
    if manifest.command != "train-yolo":
        return None
    from ..detect.ended import how_it_ended
    from ..detect.history import read_history

    ended = how_it_ended(manifest, read_history(folder))
    return str(ended) if ended else None


def _show(folder: Path, manifest: RunManifest, entry: RunEntry, trained: str | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from ..core.progress import say

    console = Console()
    table = Table("", Column(overflow="fold"), show_header=False)
    for key, value in _facts(folder, manifest, entry, trained).items():
        table.add_row(key, escape(plain(value)))
    console.print(table)
    options = Table("option", Column("value", overflow="fold"))
    for key, value in manifest.options.items():
        if value not in (None, "", [], {}) and key not in _INTERNAL:
            options.add_row(escape(key), escape(plain(_told(key, value))))
    console.print(options)
    if next_lines := _next(entry, folder):
        say("next:")
    for line in next_lines:
        say(f"  {line}")


def _facts(folder: Path, manifest: RunManifest, entry: RunEntry, trained: str | None) -> dict[str, str]:
    data = manifest.dataset
    facts = {
        "run": entry.name,
        "folder": str(folder),
        "command": f"cv {entry.command}",
        "status": entry.status,
        "dataset": f"{data.name}, fingerprint {data.fingerprint[:16]}" if data else "none",
        "device": manifest.device,
        "seed": str(manifest.seed),
        "started": _date(entry),
        "took": _took(entry) + _stages(manifest.timings),
        "versions": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    }
    if trained:
        facts["trained for"] = trained
    earlier = _of_earlier(entry, folder.parent)
    if entry.error:
        facts["what went wrong"] = entry.error
    for name, value in entry.metrics.items():
        if not name.endswith(("_low", "_high")):
            low, high = (entry.metrics.get(f"{name}{end}") for end in ("_low", "_high"))
            between = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
            leak = f"; too good, {entry.leaked} of the pictures leak" if entry.leaked else ""
            before = ", of the model from before --extend" if earlier else ""
            facts[name] = f"{value:.3f}{between} on {entry.split}{leak}{before}"
    if entry.bundle:
        facts["model"] = entry.bundle
    if entry.tuned_by:
        facts["of the tuning"] = entry.tuned_by
    return facts | _files(folder)


def _stages(timings: Mapping[str, float]) -> str:
    from ..core.duration import duration_words

    return f": {', '.join(f'{name} {duration_words(seconds)}' for name, seconds in timings.items())}" if timings else ""


def _told(key: str, value: Any) -> str:
    """An option's value in words; of a spec of augmentation its name."""
    from ..core.duration import duration_words

    if key == "start_checked":
        return _CHECKED.get(value, str(value))
    if key == "time" and isinstance(value, int | float):
        return duration_words(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(str(one) for one in value)
    if isinstance(value, Mapping):
        name = value.get("name")
        return str(name) if name else ", ".join(f"{part}={one}" for part, one in value.items())
    return str(value)


def _files(folder: Path) -> dict[str, str]:
    """What there is to look at in a run's folder."""
    names = {
        "report": "report.html", "evaluation": "evaluation.json", "predictions": "predictions.jsonl",
        "curves": "tensorboard",
    }  # fmt: skip
    return {what: str(folder / name) for what, name in names.items() if (folder / name).exists()}


def _next(entry: RunEntry, folder: Path) -> list[str]:
    """Commands to go on with."""
    import shlex

    run, bundle, dataset = (shlex.quote(text or "") for text in (entry.name, entry.bundle, entry.dataset))
    if entry.status in {"interrupted", "killed", "failed"}:
        if entry.command in RESUMED:
            return [f"cv resume {run}"]
        return [f"cv {entry.command} again: a run of it cannot be resumed"]
    if entry.status == "running" or not entry.bundle:
        return []
    compare = [f"cv compare {run} OTHER-RUN"] if (folder / "evaluation.json").exists() else []
    return [f"cv predict PICTURES --weights {bundle}", f"cv evaluate {dataset} --weights {bundle}", *compare]
