"""`cv weights verify`, `rename` and `remove`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import JsonOption, WorkspaceOption, plain, print_json
from .weights import NameArgument, find_workspace

if TYPE_CHECKING:
    from ..weights.bundle import BundleRecord


def verify_weights(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A model's name in weights/, or its folder.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Verify every model of the workspace.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a model's record and files, and have every engine that is here repeat its golden samples.

    Each engine runs in a fresh process. Exit code 5 when a model is not what it was.

    Example: cv weights verify chess-yolo26n
    """
    from ..core.errors import DataError, LensmithError, UsageError
    from ..core.progress import warn
    from ..weights.bundle import find_bundle
    from ..weights.shelf import list_bundles

    as_json = as_json or context.obj["as_json"]
    place = find_workspace(context, workspace)
    if every == (name is not None):
        raise UsageError("Give the name of one model, or --all.", where="cv weights verify")
    folders = [find_bundle(name, place)] if name is not None else list_bundles(place)
    told: list[dict[str, Any]] = []
    failed: list[LensmithError] = []
    for folder in folders:
        try:
            told.append(_verified(folder))
        except LensmithError as error:
            failed.append(error)
            told.append({"name": folder.name, "ok": False, "error": error.what, "where": error.where})
            if every:
                warn(f"{folder.name}: {error.what}")
        if not as_json and told[-1]["ok"]:
            typer.echo(plain(_sentence(told[-1])))
    if as_json:
        print_json(told)
    if failed and not every:
        raise failed[0]
    if failed:
        names = ", ".join(one["name"] for one in told if not one["ok"])
        raise DataError(f"{len(failed)} of {len(told)} models are not what they were: {names}", where=place.weights,
                        next_step="get them again, or train them again; a changed model is never run")  # fmt: skip


def _verified(folder: Path) -> dict[str, Any]:
    """What was looked at and what ran; raises when something is wrong."""
    from ..predict.engines.choose import engines_for
    from ..predict.proof import prove_bundle
    from ..weights.bundle import read_bundle

    bundle = read_bundle(folder)
    ran = list(prove_bundle(folder, native=True))
    return {
        "name": folder.name, "ok": True, "files": len(bundle.record.files), "engines": ran,
        "not_tried": [engine for engine in engines_for(bundle) if engine not in ran],
        "unlisted": _unlisted(folder, bundle.record),
    }  # fmt: skip


def _unlisted(folder: Path, record: BundleRecord) -> list[str]:
    """Files in the folder that are none of the bundle's, and so are never read."""
    own = {"bundle.json", *record.files}
    below = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir())
    return [name for name in below if name not in own]


def _sentence(told: dict[str, Any]) -> str:
    from importlib.util import find_spec

    from ..core.words import many, some

    parts = [f"{told['name']}: {many(told['files'], 'file')} as they were when it was made"]
    if told["engines"]:
        parts.append(f"golden samples repeated by {', '.join(told['engines'])}")
    else:
        parts.append("no engine here runs it, so its golden samples were not tried")
    missing = [f"{engine}{'' if find_spec(engine) else ' (not installed)'}" for engine in told["not_tried"]]
    if missing:
        parts.append(f"not tried: {', '.join(missing)}")
    if told["unlisted"]:
        parts.append(
            f"{many(len(told['unlisted']), 'file')} beside them that no model needs: {some(told['unlisted'], 3)}"
        )
    return "; ".join(parts)


def rename_weights(
    context: typer.Context,
    old: NameArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="What it is to be called.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a model another name, in its folder, its record and card, and in the run that made it.

    Example: cv weights rename chess-yolo26n-2 chess
    """
    from ..core.progress import say, warn
    from ..weights.change import rename_bundle

    done = rename_bundle(old, new, find_workspace(context, workspace))
    for run in done.busy:
        warn(f"run {run} still calls it {old}: a process is at work on that run")
    if as_json or context.obj["as_json"]:
        print_json({
            "folder": str(done.bundle.folder), "name": done.bundle.name, "runs": done.runs, "busy": done.busy,
            "exports": done.exports,
        })  # fmt: skip
    else:
        callers = [*(f"run {run}" for run in done.runs), *(f"its export {name}" for name in done.exports)]
        also = f"; so does {', '.join(callers)} call it now" if callers else ""
        say(f"{old} is called {done.bundle.name} now: {done.bundle.folder}{also}")


def remove_weights(
    context: typer.Context,
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a model, after asking; the run that made it stays.

    Example: cv weights remove chess-yolo26n-2
    """
    from ..core.errors import UsageError
    from ..core.progress import say
    from ..weights.change import own_bundle, remove_bundle

    place = find_workspace(context, workspace)
    folder = own_bundle(name, place)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("Nobody can be asked here whether this model is to be deleted.", where=folder,
                             next_step="give --yes when you are sure")  # fmt: skip
        if not typer.confirm(f"Delete the model {folder.name} ({folder})?", err=True):
            say("nothing was removed")
            raise typer.Exit(1)
    remove_bundle(name, place)
    if as_json or context.obj["as_json"]:
        print_json({"removed": str(folder)})
    else:
        say(f"removed {folder}")
