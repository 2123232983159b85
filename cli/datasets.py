"""`cv datasets`: which datasets there are, what is in one, and how two differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import DatasetArgument, JsonOption, WorkspaceOption, plain, print_json

if TYPE_CHECKING:
    from ..datasets.catalog import Details, Entry
    from ..datasets.compare import Difference

_NAMED = 5
_COMMANDS = {"fix": "fix-dataset", "split": "split-dataset", "crops": "crops"}
datasets_app = typer.Typer(invoke_without_command=True, no_args_is_help=False)


@datasets_app.callback()
def datasets(context: typer.Context, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the datasets; `show NAME` tells all about one, `diff A B` what changed between two.

    Example: cv datasets
    """
    if context.invoked_subcommand is not None:
        context.obj = {"workspace": workspace, "as_json": as_json}
        return
    from ..core.progress import say
    from ..core.workspace import Workspace
    from ..datasets.catalog import list_datasets

    place = Workspace.find(workspace)
    found, others = list_datasets(place)
    if as_json:
        print_json([asdict(entry) for entry in found])
    else:
        _list(found, place.datasets)
    if others:
        what = "folder without pictures is" if len(others) == 1 else "folders without pictures are"
        say(f"{len(others)} {what} passed over in {place.datasets}")


@datasets_app.command("show")
def show(
    context: typer.Context, dataset: DatasetArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False
) -> None:
    """Tell what is in a dataset: counts, balance, sizes, where it came from, and whether it is as it was recorded.

    Example: cv datasets show chess
    """
    from ..core.progress import progress
    from ..core.workspace import Workspace
    from ..datasets.catalog import show_dataset
    from ..datasets.read import open_dataset

    place = Workspace.find(workspace or context.obj["workspace"])
    opened = open_dataset(dataset, place)
    with progress("reading", opened.count()) as advance:
        details = show_dataset(opened, place, advance)
    if as_json or context.obj["as_json"]:
        print_json(_details_as_json(details))
    else:
        _show(details)


