"""The dataset that an interrupted training goes on with."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import DataError, NotFoundError
from ..core.manifest import RunManifest
from ..core.words import some
from ..core.workspace import Workspace
from .fingerprint import fingerprint
from .model import Dataset
from .read import open_dataset
from .record import read_record, verify


def dataset_of_run(
    run: Path, manifest: RunManifest, workspace: Workspace, moved_to: str | Path | None = None
) -> Dataset:
    """The dataset of a run, as it was when the run began.

    It is looked for where it was then, and under its name in the workspace, which may have been moved as a whole.

    Args:
        run: The run's folder.
        manifest: Its record; learns where the dataset is now.
        workspace: Where the dataset is looked for.
        moved_to: The dataset's name or folder now; None where it was not moved.

    Raises:
        NotFoundError: the dataset is gone.
        DataError: the record does not name it, or it was changed.
    """
    reference = manifest.dataset
    if reference is None or reference.path is None:
        raise DataError("run.json does not say which dataset the run uses.", where=run)
    given = moved_to if moved_to is not None else _place(run, reference.path, reference.name, workspace)
    dataset = open_dataset(given, workspace)
    if fingerprint(dataset) != reference.fingerprint:
        another = "This is not the dataset that the run began with" if moved_to is not None else None
        raise DataError(
            f"{another or 'The dataset was changed since this run began'}, so the run cannot go on with it."
            f"{_what_changed(dataset)}",
            where=dataset.root,
            next_step=f"bring the dataset back as it was, or start anew: cv {manifest.command} {reference.name}",
        )
    manifest.dataset = reference.model_copy(update={"path": str(dataset.root)})
    return dataset


def _place(run: Path, path: str, name: str, workspace: Workspace) -> Path:
    was, named = Path(path), workspace.datasets / name
    for place in (was, named):
        if place.exists():
            return place
    raise NotFoundError(
        f"The dataset '{name}' is not where it was when this run began, nor in this workspace.",
        where=was,
        next_step=f"say where it is now: cv resume {run.name} --dataset FOLDER",
    )


def _what_changed(dataset: Dataset) -> str:
    """The files that differ from the dataset's own record, where it has one and they do."""
    record = read_record(dataset.root)
    changed = verify(dataset.root, record) if record else []
    return f" Changed or missing: {some(changed)}." if changed else ""
