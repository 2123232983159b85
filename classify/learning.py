"""What a stage of training learns from and is validated on: pictures, or features that were computed before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..datasets.model import Item


class LearningData(Protocol):
    """Labelled inputs that can be asked for in any order and from any thread.

    `classify.data.Samples` gives pictures, `classify.features.compute.Features` gives activations of the frozen part.

    Attributes:
        lost: Numbers of items that could be read before and no longer can.
    """

    lost: set[int]

    def __len__(self) -> int: ...

    @property
    def items(self) -> Sequence[Item]:
        """The usable pictures, in the order of their numbers."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """int64 `(n,)` class ids."""
        ...

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Some inputs as this epoch wants them.

        Args:
            indices: int64 `(m,)` numbers of items.
            epoch: From 0; chooses the augmentation, or the view.

        Returns:
            float32 inputs `(k, ...)` and int64 class ids `(k,)`; k < m where a picture can no longer be read.

        Raises:
            DataError: none of them can be read any more.
        """
        ...
