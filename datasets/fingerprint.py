"""One hash that ties a model to the data that made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ..core.files import sha256_of
from .model import Dataset, Item


def fingerprint(dataset: Dataset, known: Mapping[Path, str] | None = None) -> str:
    """The SHA-256 over classes, splits, pictures and labels as 64 hex digits.

    It is the same on every machine, in every folder and under any file names: it covers what the pictures' files
    hold, which split they are in, and which boxes (to 5 decimals) or class they have. Rows that the reader leaves out
    do not count.

    Args:
        dataset: An opened dataset.
        known: SHA-256 of pictures by path, where the caller has them already.

    Raises:
        OSError: a picture cannot be read.
    """
    lines = []
    for item in dataset.items():
        digest = (known or {}).get(item.image) or sha256_of(item.image)
        lines.append(hashlib.sha256(json.dumps([item.split, digest, _label(dataset, item)]).encode()).digest())
    total = hashlib.sha256(json.dumps(["lensmith 1", dataset.task, list(dataset.names)]).encode())
    for line in sorted(lines):
        total.update(line)
    return total.hexdigest()


def _label(dataset: Dataset, item: Item) -> object:
    if dataset.task == "classify":
        return item.class_id
    boxes, _ = dataset.boxes(item)
    return sorted(
        [class_id, *(round(value, 5) for value in box)]
        for class_id, box in zip(boxes.class_id.tolist(), boxes.cxcywh.tolist(), strict=True)
    )