@datasets_app.command("diff")
def diff(
    context: typer.Context,
    first: Annotated[str, typer.Argument(help="The one to start from: a name, or a folder.")],
    second: Annotated[str, typer.Argument(help="The one to compare it with.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what changed from one dataset to another, by what the pictures hold and not by what they are called.

    Example: cv datasets diff chess chess-fixed
    """
    from ..core.progress import progress
    from ..core.workspace import Workspace
    from ..datasets.compare import compare_datasets
    from ..datasets.read import open_dataset

    place = Workspace.find(workspace or context.obj["workspace"])
    one, other = open_dataset(first, place), open_dataset(second, place)
    with progress("comparing", one.count() + other.count()) as advance:
        found = compare_datasets(one, other, advance)
    if as_json or context.obj["as_json"]:
        print_json({"first": str(one.root), "second": str(other.root), "equal": found.nothing, **asdict(found)})
    else:
        _tell_difference(found, other.root)


def _list(found: list[Entry], home: Path) -> None:
    """Two lines for each, so that it fits a narrow terminal: what it is, and where it comes from."""
    from rich.cells import cell_len
    from rich.filesize import decimal

    from ..core.progress import say, warn

    if not found:
        say(f"There is no dataset in {home} yet. `cv pull-dataset` and `cv import-dataset` bring one.")
        return
    rows = [("name", "task", "train/valid/test", "classes", "size", "made")]
    for entry in found:
        counts = "/".join(str(entry.counts.get(split, 0) or "-") for split in ("train", "valid", "test"))
        rows.append((entry.name, entry.task or "?", counts, str(len(entry.names)), decimal(entry.bytes), _age(entry)))
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True)]
        typer.echo(plain("  ".join(cells).rstrip()))
        if number and not (entry := found[number - 1]).problem:
            names = f"{', '.join(entry.names[:5])}{', ...' if len(entry.names) > 5 else ''}"
            typer.echo(plain(f"    {names}; from: {entry.source}; licence: {entry.licence or 'not stated'}"))
    for entry in found:
        if entry.problem:
            warn(f"{entry.name} cannot be used: {entry.problem}")


def _show(details: Details) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(show_header=False)
    for key, value in _facts(details).items():
        table.add_row(key, escape(plain(value)))
    console.print(table)
    per_class = Table("class", *details.classes)
    for number, name in enumerate(details.entry.names):
        cells = [_count_of(counts[number].pictures, counts[number].boxes) for counts in details.classes.values()]
        per_class.add_row(escape(plain(name)), *cells)
    if any(details.empty.values()):
        per_class.add_row("(no objects)", *(_count_of(details.empty[split], 0) for split in details.classes))
    console.print(per_class)


def _count_of(pictures: int, boxes: int) -> str:
    from ..core.words import many

    shown = many(pictures, "picture")
    return f"{boxes} in {shown}" if boxes else shown if pictures else "-"


def _facts(details: Details) -> dict[str, str]:
    from rich.filesize import decimal

    from ..core.words import many

    entry, record, boxes = details.entry, details.record, details.boxes
    sizes = [f"{width} x {height} ({count})" for (width, height), count in details.sizes[:3]]
    facts = {
        "name": entry.name,
        "folder": str(entry.folder),
        "task": entry.task or "?",
        "pictures": ", ".join(f"{split} {count}" for split, count in details.counts.items() if count),
        "picture sizes": ", ".join(sizes) + (f" and {len(details.sizes) - 3} more" if len(details.sizes) > 3 else ""),
        "size on disk": decimal(entry.bytes),
        "source": entry.source,
        "licence": entry.licence or "not stated",
        "made": f"{entry.created:%Y-%m-%d %H:%M} UTC, {_age(entry)}" if entry.created else "unknown",
        "fingerprint": details.fingerprint[:16] or "none: a picture cannot be read",
        "files": _as_recorded(details),
    }
    if boxes:
        facts["boxes"] = (
            f"{boxes.small} small, {boxes.medium} medium, {boxes.large} large (parted at 32 and 96 pixels);"
            f" the median is {boxes.median_side:.0f} pixels a side, {boxes.median_share:.2%} of its picture;"
            f" {boxes.most} at most on one"
        )
    if record is not None and record.origin.kind == "dataset":
        facts["made from"] = (
            f"{record.origin.parent} (fingerprint {record.origin.parent_fingerprint[:16]})"
            f" with cv {_COMMANDS[record.origin.made_by]}{as_typed(record.origin.options)}"
        )
    if details.label_problems:
        facts["label rows"] = f"{details.label_problems} left out or mended; cv check-dataset {entry.name} names them"
    if details.unreadable:
        path, reason = details.unreadable[0]
        facts["not usable"] = f"{many(len(details.unreadable), 'picture')}; the first: {path.name}, {reason}"
    return facts | ({"notes": "\n".join(details.remarks)} if details.remarks else {})


def as_typed(options: Mapping[str, Any]) -> str:
    """As they would be typed; those that ask for nothing are left out."""
    shown = []
    for key, value in options.items():
        if not value or key == "fold" or (key == "ratios" and options.get("folds")):
            continue
        parts = value if isinstance(value, list) else [value]
        text = ("/" if key == "ratios" else ",").join(
            f"{one:g}" if isinstance(one, float) else f"{one}" for one in parts
        )
        shown.append(f" --{key.replace('_', '-')} {text}")
    return "".join(shown) + (f", fold {options['fold']}" if options.get("fold") else "")


def _as_recorded(details: Details) -> str:
    if details.record is None or details.changed is None:
        return "no record to compare with"
    if not details.changed and not details.unrecorded:
        return f"all {len(details.record.files)} as they were recorded"
    changed = [*details.changed, *(path.name for path in details.unrecorded)]
    named = ", ".join(changed[:_NAMED]) + (", ..." if len(changed) > _NAMED else "")
    return f"{len(details.changed)} changed or missing, {len(details.unrecorded)} new since the record: {named}"


def _tell_difference(found: Difference, root: Path) -> None:
    from ..core.words import many
    from ..datasets.check.tell import shown_path

    if found.nothing:
        typer.echo(f"Nothing: {many(found.same, 'picture')}, with the same labels in the same splits.")
        return
    typer.echo(f"{many(found.same, 'picture is', 'pictures are')} the same in both")
    slightly = "with boxes moved slightly (less than half a pixel)"
    rows: list[tuple[str, str, list[str]]] = [
        ("picture", "added", [shown_path(path, root) for path in found.added]),
        ("picture", "removed", [path.name for path in found.removed]),
        ("picture", "with new content", [shown_path(path, root) for path in found.rewritten]),
        ("picture", "moved", [f"{shown_path(m.path, root)} ({m.before} -> {m.after})" for m in found.moved]),
        ("picture", "relabelled", [
            f"{shown_path(change.path, root)} (+{change.added} -{change.removed}"
            f"{f', {change.renamed} of another class' if change.renamed else ''})" for change in found.relabelled
        ]),
        ("picture", slightly, [shown_path(path, root) for path in found.nudged]),
        ("class", "added", list(found.classes_added)),
        ("class", "removed", list(found.classes_removed)),
    ]  # fmt: skip
    for one, what, which in rows:
        if which:
            named = "; ".join(which[:_NAMED]) + ("; ..." if len(which) > _NAMED else "")
            typer.echo(plain(f"{many(len(which), one, 'classes' if one == 'class' else None)} {what}: {named}"))
    if found.classes_reordered:
        typer.echo("the classes stand in another order")


def _details_as_json(details: Details) -> dict[str, Any]:
    names = details.entry.names
    return {
        **asdict(details.entry),
        "counts": details.counts,
        "classes": {
            split: {name: asdict(count) for name, count in zip(names, counts, strict=True)}
            for split, counts in details.classes.items()
        },
        "without_objects": details.empty,
        "sizes": [{"width": width, "height": height, "pictures": count} for (width, height), count in details.sizes],
        "boxes": asdict(details.boxes) if details.boxes else None,
        "label_problems": details.label_problems,
        "unreadable": [[str(path), reason] for path, reason in details.unreadable],
        "fingerprint": details.fingerprint,
        "origin": details.record.origin.model_dump(mode="json") if details.record else None,
        "changed": details.changed,
        "unrecorded": [str(path) for path in details.unrecorded],
        "remarks": details.remarks,
    }


def _age(entry: Entry) -> str:
    from datetime import UTC, datetime

    if entry.created is None:
        return "unknown"
    days = (datetime.now(UTC) - entry.created).days
    return "today" if days < 1 else "yesterday" if days == 1 else f"{days} days ago"
