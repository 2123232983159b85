"""Which bundles a workspace has, and what a new one is called."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from ..core.errors import DataError, UsageError, told_when_full
from ..core.files import scratch_folder, slug, whole_folder
from ..core.lock import only_one
from ..core.progress import say
from ..core.workspace import Workspace
from .bundle import BUNDLE_NAME, WRITTEN_NAMES, Bundle, BundleRecord, put_record, read_bundle, read_record


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


def take_in(
    text: bytes,
    fetch: Callable[[Path, BundleRecord], None],
    name: str | None,
    workspace: Workspace,
    prove: Callable[[Path], object],
) -> Bundle:
    """Let a bundle from elsewhere appear in the workspace, whole and proven, or not at all.

    Args:
        text: Its bundle.json.
        fetch: Puts the files that the record names into the folder it is given.
        name: What it is to be called; None: what its record says. Under another name it gets a record and card of that.
        workspace: Where it goes.
        prove: Looks at a folder with the whole bundle, and raises when it should not be used.

    Returns:
        The bundle; that which stands there, without a call of `fetch`, where it is the same one.

    Raises:
        UsageError: another model has the name.
        DataError: a file is missing or changed, or `prove` objects.
    """
    workspace.weights.mkdir(parents=True, exist_ok=True)
    with told_when_full(workspace.weights), scratch_folder(workspace.weights / "arriving") as scratch:
        (scratch / BUNDLE_NAME).write_bytes(text)
        record = read_record(scratch)
        called = slug(name or record.name)
        target = workspace.weights / called
        if _is_same(record, target):
            say(f"{called} is here already, and is the same")
            return read_bundle(target)
        free_bundle_name(called, called, workspace)
        came = scratch / called
        came.mkdir()
        (scratch / BUNDLE_NAME).rename(came / BUNDLE_NAME)
        fetch(came, record)
        read_bundle(came)
        if record.name != called:
            record = put_record(came, record.model_copy(update={"name": called}), dict(record.files))
        try:
            prove(came)
        except DataError as error:  # where it lies is gone in a moment
            what = f"The model '{called}' was not taken in. {error.what}"
            raise DataError(what, next_step="get it again; if it stays so, ask whoever made it") from None
        with bundle_lock(workspace, called), whole_folder(target) as folder:
            for path in sorted(came.iterdir()):
                path.rename(folder / path.name)
    return Bundle(target, record)


def _is_same(record: BundleRecord, standing: Path) -> bool:
    """Whether a bundle that stands is the same but for its name, as far as the records tell, which hold all hashes."""
    try:
        return _nameless(read_record(standing)) == _nameless(record)
    except (DataError, OSError):
        return False


def _nameless(record: BundleRecord) -> BundleRecord:
    files = {name: sha256 for name, sha256 in record.files.items() if name not in WRITTEN_NAMES}
    return record.model_copy(update={"name": "", "files": files})


def bundle_lock(workspace: Workspace, name: str) -> AbstractContextManager[None]:
    """Held by whatever gives, takes or changes the name of a bundle."""
    return only_one(workspace.weights / ".locks" / f"{name}.lock", f"another command that changes {name}")


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
