"""`cv weights`: list and show bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import JsonOption, WorkspaceOption, print_json

if TYPE_CHECKING:
    from ..weights.bundle import BundleRecord


def weights(
    name: Annotated[str | None, typer.Argument(help="A bundle's name or folder; without it, all are listed.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the trained models, or show one and check its files.

    Example: cv weights chess-yolo26n
    """
    from ..core.errors import DataError
    from ..core.progress import warn
    from ..core.workspace import Workspace
    from ..weights.bundle import open_bundle, read_record
    from ..weights.shelf import list_bundles

    place = Workspace.find(workspace)
    if name is not None:
        bundle = open_bundle(name, place)
        if as_json:
            print_json({"folder": str(bundle.folder), **bundle.record.model_dump(mode="json")})
        else:
            _show(bundle.folder, bundle.record)
        return
    found = []
    for folder in list_bundles(place):
        try:
            found.append((folder, read_record(folder)))
        except DataError as error:
            warn(f"{folder.name} is left out: {error.what}")
    if as_json:
        print_json([{"folder": str(folder), **record.model_dump(mode="json")} for folder, record in found])
    else:
        _list(found, place.weights)


def _list(found: list[tuple[Path, BundleRecord]], home: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..core.progress import say

    if not found:
        say(f"There is no model in {home} yet. `cv train-yolo` and `cv finetune` make one; `cv demo` shows both.")
        return
    table = Table()
    for head in ("name", "task", "classes", "input", "score", "made"):
        table.add_column(head, no_wrap=head == "name", overflow="fold")
    for folder, record in found:
        size = f"{record.preprocessing.width} x {record.preprocessing.height}"
        classes = f"{len(record.names)}: {', '.join(record.names[:4])}{', ...' if len(record.names) > 4 else ''}"
        table.add_row(
            escape(folder.name), record.task, escape(classes), size, _score(record), f"{record.created:%Y-%m-%d %H:%M}"
        )
    Console().print(table)


def _score(record: BundleRecord) -> str:
    key = "mAP50" if record.task == "detect" else "accuracy"
    value = record.metrics.get(key)
    return f"{key} {value:.3f} ({record.metrics_split})" if value is not None else "not measured"


def _thresholds(record: BundleRecord) -> str:
    if record.thresholds is None:
        return f"{record.confidence:g}" if record.confidence else "none: it always answers"
    return "'unknown' below " + ", ".join(
        f"{name} {value:.3f}" for name, value in zip(record.names, record.thresholds, strict=True)
    )


def _temperature(record: BundleRecord) -> dict[str, str]:
    said = "none: probabilities are taken as they are" if record.temperature == 1 else f"{record.temperature:.3f}"
    return {"calibration temperature": said}


def _show(folder: Path, record: BundleRecord) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..weights.card import told_metrics

    table = Table(show_header=False)
    rows = {
        "name": folder.name,
        "folder": str(folder),
        "task": record.task,
        "model": record.detector.family if record.detector else record.classifier.backbone if record.classifier else "",
        "classes": ", ".join(record.names),
        "input": f"{record.preprocessing.width} x {record.preprocessing.height}, {record.preprocessing.resize}",
        "threshold": _thresholds(record),
        **(_temperature(record) if record.task == "classify" else {}),
        "made": f"{record.created:%Y-%m-%d %H:%M} UTC by run {record.run or 'unknown'}",
        "data": f"{record.dataset.name}, fingerprint {record.dataset.fingerprint[:16]}"
        if record.dataset
        else "unknown",
        "files": f"{len(record.files)}, all as they were when the bundle was made",
    }
    rows |= dict(told_metrics(record))
    for key, value in rows.items():
        table.add_row(key, escape(value))
    Console().print(table)
