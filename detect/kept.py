"""Decoded pictures that stay in memory, so that each is read and reduced once and not in every epoch."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from ..core.memory import available_memory
from ..core.progress import say

_SHARE = 0.5  # of the memory that is free; the other half is for the training
_CHANNELS = 3
Loaded = tuple[np.ndarray, tuple[int, int], tuple[int, int]]


class KeptPictures:
    """Takes the place of a dataset's `load_image`: the first time it reads, then it remembers.

    So nobody waits before the first step, as with Ultralytics' `cache="ram"`, which decodes everything first; what it
    gives is the same. It serves one process: where others read for it, each would remember on its own.

    Args:
        dataset: Ultralytics' dataset.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._kept: dict[str, Loaded] = {}

    def __call__(self, index: int, *arguments: Any) -> Loaded:
        """The picture as uint8 `(h, w, 3)` BGR, its size in the file and as it is here, `(height, width)` in pixels."""
        path = self._dataset.im_files[index]
        if (found := self._kept.get(path)) is None:
            found = self._kept[path] = type(self._dataset).load_image(self._dataset, index, *arguments)
        bgr, original, size = found
        return bgr.copy(), original, size  # some of the library's changes are made in place


def keep_pictures(dataset: Any, args: Any, *, shared: bool, spoken_for: int = 0, times: int = 1) -> int:
    """Let a dataset keep its pictures in memory, if there is enough of it; says so where there is not.

    Args:
        dataset: Ultralytics' dataset, just built with `cache` off.
        args: The trainer's arguments.
        shared: Whether several processes read pictures; then all are decoded at once and they share the memory.
        spoken_for: Bytes that other pictures are going to take.
        times: How many processes are going to keep them, each on its own, as one for each of several GPUs does.

    Returns:
        The bytes that the pictures will take in this process, 0 where they are not kept.
    """
    count = dataset.ni if shared else len(set(dataset.im_files))
    needed = count * args.imgsz * args.imgsz * _CHANNELS
    free = available_memory()
    if (needed + spoken_for) * times > free * _SHARE:
        say(f"the {'training' if dataset.augment else 'validation'} pictures are read anew in every epoch: in memory "
            f"they would take {needed * times / 2**30:.1f} GB, and {free / 2**30:.1f} GB are free")  # fmt: skip
        return 0
    dataset.cache = "ram"
    if shared:
        dataset.cache_images()
    else:
        dataset.load_image = KeptPictures(dataset)
    dataset.transforms = dataset.build_transforms(hyp=copy(args))  # the mosaic asks when it is built
    return needed
