"""What was seen of all pictures of a dataset, in arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ...core.images import suffix_fits
from .describe import DESCRIPTOR_BYTES
from .items import Items
from .look import Look


class _Words:
    """Few different texts, many times: one byte each."""

    def __init__(self, count: int) -> None:
        self._known: dict[str, int] = {"": 0}
        self.codes = np.zeros(count, np.uint8)

    def put(self, at: np.ndarray, words: Iterable[str]) -> None:
        self.codes[at] = [self._known.setdefault(word, min(len(self._known), 255)) for word in words]

    def get(self, index: int) -> str:
        return list(self._known)[self.codes[index]]

    def code(self, word: str) -> int:
        return self._known.get(word, 255)


class Looks:
    """One look for each picture of a dataset, in the order of `items`; some 330 bytes a picture.

    Attributes:
        items: The pictures.
        sha256: uint8 `(n, 32)`; all zero where the picture cannot be used: it has no copies worth naming.
        width, height: int32 `(n,)`, pixels, upright; 0 when unknown.
        orientation, bits: uint8 `(n,)`, see `ImageInfo`.
        transparent, misnamed: bool `(n,)`, see `ImageInfo`.
        frames: int32 `(n,)`.
        descriptors: uint8 `(n, 256)`, see `describe.describe`.
        described: bool `(n,)`, which of them are there.
        reasons: Why a picture cannot be used, in words, by its number.
    """

    def __init__(self, items: Items) -> None:
        count = len(items)
        self.items = items
        self.sha256 = np.zeros((count, 32), np.uint8)
        self.width, self.height = np.zeros(count, np.int32), np.zeros(count, np.int32)
        self.orientation, self.bits = np.ones(count, np.uint8), np.full(count, 8, np.uint8)
        self.transparent, self.misnamed = np.zeros(count, bool), np.zeros(count, bool)
        self.frames = np.ones(count, np.int32)
        self.descriptors = np.zeros((count, DESCRIPTOR_BYTES), np.uint8)
        self.described = np.zeros(count, bool)
        self.reasons: dict[int, str] = {}
        self._fault, self._format, self._mode = _Words(count), _Words(count), _Words(count)

    def __len__(self) -> int:
        return len(self.items)

    def put(self, numbers: Sequence[int], looks: Sequence[Look]) -> None:
        """Set what was seen of some pictures."""
        if not looks:
            return
        at = np.array(numbers, np.int64)
        digests, faults, reasons, widths, heights, formats, modes, turns, bits, clear, frames, seen = zip(
            *looks, strict=True
        )
        self.sha256[at] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
        self.sha256[at[[bool(fault) for fault in faults]]] = 0
        self.width[at], self.height[at], self.frames[at] = widths, heights, np.minimum(frames, 2**31 - 1)
        self.orientation[at], self.bits[at], self.transparent[at] = turns, np.minimum(bits, 255), clear
        blank = bytes(DESCRIPTOR_BYTES)
        rows = b"".join(descriptor or blank for descriptor in seen)
        self.descriptors[at] = np.frombuffer(rows, np.uint8).reshape(-1, DESCRIPTOR_BYTES)
        self.described[at] = [bool(descriptor) for descriptor in seen]
        paths = self.items.path
        self.misnamed[at] = [
            bool(kind) and not suffix_fits(paths(n), kind) for n, kind in zip(numbers, formats, strict=True)
        ]
        self.reasons.update((n, reason) for n, reason in zip(numbers, reasons, strict=True) if reason)
        self._fault.put(at, faults)
        self._format.put(at, formats)
        self._mode.put(at, modes)

    def fault(self, index: int) -> str:
        """An `ImageFault`, or empty when the picture is fine."""
        return self._fault.get(index)

    def format(self, index: int) -> str:
        """Such as "JPEG" or "PNG"; empty when unknown."""
        return self._format.get(index)

    def with_fault(self, fault: str) -> np.ndarray:
        """int64 `(k,)`: the pictures that have a fault; those that are fine for an empty one."""
        return np.flatnonzero(self._fault.codes == self._fault.code(fault))

    def with_mode(self, mode: str) -> np.ndarray:
        """int64 `(k,)`: the pictures whose pixels have this layout (Pillow's name)."""
        return np.flatnonzero(self._mode.codes == self._mode.code(mode))

    def digest(self, index: int) -> bytes:
        """The SHA-256 of a picture's file, 32 bytes."""
        return self.sha256[index].tobytes()
