"""What a stage of training works on: pictures, or activations of the frozen part that were computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.images import ImageError
from ..core.progress import warn
from ..core.words import some
from ..datasets.model import Dataset, Item
from ..weights.architecture import base_layers, first_unfrozen
from ..weights.backbones import find_backbone
from ..weights.bundle import Preprocessing
from .config import FinetuneConfig
from .data import Samples, need_every_class
from .features.compute import FeatureConfig, Features, compute_features, views_for
from .features.cut import Cut, cut_model
from .learning import LearningData
from .stages import Stage, StageData

_LOOKED_AT = 16


@dataclass(frozen=True)
class Pictures:
    """A dataset's pictures, read when they are first asked for.

    Attributes:
        dataset: Whose.
        config: Resolved options.
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

    @cached_property
    def train(self) -> Samples:
        """To learn from, augmented. Which of them can be read is found out by `read`, or where features are computed.

        Raises:
            DataError: a class has no picture.
        """
        config = self.config
        samples = Samples(
            self.train_items, self.preprocessing, config.augmentation, config.seed, what="training pictures",
            check=False,
        )  # fmt: skip
        need_every_class(samples, self.dataset.names, self.dataset.root)
        return samples

    @cached_property
    def valid(self) -> Samples:
        """To validate on, as they are. See `train`."""
        return Samples(self.valid_items, self.preprocessing, what="validation pictures", check=False)

    def read(self) -> None:
        """Decode all pictures once, and leave out those that cannot be read.

        Raises:
            DataError: a class has no training picture that can be read, or no validation picture can.
        """
        self.train.check()
        need_every_class(self.train, self.dataset.names, self.dataset.root)
        self.valid.check()
        if not len(self.valid):
            raise DataError(
                "No validation picture can be read.", where=self.dataset.root, next_step="add some pictures"
            )

    def golden(self) -> Samples:
        """A few validation pictures that can be read, spread evenly, for a bundle's golden samples.

        Raises:
            DataError: none of them can be read.
        """
        spread = np.linspace(0, len(self.valid_items) - 1, min(_LOOKED_AT, len(self.valid_items))).astype(int)
        some = Samples([self.valid_items[number] for number in spread], self.preprocessing, check=False)
        good = [item for number, item in enumerate(some.items) if _is_readable(some, number)]
        if not good:
            raise DataError("No validation picture can be read any more.", where=self.dataset.root)
        return Samples(good, self.preprocessing, check=False)


def _is_readable(samples: Samples, number: int) -> bool:
    try:
        samples.plain(number)
    except ImageError:
        return False
    return True


def warn_of_small_classes(names: Sequence[str], train: Sequence[Item], valid: Sequence[Item]) -> None:
    """Say which classes have next to nothing to learn from, and which are in no validation picture."""
    learned, judged = Counter(item.class_id for item in train), Counter(item.class_id for item in valid)
    if single := [name for number, name in enumerate(names) if learned[number] == 1]:
        warn(f"there is one training picture of: {some(single)}; that is next to nothing to learn from")
    if unjudged := [name for number, name in enumerate(names) if not judged[number]]:
        warn(f"no validation picture shows: {some(unjudged)}; how well it is told apart will not be known")


@contextmanager
def open_stage(model: Any, stage: Stage, pictures: Pictures, fingerprint: str) -> Iterator[StageData]:
    """What a stage learns from and is validated on; its files are closed at the end of the block.

    Where something stays frozen, and unless the person wants it otherwise, that is the activations of the frozen part.
    CutMix needs places that can be cut: with it the head learns from feature maps and not from what pooling makes of
    them.

    Args:
        model: With the weights that the run started with, or any in whose frozen part is the same.
        stage: Which.
        pictures: The dataset's.
        fingerprint: The dataset's.

    Raises:
        DataError: a class has no picture that can be read, or there is nothing to validate on.
        LensmithError: the disk has no room for the activations.
    """
    config = pictures.config
    cut = _cut(model, stage.unfreeze_from, config)
    deeper = _cut_of_tuning(model, config)
    if cut.trunk is None:
        pictures.read()
        yield StageData(model, pictures.train, pictures.valid)
        return
    augment = config.augmentation
    views = views_for(len(pictures.train), augment, config.views)
    wanted = FeatureConfig(fingerprint, augment, views, config.precise, config.seed)
    with ExitStack() as stack:
        train = compute_features(pictures.train, cut, wanted, deeper)
        stack.callback(train.close)
        need_every_class(train, pictures.dataset.names, pictures.dataset.root)
        valid = compute_features(pictures.valid, cut, replace(wanted, views=1), deeper)
        stack.callback(valid.close)
        yield StageData(cut.top, train, valid)


def _cut(model: Any, first: str | None, config: FinetuneConfig) -> Cut:
    if not config.cache:
        return Cut(None, model, "")
    if first is None and config.cutmix:
        first = base_layers(model)[-1].name
    return cut_model(model, first)


def _cut_of_tuning(model: Any, config: FinetuneConfig) -> Cut | None:
    """Where the model is cut in the second stage; None where there is one stage only."""
    if not (config.epochs_frozen and config.epochs_tune and config.unfreeze):
        return None
    return _cut(model, first_unfrozen(base_layers(model), find_backbone(config.backbone), config.unfreeze), config)


def about_data(data: LearningData) -> dict[str, Any]:
    """For run.json: how many pictures there are, which cannot be read, and how features of them were computed."""
    told: dict[str, Any] = {"pictures": len(data) - len(data.lost)}
    if isinstance(data, Features):
        told |= {
            "views": data.views, "engine": data.engine, "shape": list(data.shape), "seconds": data.seconds,
            "from_cache": data.from_cache,
        }  # fmt: skip
    if isinstance(data, (Features, Samples)):
        left_out = [[str(skip.item.image), skip.reason] for skip in data.skipped]
        lost = [[str(data.items[number].image), "it could no longer be read"] for number in sorted(data.lost)]
        told["skipped"] = [*left_out, *lost]
    return told
