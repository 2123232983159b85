"""Pretrained weights by name or path: from the workspace, the cache, a mirror, or the official release."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.errors import DataError, NotFoundError
from ..core.files import sha256_of
from ..core.isolation import cache_folder
from ..core.progress import say
from ..core.words import some
from ..core.workspace import Workspace
from .checksums import PUBLISHED, accepted, check_cached, remember
from .fetch import MIRROR_VARIABLE, Published, fetch_published
from .shelf import list_bundles

OFFICIAL = "https://github.com/ultralytics/assets/releases/download/v8.4.0"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.pt")


@dataclass(frozen=True)
class Pretrained:
    """A weights file on this machine.

    Attributes:
        path: The file.
        sha256: Its hash, which goes into the run's record.
        origin: Where it came from: a path or an address.
        checked: "published": it is the file that Ultralytics published; "remembered": the one that was first fetched
            here; "not checked": nobody knows what it should be, or it is the person's own.
    """

    path: Path
    sha256: str
    origin: str
    checked: Literal["published", "remembered", "not checked"] = "not checked"


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
        DataError: what came is another file than the one that was published, or that was fetched under this name
            before; it is not kept. Or the file in our cache was changed.
    """
    if not _FILE_NAME.fullmatch(asset):
        raise NotFoundError(f"'{asset}' is not the name of a weights file.", next_step=_ways_out(asset, workspace))
    cached = cache_folder("pretrained") / asset
    if place := on_this_machine(asset, workspace):
        sha256 = sha256_of(place)
        if place == cached:
            check_cached(place, sha256)
        return Pretrained(place, sha256, str(place), _checked(asset, sha256))
    known = accepted(asset)
    what = f"The pretrained weights {asset}"
    origin = fetch_published(Published(asset, f"{OFFICIAL}/{asset}", what, _ways_out(asset, workspace), known), cached)
    sha256 = sha256_of(cached)
    checked = _checked(asset, sha256)
    if checked == "not checked":
        say(f"no published checksum of {asset} is known, so it was not checked; its sha256 is remembered: {sha256}")
    remember(asset, sha256)
    return Pretrained(cached, sha256, origin, checked)


def on_this_machine(asset: str, workspace: Workspace) -> Path | None:
    """Where a file of this name is: in `weights/` of the workspace, the current folder or our cache; else None."""
    places = (workspace.weights / asset, Path.cwd() / asset, cache_folder("pretrained") / asset)
    return next((place for place in places if place.is_file()), None)


def _checked(asset: str, sha256: str) -> Literal["published", "remembered", "not checked"]:
    if sha256 not in accepted(asset):
        return "not checked"
    return "published" if asset in PUBLISHED else "remembered"


def _ways_out(asset: str, workspace: Workspace) -> str:
    here = some([shlex.quote(str(path)) for path in _files_here(workspace)], 3)
    has = f"--weights with a .pt file that is here ({here})" if here else "--weights PATH with a .pt file you have"
    return (
        f"use {has}, or --from-scratch to start without; or put {asset} into the folder weights/ of your workspace, or"
        f" set {MIRROR_VARIABLE} to a folder or address that has it"
    )


def _files_here(workspace: Workspace) -> list[Path]:
    """Files to start from: those that lie in the current folder or in `weights/`, then the workspace's own models."""
    here = Path.cwd()
    lying = [*sorted(here.glob("*.pt")), *sorted(workspace.weights.glob("*.pt"))]
    models = (folder / "model.pt" for folder in list_bundles(workspace))
    found = [path for path in (*lying, *models) if path.is_file()]
    return [path.relative_to(here) if path.is_relative_to(here) else path for path in dict.fromkeys(found)]
