"""The dataset that an interrupted training goes on with."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import DataError
from ..core.manifest import RunManifest
from ..core.workspace import Workspace
from .fingerprint import fingerprint
from .model import Dataset
from .read import open_dataset


def dataset_of_run(run: Path, manifest: RunManifest, workspace: Workspace) -> Dataset:
    """The dataset of a run, as it was when the run began.

    Args:
        run: The run's folder.
        manifest: Its record.
        workspace: Where the dataset is looked for.

    Raises:
        NotFoundError: the dataset is gone.
        DataError: the record does not name it, or it was changed.
    """
    if manifest.dataset is None or manifest.dataset.path is None:
        raise DataError("run.json does not say which dataset the run uses.", where=run)
    dataset = open_dataset(manifest.dataset.path, workspace)
    if fingerprint(dataset) != manifest.dataset.fingerprint:
        raise DataError(
            "The dataset was changed since this run began, so the run cannot go on with it.",
            where=dataset.root,
            next_step=f"bring the dataset back as it was, or start anew: cv {manifest.command} {manifest.dataset.name}",
        )
    return dataset
