"""One process at a time for one dataset; a killed one holds nobody up."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..core.lock import only_one
from ..core.workspace import Workspace


def dataset_lock(workspace: Workspace, name: str) -> AbstractContextManager[None]:
    """Held by whatever writes the dataset of this name: a pull, an import, a repair."""
    return only_one(workspace.datasets / ".locks" / f"{name}.lock", f"another command that writes {name}")
