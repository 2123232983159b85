"""Pretrained weights by name or path: from the workspace, the cache, a mirror, or the official release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError, NotFoundError
from ..core.files import sha256_of
from ..core.isolation import cache_folder
from ..core.workspace import Workspace
from .fetch import MIRROR_VARIABLE, Published, fetch_published

OFFICIAL = "https://github.com/ultralytics/assets/releases/download/v8.4.0"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.pt")


@dataclass(frozen=True)
class Pretrained:
    """A weights file on this machine.

    Attributes:
        path: The file.
        sha256: Its hash, which goes into the run's record.
        origin: Where it came from: a path or an address.
    """

    path: Path
    sha256: str
    origin: str


def pretrained_from_path(path: Path) -> Pretrained:
    """A file that the person gave.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is not a `.pt` file.
    """
    file = path.expanduser().resolve()
    if not file.is_file():
        raise NotFoundError("There is no such weights file.", where=path, next_step="check --weights")
    if file.suffix.lower() != ".pt":
        raise DataError("Weights to start from must be a .pt file.", where=path,
                        next_step="give --weights the path of a .pt file, or use --from-scratch")  # fmt: skip
    return Pretrained(file, sha256_of(file), str(file))


def find_pretrained(asset: str, workspace: Workspace) -> Pretrained:
    """Find the weights called `asset`, or fetch them because the person named this model.

    Looked for in this order: `weights/` of the workspace, the current folder, our cache, the mirror in
    `CV_WEIGHTS_MIRROR` (a folder or an http(s) address), the official release. What is fetched is kept in the cache.

    Args:
        asset: A file name such as "yolo26n.pt".
        workspace: The person's workspace.

    Raises:
        LensmithError: it is nowhere and cannot be fetched.
    """
    if not _FILE_NAME.fullmatch(asset):
        raise NotFoundError(f"'{asset}' is not the name of a weights file.", next_step=_ways_out(asset))
    cached = cache_folder("pretrained") / asset
    for place in (workspace.weights / asset, Path.cwd() / asset, cached):
        if place.is_file():
            return Pretrained(place, sha256_of(place), str(place))
    file = Published(asset, f"{OFFICIAL}/{asset}", f"The pretrained weights {asset}", _ways_out(asset))
    origin = fetch_published(file, cached)
    return Pretrained(cached, sha256_of(cached), origin)


def _ways_out(asset: str) -> str:
    return (
        f"use --weights PATH with a .pt file you have, or --from-scratch to start without; or put {asset} into the "
        f"folder weights/ of your workspace, or set {MIRROR_VARIABLE} to a folder or address that has it"
    )
