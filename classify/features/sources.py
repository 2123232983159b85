"""What features are computed from: pictures, or features of an earlier layer that are on the disk already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...core.errors import LensmithError
from ...core.images import ImageError
from ...datasets.augment_spec import AugmentSpec
from ..data import Samples
from .store import Stored


class Source(Protocol):
    """Inputs of a frozen part, one list of views for each picture; may be asked from any thread."""

    def __len__(self) -> int:
        """How many pictures."""
        ...

    @property
    def count(self) -> int:
        """Views of each picture."""
        ...

    @property
    def what(self) -> str:
        """What they are, for a progress bar."""
        ...

    def of(self, number: int) -> list[np.ndarray]:
        """All views of one picture; raises ImageError where it cannot be read."""
        ...

    def plain(self, number: int) -> np.ndarray:
        """A picture's first view; raises ImageError as well."""
        ...

    def nothing(self) -> np.ndarray:
        """An input of zeros."""
        ...


@dataclass(frozen=True)
class Views:
    """Pictures as they are and changed at random: uint8 BGR `(h, w, 3)`. See `Source`.

    Attributes:
        samples: The pictures.
        count: How many views of each; the first is the picture as it is.
        augment: How the others are changed.
        seed: Of their random numbers.
    """

    samples: Samples
    count: int
    augment: AugmentSpec
    seed: int

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def what(self) -> str:
        """See `Source`."""
        each = f", {self.count} views each" if self.count > 1 else ""
        return f"features of {len(self)} {self.samples.what}{each}"

    def of(self, number: int) -> list[np.ndarray]:
        """See `Source`."""
        return self.samples.views(number, self.count, self.augment, self.seed)

    def plain(self, number: int) -> np.ndarray:
        """See `Source`. With more views to come, what they need of the picture is decoded too."""
        return self.samples.views(number, min(self.count, 2), self.augment, self.seed)[0]

    def nothing(self) -> np.ndarray:
        """See `Source`."""
        size = self.samples.preprocessing
        return np.zeros((size.height, size.width, 3), np.uint8)


@dataclass(frozen=True)
class Activations:
    """Features of an earlier layer: float32. See `Source`.

    Attributes:
        stored: They, open.
        layer: Which layer gave them.
    """

    stored: Stored
    layer: str

    def __len__(self) -> int:
        return self.stored.layout.pictures

    @property
    def count(self) -> int:
        """See `Source`."""
        return self.stored.layout.views

    @property
    def what(self) -> str:
        """See `Source`."""
        return f"the same from the features of {self.layer}"

    def of(self, number: int) -> list[np.ndarray]:
        """See `Source`."""
        return self._read(number, self.count)

    def plain(self, number: int) -> np.ndarray:
        """See `Source`."""
        return self._read(number, 1)[0]

    def nothing(self) -> np.ndarray:
        """See `Source`."""
        return np.zeros(self.stored.layout.shape, np.float32)

    def _read(self, number: int, views: int) -> list[np.ndarray]:
        if number in self.stored.skipped:
            raise ImageError(self.stored.skipped[number], None)
        layout, file = self.stored.layout, self.stored.file
        held = np.empty((views, *layout.shape), layout.dtype)
        try:
            file.read(number * layout.views * layout.row_bytes, held)
        except OSError as error:
            raise LensmithError(
                f"The features kept on disk cannot be read any more: {error}.",
                where=file.path,
                next_step="run the same command again; it computes them anew",
            ) from None
        return list(held.astype(np.float32, copy=False))
