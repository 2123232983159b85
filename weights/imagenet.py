"""Keras' ImageNet weights: from our cache, a mirror, or Keras' own address because the person asked for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..core.errors import DataError
from ..core.isolation import cache_folder
from .architecture import Backbone
from .fetch import Published, fetch_published


def imagenet_weights(backbone: Backbone) -> Path:
    """The file with a backbone's ImageNet weights without top, fetched if it is not in the cache.

    Raises:
        LensmithError: it cannot be fetched, see `weights.fetch`.
        DataError: what came is not the file that Keras published.
    """
    cached = cache_folder("keras") / backbone.weights_file
    if cached.is_file() and _md5(cached) == backbone.weights_md5:
        return cached
    ways_out = (
        f"give a file with --weights PATH (on another machine: {backbone.weights_url}), "
        "or train from scratch with --weights none"
    )
    what = f"The ImageNet weights of {backbone.name}"
    origin = fetch_published(Published(backbone.weights_file, backbone.weights_url, what, ways_out), cached)
    if (found := _md5(cached)) != backbone.weights_md5:
        cached.unlink()
        raise DataError(
            f"This is not the file that Keras published: its checksum is {found}, not {backbone.weights_md5}.",
            where=origin,
            next_step=ways_out,
        )
    return cached


def _md5(path: Path) -> str:
    with path.open("rb") as file:  # the only checksum that Keras publishes
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
