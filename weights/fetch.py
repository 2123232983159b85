"""Fetch a published weights file: from the person's mirror, or from where it was published."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..core.errors import DataError, LensmithError, NotFoundError
from ..core.files import partial_path, sha256_of
from ..core.progress import progress, say

MIRROR_VARIABLE = "CV_WEIGHTS_MIRROR"

_TIMEOUT_SECONDS = (10, 30)  # to connect, and between two pieces
_CHUNK_BYTES = 1 << 18
_SMALLEST_BYTES = 100_000  # less is a page that says something went wrong
_LARGEST_BYTES = 2 << 30


@dataclass(frozen=True)
class Published:
    """A weights file that somebody published.

    Attributes:
        name: Its file name, the same on a mirror.
        address: Where it was published.
        what: What it is, for messages: "The pretrained weights yolo26n.pt".
        ways_out: What a person can do where it cannot be fetched.
        sha256: The checksums that it may have; none when nobody knows any.
    """

    name: str
    address: str
    what: str
    ways_out: str
    sha256: tuple[str, ...] = ()


def fetch_published(file: Published, target: Path) -> str:
    """Bring a file to `target`, whole or not at all, because the person asked for what needs it.

    `CV_WEIGHTS_MIRROR`, a folder or an http(s) address that holds the file, takes the place of its own address.

    Returns:
        Where it came from.

    Raises:
        NotFoundError: the mirror is a folder that does not hold it.
        LensmithError: it cannot be fetched; says why, and what to do instead.
        DataError: what came is too large to be weights, or has another checksum; nothing of it is kept.
    """
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip()
    partial = partial_path(target)
    try:
        if mirror and not mirror.startswith(("http://", "https://")):
            origin = str(_copy(file, Path(mirror).expanduser(), partial))
        else:
            origin = f"{mirror.rstrip('/')}/{file.name}" if mirror else file.address
            say(f"fetching {file.name} from {urlsplit(origin).hostname or origin}")
            _download(file, origin, partial)
        _check(file, partial, origin)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return origin


def _check(file: Published, came: Path, origin: str) -> None:
    if file.sha256 and (found := sha256_of(came)) not in file.sha256:
        raise DataError(
            f"This is not the {file.name} that was published: its sha256 is {found}, and should be {file.sha256[0]}. "
            "It was not kept.",
            where=origin,
            next_step=f"try another network or mirror; or {file.ways_out}",
        )


def _copy(file: Published, mirror: Path, target: Path) -> Path:
    source = mirror / file.name
    if not source.is_file():
        raise NotFoundError(
            f"The mirror in {MIRROR_VARIABLE} has no file {file.name}.", where=mirror, next_step=file.ways_out
        )
    shutil.copyfile(source, target)
    return source


def _download(file: Published, address: str, target: Path) -> None:
    import requests

    try:
        with requests.get(address, stream=True, timeout=_TIMEOUT_SECONDS) as answer:
            if answer.status_code != requests.codes.ok:
                raise _not_fetched(file, address, f"the server answers {answer.status_code}")
            total = int(answer.headers.get("Content-Length") or 0) or None
            with target.open("wb") as out, progress(file.name, total, unit="bytes") as advance:
                for chunk in answer.iter_content(_CHUNK_BYTES):
                    out.write(chunk)
                    advance(len(chunk))
                    if out.tell() > _LARGEST_BYTES:
                        raise DataError("What the server sends is larger than any weights file.", where=address)
                out.flush()
                os.fsync(out.fileno())
            # A compressed answer is unpacked on the way, and its length then says nothing about the file's.
            announced = None if answer.headers.get("Content-Encoding") else total
    except requests.RequestException as error:
        raise _not_fetched(file, address, _reason(error)) from None
    size = target.stat().st_size
    if announced is not None and size != announced:
        raise _not_fetched(file, address, f"the connection ended after {size} of {announced} bytes")
    with target.open("rb") as start:
        if start.read(64).lstrip()[:1] in {b"<", b"{"}:
            raise _not_fetched(file, address, "what came is a page, perhaps of a proxy or a sign-in, and not a model")
    if size < _SMALLEST_BYTES:
        raise _not_fetched(file, address, "what came is too small to be a model")


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no safe connection could be made"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__


def _not_fetched(file: Published, address: str, reason: str) -> LensmithError:
    return LensmithError(
        f"{file.what} are not on this machine and could not be fetched: {reason}.",
        where=address,
        next_step=file.ways_out,
    )
