"""`cv weights`: which models there are, and what is in one."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import JsonOption, WorkspaceOption, plain, print_json

if TYPE_CHECKING:
    from ..core.workspace import Workspace
    from ..weights.bundle import Bundle, BundleRecord

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A model's name in weights/, or its folder.")]
_LONGEST_NAME = 20  # a longer one has a line of its own, so that the table fits 80 columns
_WIDTH = 80
_NATIVE_FILES = {"model.pt": "pt", "model.keras": "keras", "model.onnx": "onnx", "model.xml": "openvino"}


def find_workspace(context: typer.Context, given: Path | None) -> Workspace:
    """The workspace of a sub-command: the option may stand before its name or after."""
    from ..core.workspace import Workspace

    return Workspace.find(given or context.obj["workspace"])


def list_weights(context: typer.Context, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the models: how good each is, how large, where from, and which engines here run it.

    Example: cv weights list
    """
    print_list(find_workspace(context, workspace), as_json=as_json or context.obj["as_json"])


def show_weights(
    context: typer.Context, name: NameArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False
) -> None:
    """Tell all about a model, after a look at whether its files are as they were.

    Example: cv weights show chess-yolo26n
    """
    from ..weights.bundle import open_bundle

    bundle = open_bundle(name, find_workspace(context, workspace))
    if as_json or context.obj["as_json"]:
        print_json(_as_json(bundle))
    else:
        _show(bundle)


def print_list(place: Workspace, *, as_json: bool) -> None:
    """What `cv weights` prints: a table, or JSON."""
    from ..core.errors import DataError
    from ..core.progress import say, warn
    from ..weights.bundle import Bundle, read_record
    from ..weights.shelf import list_bundles

    found = []
    for folder in list_bundles(place):
        try:
            found.append(Bundle(folder, read_record(folder)))
        except DataError as error:
            warn(f"{folder.name} is left out: {error.what}")
    if as_json:
        print_json([_as_json(bundle) for bundle in found])
    elif not found:
        say(f"There is no model in {place.weights} yet. `cv train-yolo` and `cv finetune` make one; `cv weights import`"
            " and `cv pull-weights` bring one; `cv demo` shows both kinds.")  # fmt: skip
    else:
        _print(found)


def _print(found: list[Bundle]) -> None:
    """A line for each, and one below it for where it is from and what runs it."""
    from rich.cells import cell_len

    rows = [("name", "task", "score", "on disk", "made")]
    rows += [
        (one.name, one.record.task, _score(one.record), _size(one), f"{one.record.created:%Y-%m-%d}") for one in found
    ]
    shown = [cell_len(row[0]) for row in rows]
    widths = [max((width for width in shown if width <= _LONGEST_NAME), default=4)]
    widths += [max(cell_len(row[column]) for row in rows) for column in range(1, len(rows[0]))]
    for number, row in enumerate(rows):
        if shown[number] > _LONGEST_NAME:
            typer.echo(plain(row[0]))
            row = ("", *row[1:])
        cells = [text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True)]
        typer.echo(plain("  ".join(cells).rstrip()))
        if number:
            told = _about(found[number - 1])
            indent = "    "
            typer.echo(plain(textwrap.fill(told, _WIDTH, initial_indent=indent, subsequent_indent=indent)))


def _about(bundle: Bundle) -> str:
    from ..core.words import many

    record = bundle.record
    names = f"{', '.join(record.names[:4])}{', ...' if len(record.names) > 4 else ''}"
    origin = f"exported from {record.exported.source}" if record.exported else record.origin
    data = f"; data: {record.dataset.name}" if record.dataset else ""
    count = many(len(record.names), "class", "classes")
    return f"{origin}; {count}: {names}{data}; {'+'.join(_formats(record))}; {_runs_on(bundle)}"


def _formats(record: BundleRecord) -> list[str]:
    if record.exported:
        return [f"{record.exported.format} {record.exported.precision}"]
    return [told for name, told in _NATIVE_FILES.items() if name in record.files]


def _runs_on(bundle: Bundle) -> str:
    engines = ready_engines(bundle)
    return f"runs on {', '.join(engines)}" if engines else "no engine here runs it"


def ready_engines(bundle: Bundle) -> list[str]:
    """The engines that are installed here and for which a bundle has a file; none of them is loaded."""
    from importlib.util import find_spec

    from ..predict.engines.choose import engines_for

    return [engine for engine in engines_for(bundle) if find_spec(engine)]


def _size(bundle: Bundle) -> str:
    from rich.filesize import decimal

    return decimal(_bytes(bundle))


def _bytes(bundle: Bundle) -> int:
    """Of the bundle's own files that are there."""
    paths = (bundle.folder / name for name in ("bundle.json", *bundle.record.files))
    return sum(path.stat().st_size for path in paths if path.is_file())


def _as_json(bundle: Bundle) -> dict[str, Any]:
    return {
        "folder": str(bundle.folder), "bytes": _bytes(bundle), "formats": _formats(bundle.record),
        "engines": ready_engines(bundle), **bundle.record.model_dump(mode="json"),
    }  # fmt: skip


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


def _show(bundle: Bundle) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..weights.card import told_metrics, told_origin

    folder, record = bundle.folder, bundle.record
    model = record.detector.family if record.detector else record.classifier.backbone if record.classifier else ""
    rows = {
        "name": folder.name,
        "folder": str(folder),
        "task": record.task,
        "model": model,
        "classes": ", ".join(record.names),
        "input": f"{record.preprocessing.width} x {record.preprocessing.height}, {record.preprocessing.resize}",
        "threshold": _thresholds(record),
        **(_temperature(record) if record.task == "classify" else {}),
        **dict(told_origin(record)),
        "data": f"{record.dataset.name}, fingerprint {record.dataset.fingerprint[:16]}"
        if record.dataset
        else "unknown",
        "runs here on": ", ".join(ready_engines(bundle)) or "nothing that is installed",
        "files": f"{len(record.files)}, {_size(bundle)}, all as they were when the bundle was made",
    }
    rows |= dict(told_metrics(record))
    table = Table(show_header=False)
    for key, value in rows.items():
        table.add_row(key, escape(value))
    Console().print(table)
