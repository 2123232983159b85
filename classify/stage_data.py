"""What a stage of training works on: pictures, or activations of the frozen part that were computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..core.errors import DataError
from ..datasets.model import Dataset, Item
from ..weights.bundle import Preprocessing
from .config import FinetuneConfig
from .data import Samples, need_every_class, training_items
from .stages import StageData


@dataclass(frozen=True)
class Pictures:
    """A dataset's pictures, read when they are first asked for.

    Attributes:
        dataset: Whose.
        config: The options.
        preprocessing: The model's.
        train_items: To learn from.
        valid_items: To validate on.
        valid_name: "valid", or "held-out" where the dataset has no such split.
    """

    dataset: Dataset
    config: FinetuneConfig
    preprocessing: Preprocessing
    train_items: Sequence[Item]
    valid_items: Sequence[Item]
    valid_name: str

    @classmethod
    def of(cls, dataset: Dataset, config: FinetuneConfig, preprocessing: Preprocessing) -> Pictures:
        """Choose them by the dataset's splits; raises DataError where it cannot train a classifier."""
        return cls(dataset, config, preprocessing, *training_items(dataset, config.seed))

    @cached_property
    def train(self) -> Samples:
        """To learn from, augmented.

        Raises:
            DataError: a class has no picture that can be read.
        """
        augment, seed = self.config.augmentation, self.config.seed
        samples = Samples(self.train_items, self.preprocessing, augment, seed, what="training pictures")
        need_every_class(samples, self.dataset.names, self.dataset.root)
        return samples

    @cached_property
    def valid(self) -> Samples:
        """To validate on, as they are.

        Raises:
            DataError: none of them can be read.
        """
        samples = Samples(self.valid_items, self.preprocessing, what="validation pictures")
        if not len(samples):
            raise DataError(
                "No validation picture can be read.", where=self.dataset.root, next_step="add some pictures"
            )
        return samples


def stage_data(model: Any, pictures: Pictures) -> StageData:
    """Prepare what a stage learns from and is validated on."""
    return StageData(model, pictures.train, pictures.valid)
