"""Pretrained weights by name or path: from the workspace, the cache, a mirror, or the official release."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError, LensmithError, NotFoundError
from ..core.files import partial_path, sha256_of
from ..core.isolation import cache_folder
from ..core.progress import progress, say
from ..core.workspace import Workspace

MIRROR_VARIABLE = "CV_WEIGHTS_MIRROR"
OFFICIAL = "https://github.com/ultralytics/assets/releases/download/v8.4.0"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.pt")
_TIMEOUT_SECONDS = (10, 30)  # to connect, and between two pieces
_CHUNK_BYTES = 1 << 18
_SMALLEST_BYTES = 100_000  # the smallest detector has 5 MB; less is a page that says something went wrong


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
    origin = _fetch(asset, cached)
    return Pretrained(cached, sha256_of(cached), origin)


def _fetch(asset: str, target: Path) -> str:
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip()
    if mirror and not mirror.startswith(("http://", "https://")):
        return _copy(Path(mirror).expanduser() / asset, target)
    address = f"{(mirror or OFFICIAL).rstrip('/')}/{asset}"
    say(f"fetching the pretrained weights {asset} from {address}")
    _download(address, asset, target)
    return address


def _copy(source: Path, target: Path) -> str:
    if not source.is_file():
        raise LensmithError(f"The mirror in {MIRROR_VARIABLE} has no file {source.name}.", where=source.parent,
                            next_step=_ways_out(source.name))  # fmt: skip
    partial = partial_path(target)
    try:
        shutil.copyfile(source, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return str(source)


def _download(address: str, asset: str, target: Path) -> None:
    """Download beside the target, check the length, and give it its name."""
    import requests

    partial = partial_path(target)
    try:
        with requests.get(address, stream=True, timeout=_TIMEOUT_SECONDS) as answer:
            if answer.status_code != requests.codes.ok:
                raise _unreachable(asset, address, f"the server answers {answer.status_code}")
            total = int(answer.headers.get("Content-Length") or 0) or None
            # A compressed answer is unpacked on the way, and its length then says nothing about the file's.
            announced = None if answer.headers.get("Content-Encoding") else total
            with partial.open("wb") as file, progress(asset, total, unit="bytes") as advance:
                for chunk in answer.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
                    advance(len(chunk))
                file.flush()
                os.fsync(file.fileno())
        size = partial.stat().st_size
        if announced is not None and size != announced:
            raise _unreachable(asset, address, f"the connection ended after {size} of {announced} bytes")
        if size < _SMALLEST_BYTES:
            raise _unreachable(asset, address, "what came is too small to be a model")
        partial.replace(target)
    except requests.RequestException as error:
        raise _unreachable(asset, address, _reason(error)) from None
    finally:
        partial.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no safe connection could be made"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__


def _unreachable(asset: str, address: str, reason: str) -> LensmithError:
    return LensmithError(
        f"The pretrained weights {asset} are not on this machine and could not be fetched: {reason}.",
        where=address,
        next_step=_ways_out(asset),
    )


def _ways_out(asset: str) -> str:
    return (
        f"use --weights PATH with a .pt file you have, or --from-scratch to start without; or put {asset} into the "
        f"folder weights/ of your workspace, or set {MIRROR_VARIABLE} to a folder or address that has it"
    )
