"""Give a bundle that stands another name, or take it away; a kill in between leaves it whole, or gone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError, LensmithError, NotFoundError, UsageError
from ..core.files import partial_path, slug
from ..core.lock import sole_use
from ..core.manifest import RunManifest
from ..core.runs import RunEntry, list_runs
from ..core.workspace import Workspace
from .bundle import (
    BUNDLE_NAME,
    GOLDEN_NAME,
    Bundle,
    BundleRecord,
    find_bundle,
    open_bundle,
    read_record,
    rewrite_bundle,
)
from .shelf import bundle_lock, list_bundles

_EXTENDED = "extended"  # what a detector's run says of the times it was trained further


@dataclass(frozen=True)
class Renamed:
    """What a change of name changed.

    Attributes:
        bundle: Under its new name.
        runs: Names of the runs that called the model by its old name and now call it by the new one.
        busy: Names of runs that could not be changed because a process is at work on them.
        exports: Names of its exports in the workspace, which name it as their source.
    """

    bundle: Bundle
    runs: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()


def rename_bundle(old: str, new: str, workspace: Workspace) -> Renamed:
    """Give one of the workspace's bundles another name, in its folder, record and card, in its runs and its exports.

    These are the runs that made it, and the exports in this workspace; those elsewhere keep the name that they know.
    The folder changes its name in one step; a call that was killed after that is finished by the same call again.

    Args:
        old: What it is called now.
        new: What it is to be called; made safe for a folder's name.
        workspace: Whose bundle.

    Raises:
        NotFoundError: there is no such bundle.
        UsageError: the new name is taken, or the bundle is no direct part of the workspace.
        DataError: the bundle is damaged.
    """
    target = workspace.weights / slug(new)
    exports = _exports_of(old, workspace)
    with _locked(workspace, old, target.name, *exports):
        source = workspace.weights / old
        if not (_was_called(target, old) and not source.exists()):
            source = open_bundle(own_bundle(old, workspace), workspace).folder
            if target.exists():
                what = f"There is a model called '{target.name}' already." if target != source else "That is its name."
                raise UsageError(what, where=target, next_step="choose another name")
            source.rename(target)
        renamed, busy = _rename_in_runs(source.name, target, workspace)
        exports = _rename_in_exports(exports, target, workspace)
        bundle = open_bundle(target, workspace)
        bundle = rewrite_bundle(bundle, bundle.record.model_copy(update={"name": target.name}))
    return Renamed(bundle, tuple(renamed), tuple(busy), tuple(exports))


@contextmanager
def _locked(workspace: Workspace, *names: str) -> Iterator[None]:
    """Hold the names, always in one order, so that two commands never wait for each other."""
    with ExitStack() as stack:
        for name in sorted({slug(name) for name in names}):
            stack.enter_context(bundle_lock(workspace, name))
        yield


def remove_bundle(name: str, workspace: Workspace) -> Path:
    """Take a bundle away, damaged ones too. It loses its name in one step and is deleted then.

    Returns:
        The folder that is gone.

    Raises:
        NotFoundError: there is no such bundle.
        UsageError: the folder is no bundle, or is no direct part of the workspace.
    """
    with _locked(workspace, Path(name).name):
        folder = own_bundle(name, workspace)
        doomed = partial_path(folder)
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    return folder


def own_bundle(name: str, workspace: Workspace) -> Path:
    """The folder of a bundle that lies directly in the workspace's weights/; it may be damaged.

    Raises:
        NotFoundError: there is no such bundle.
        UsageError: the folder is no bundle, or is no direct part of the workspace.
    """
    folder = find_bundle(name, workspace)
    if folder.parent != workspace.weights.resolve() or folder.name.startswith("."):
        raise UsageError(
            "Only models in the folder weights/ of the workspace are renamed or removed.",
            where=folder,
            next_step="give the name that `cv weights` lists",
        )
    if not (folder / BUNDLE_NAME).is_file():
        raise UsageError(
            "This is no model of Lensmith: it holds no bundle.json.",
            where=folder,
            next_step="if you do not need it, remove it by hand",
        )
    return folder


def _was_called(folder: Path, name: str) -> bool:
    """Whether a bundle got its name from one called `name`, and its record was not changed yet."""
    try:
        return folder.name != name and read_record(folder).name == name
    except (DataError, OSError):
        return False


def _rename_in_runs(old: str, folder: Path, workspace: Workspace) -> tuple[list[str], list[str]]:
    record = read_record(folder)
    renamed, busy = [], []
    for entry in list_runs(workspace):
        if not _made(entry, record):
            continue
        run = workspace.runs / entry.name
        try:
            with sole_use(run):
                if _rename_in_run(run, old, folder.name):
                    renamed.append(entry.name)
        except LensmithError:
            busy.append(entry.name)
    return renamed, busy


def _exports_of(source: str, workspace: Workspace) -> list[str]:
    """Names of the exports in the workspace that name a model as their source; this one, or another of its name."""
    found = []
    for folder in list_bundles(workspace):
        try:
            exported = read_record(folder).exported
        except DataError:
            continue  # a damaged one is not touched; `cv weights verify` tells of it
        if exported is not None and exported.source == source:
            found.append(folder.name)
    return found


def _rename_in_exports(names: list[str], folder: Path, workspace: Workspace) -> list[str]:
    """An export carries the golden samples of its source, which another model of that name would not have."""
    samples = read_record(folder).files.get(GOLDEN_NAME)
    renamed = []
    for name in names:
        try:
            bundle = open_bundle(workspace.weights / name, workspace)
        except (DataError, NotFoundError):
            continue  # as above; or it was removed meanwhile
        exported = bundle.record.exported
        if exported is not None and bundle.record.files.get(GOLDEN_NAME) == samples:
            new = exported.model_copy(update={"source": folder.name})
            rewrite_bundle(bundle, bundle.record.model_copy(update={"exported": new}))
            renamed.append(name)
    return renamed


def _made(entry: RunEntry, record: BundleRecord) -> bool:
    """Whether this very model came from a run: another one may have had its name before."""
    if entry.name == record.run:
        return True
    return bool(entry.started and entry.ended and entry.started <= record.created <= entry.ended)


def _rename_in_run(run: Path, old: str, new: str) -> bool:
    manifest = RunManifest.load(run)
    places = [manifest.result, *(one for one in manifest.result.get(_EXTENDED) or [] if isinstance(one, dict))]
    found = [place for place in places if place.get("bundle") == old]
    for place in found:
        place["bundle"] = new
    if found:
        manifest.save(run)
    return bool(found)
