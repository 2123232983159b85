"""One hash that ties a model to the data that made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.files import sha256_of
from .model import Boxes, Dataset, Split, Task


class Fingerprint:
    """The SHA-256 over classes, splits, pictures and labels, fed one picture at a time in any order.

    It is the same on every machine, in every folder and under any file names: it covers what the pictures' files
    hold, which split they are in, and which boxes (to 5 decimals) or class they have. Rows that the reader leaves out
    do not count.
    """

    def __init__(self, task: Task, names: Sequence[str]) -> None:
        self._start = json.dumps(["lensmith 1", task, list(names)]).encode()
        self._lines: list[bytes] = []

    def add(self, split: Split, sha256: str, label: Boxes | int | None) -> None:
        """Take in one picture.

        Args:
            split: Where it is.
            sha256: Of its file, as 64 hex digits.
            label: Its boxes, or its class id.
        """
        known = _rows(label) if isinstance(label, Boxes) else label
        self._lines.append(hashlib.sha256(json.dumps([split, sha256, known]).encode()).digest())

    def hexdigest(self) -> str:
        """The fingerprint of all that was taken in, as 64 hex digits."""
        total = hashlib.sha256(self._start)
        for line in sorted(self._lines):
            total.update(line)
        return total.hexdigest()


def fingerprint(dataset: Dataset, known: Mapping[Path, str] | None = None) -> str:
    """The `Fingerprint` of a dataset.

    Args:
        dataset: An opened dataset.
        known: SHA-256 of pictures by path, where the caller has them already.

    Raises:
        OSError: a picture cannot be read.
    """
    whole = Fingerprint(dataset.task, dataset.names)
    for item in dataset.items():
        digest = (known or {}).get(item.image) or sha256_of(item.image)
        whole.add(item.split, digest, dataset.boxes(item)[0] if dataset.task == "detect" else item.class_id)
    return whole.hexdigest()


def _rows(boxes: Boxes) -> list[list[float]]:
    return sorted(
        [class_id, *(round(value, 5) for value in box)]
        for class_id, box in zip(boxes.class_id.tolist(), boxes.cxcywh.tolist(), strict=True)
    )
