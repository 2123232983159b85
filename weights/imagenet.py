"""Keras' ImageNet weights: from our cache, a mirror, or Keras' own address because the person asked for them."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ..core.errors import DataError, LensmithError, NotFoundError
from ..core.files import partial_path
from ..core.isolation import cache_folder
from ..core.progress import progress
from .architecture import Backbone

MIRROR = "CV_WEIGHTS_MIRROR"
_TIMEOUT_SECONDS = 30
_MAX_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 18


def imagenet_weights(backbone: Backbone) -> Path:
    """The file with a backbone's ImageNet weights without top, fetched if it is not in the cache.

    `CV_WEIGHTS_MIRROR`, a folder or an http(s) address that holds the file, takes the place of Keras' address.

    Raises:
        LensmithError: it cannot be fetched.
        NotFoundError: the mirror folder does not hold it.
        DataError: what came is not the file that Keras published.
    """
    cached = cache_folder("keras") / backbone.weights_file
    if cached.is_file() and _md5(cached) == backbone.weights_md5:
        return cached
    partial = partial_path(cached)
    try:
        _fetch(backbone, partial)
        if (found := _md5(partial)) != backbone.weights_md5:
            raise DataError(
                f"This is not the file that Keras published: its checksum is {found}, not {backbone.weights_md5}.",
                where=_place(backbone),
                next_step=_other_ways(backbone),
            )
        partial.replace(cached)
    finally:
        partial.unlink(missing_ok=True)
    return cached


def _place(backbone: Backbone) -> str:
    mirror = os.environ.get(MIRROR)
    return f"{mirror.rstrip('/')}/{backbone.weights_file}" if mirror else backbone.weights_url


def _fetch(backbone: Backbone, target: Path) -> None:
    place = _place(backbone)
    if not place.lower().startswith(("http://", "https://")):
        source = Path(place).expanduser()
        if not source.is_file():
            raise NotFoundError(f"{MIRROR} does not hold this file.", where=source, next_step=_other_ways(backbone))
        shutil.copyfile(source, target)
        return
    try:
        with urllib.request.urlopen(place, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - http(s) only, see above
            _save(answer, target, f"fetching {backbone.weights_file}")
    except urllib.error.HTTPError as error:
        raise _not_fetched(backbone, f"the server answers {error.code} {error.reason}") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise _not_fetched(backbone, str(getattr(error, "reason", error))) from None


def _save(answer: Any, target: Path, what: str) -> None:
    announced = int(answer.headers.get("Content-Length") or 0)
    done = 0
    with target.open("wb") as file, progress(what, announced or None, unit="bytes") as step:
        while chunk := answer.read(_CHUNK_BYTES):
            done += len(chunk)
            if done > _MAX_BYTES:
                raise DataError("The answer is larger than any weights file.", where=answer.geturl())
            file.write(chunk)
            step(len(chunk))
    if announced and done != announced:
        raise ConnectionError(f"the connection ended after {done} of {announced} bytes")


def _not_fetched(backbone: Backbone, why: str) -> LensmithError:
    return LensmithError(
        f"The ImageNet weights of {backbone.name} cannot be fetched: {why}.",
        where=_place(backbone),
        next_step=_other_ways(backbone),
    )


def _other_ways(backbone: Backbone) -> str:
    return (
        f"give a file with --weights PATH (on another machine: {backbone.weights_url}), "
        "or train from scratch with --weights none"
    )


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)  # the only checksum that Keras publishes
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
