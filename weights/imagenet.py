"""Keras' ImageNet weights: from our cache, a mirror, or Keras' own address because the person asked for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..core.errors import DataError, UsageError
from ..core.isolation import cache_folder
from .backbones import Backbone
from .fetch import Published, fetch_published


def imagenet_weights(backbone: Backbone) -> Path:
    """The file with a backbone's ImageNet weights without top, fetched if it is not in the cache.

    Raises:
        UsageError: nobody publishes any.
        LensmithError: it cannot be fetched, see `weights.fetch`.
        DataError: what came is not the file that Keras published.
    """
    file = backbone.weights
    if file is None:
        raise UsageError(
            f"There are no ImageNet weights of {backbone.name}.", where="--weights", next_step="use --weights none"
        )
    cached = cache_folder("keras") / file.name
    if cached.is_file() and _digest(cached, file.checksum) == file.checksum:
        return cached
    ways_out = (
        f"give a file with --weights PATH (on another machine: {file.url}), or train from scratch with --weights none"
    )
    what = f"The ImageNet weights of {backbone.name}"
    origin = fetch_published(Published(file.name, file.url, what, ways_out), cached)
    if (found := _digest(cached, file.checksum)) != file.checksum:
        cached.unlink()
        raise DataError(
            f"This is not the file that Keras published: its checksum is {found}, not {file.checksum}.",
            where=origin,
            next_step=ways_out,
        )
    return cached


def _digest(path: Path, like: str) -> str:
    """The file's checksum of the kind that Keras gives: SHA-256 for newer files, MD5 for the others."""
    kind = "sha256" if len(like) == 64 else "md5"
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
