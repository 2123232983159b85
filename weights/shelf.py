"""Which bundles a workspace has, and what a new one is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..core.errors import DataError, UsageError
from ..core.files import slug
from ..core.workspace import Workspace
from .bundle import BUNDLE_NAME, read_record


def free_bundle_name(asked: str | None, otherwise: str, workspace: Workspace) -> str:
    """What a new bundle will be called, so that training never replaces a model that is there.

    Args:
        asked: The name the person gave, or None.
        otherwise: What to call it then; gets a number when it is taken.
        workspace: Whose bundles.

    Raises:
        UsageError: the name that was asked for is taken.
    """
    if asked is not None:
        name = slug(asked)
        if (workspace.weights / name).exists():
            raise UsageError(
                f"There is a model called '{name}' already.",
                where=workspace.weights / name,
                next_step="choose another --name, or remove that folder first",
            )
        return name
    base = slug(otherwise)
    number, name = 1, base
    while (workspace.weights / name).exists():
        number += 1
        name = f"{base}-{number}"
    return name


def _target_of_run(workspace: Workspace, name: str, run: str) -> Path:
    """The folder for a run's finished bundle: under `name`, with a number if another run has taken it meanwhile."""
    number, target = 1, workspace.weights / name
    while target.exists() and not _is_of(target, run):
        number += 1
        target = workspace.weights / f"{name}-{number}"
    return target


def write_for_run(workspace: Workspace, name: str, run: str, write: Callable[[Path], object]) -> Path:
    """Write a run's bundle under its name, or with a number where another run has taken that, even at this very moment.

    Args:
        workspace: Where it goes.
        name: What it is to be called; gets a number when it is taken.
        run: The run's name.
        write: Writes a whole bundle to the folder that it is given.

    Returns:
        The folder.

    Raises:
        DataError: as `write` does.
    """
    while True:
        target = _target_of_run(workspace, name, run)
        try:
            write(target)
        except DataError:
            if _target_of_run(workspace, name, run) == target:
                raise
        else:
            return target


def _is_of(folder: Path, run: str) -> bool:
    try:
        return read_record(folder).run == run
    except DataError:
        return False


def list_bundles(workspace: Workspace) -> list[Path]:
    """Folders of the bundles in the workspace, by name."""
    if not workspace.weights.is_dir():
        return []
    return sorted(p.parent for p in workspace.weights.glob(f"*/{BUNDLE_NAME}") if not p.parent.name.startswith("."))
