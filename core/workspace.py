"""Where a person works: the folders for datasets, runs and weights, and how a name becomes a path in them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .errors import DiskFullError, LensmithError, NotFoundError, UsageError, is_disk_full
from .files import restore_retired, slug
from .words import near_names, some


@dataclass(frozen=True)
class Workspace:
    """A folder with `datasets/`, `runs/` and `weights/`, each made when it is first needed."""

    root: Path

    @classmethod
    def find(cls, path: Path | None = None) -> Workspace:
        """The folder given, else the one in `CV_WORKSPACE`, else the current folder.

        Raises:
            NotFoundError: the folder does not exist.
        """
        chosen = path or (Path(value) if (value := os.environ.get("CV_WORKSPACE")) else Path.cwd())
        root = chosen.expanduser().resolve()
        if not root.is_dir():
            raise NotFoundError(
                "The workspace folder does not exist.",
                where=root,
                next_step="make it first, or give another --workspace",
            )
        return cls(root)

    @property
    def datasets(self) -> Path:
        """Home of the datasets."""
        return self.root / "datasets"

    @property
    def runs(self) -> Path:
        """Home of the runs."""
        return self.root / "runs"

    @property
    def weights(self) -> Path:
        """Home of the model bundles."""
        return self.root / "weights"

    def new_run(self, command: str, about: str) -> Path:
        """Make and return a fresh folder `runs/<command>-<about>-<date>-<time>`."""
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        for number in range(1, 1000):
            suffix = "" if number == 1 else f"-{number}"
            folder = self.runs / f"{command}-{slug(about)}-{stamp}{suffix}"
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                if not self.runs.is_dir():  # a file has its name
                    raise self._no_runs("it is no folder") from None
                continue
            except OSError as error:
                if is_disk_full(error):
                    raise DiskFullError(self.runs) from None
                raise self._no_runs(str(error.strerror)) from None
            return folder
        raise UsageError("Too many runs were started within one second.", where=self.runs)

    def _no_runs(self, reason: str) -> LensmithError:
        return LensmithError(f"No folder can be made for the run: {reason}.", where=self.runs,
                             next_step="give a workspace that you may write to: --workspace FOLDER")  # fmt: skip


_FIRST_OF = {
    "dataset": "; cv import-dataset FOLDER brings one in, cv pull-dataset gets one from Roboflow",
    "run": "; cv train-yolo or cv finetune starts one",
}


def locate(given: str | Path, home: Path, kind: str, *, marker: str | None = None) -> Path:
    """Turn what a person typed into an existing folder or file: a path as it is, or a name under `home`.

    Args:
        given: A path, or the name of something in `home`.
        home: `workspace.datasets`, `workspace.weights` or `workspace.runs`.
        kind: What it is called in messages: "dataset", "bundle", "run".
        marker: A file that a folder in `home` must hold to be offered as a near name.

    Raises:
        NotFoundError: with the nearest names.
    """
    path = Path(given).expanduser()
    named = home / path
    restore_retired(named)
    # A bare name means the workspace's own first: `weights/chess` must win over a stray folder `./chess`.
    if len(path.parts) == 1 and named.exists():
        return named.resolve()
    if path.exists():
        return path.resolve()
    if named.exists():
        return named.resolve()
    known = [
        p.name
        for p in (sorted(home.iterdir()) if home.is_dir() else [])
        if not p.name.startswith(".") and p.is_dir() and (marker is None or (p / marker).exists())
    ]
    near = near_names(str(given), known)
    if near:
        hint = "did you mean " + " or ".join(near) + "?"
    elif known:
        hint = f"there are: {some(known, 10)}"
    else:
        hint = f"there is no {kind} in {home} yet{_FIRST_OF.get(kind, '')}"
    raise NotFoundError(f"There is no {kind} called '{given}'.", where=named, next_step=hint)
