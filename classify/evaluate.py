"""Measures a classifier's bundle on labelled pictures, through the same loop that predicts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from ..core.errors import DataError, NotFoundError
from ..core.progress import progress
from ..datasets.model import Dataset, Item, Split
from ..predict.engines.base import Engine
from ..predict.engines.choose import open_engine
from ..predict.loop import predict_frames
from ..predict.results import Scores
from ..predict.sources import PictureSource
from ..weights.bundle import Bundle
from .metrics import ClassifierScores, score


def evaluate_classifier(
    bundle: Bundle, dataset: Dataset, split: Split, *, device: str = "auto", without: Collection[Path] = ()
) -> ClassifierScores:
    """Measure a bundle on a split of a dataset.

    Args:
        bundle: A classifier.
        dataset: A dataset with the model's classes in the model's order.
        split: "train", "valid" or "test".
        device: As in `core.device.parse_device`.
        without: Pictures to leave out: those that leak from the training pictures, say.

    Raises:
        NotFoundError: the split holds no pictures, or none but those left out.
        DataError: the dataset's classes are not the model's, or no picture of the split can be read.
    """
    if dataset.names != bundle.record.names:
        theirs, ours = ", ".join(dataset.names), ", ".join(bundle.record.names)
        raise DataError(
            f"The dataset's classes ({theirs}) are not the model's ({ours}).",
            where=dataset.root,
            next_step="measure the model on a dataset with the same classes in the same order",
        )
    items = [item for item in dataset.items(split) if item.image not in without]
    if not items:
        other = " but those left out" if without else ""
        raise NotFoundError(f"The dataset has no '{split}' pictures{other}.", where=dataset.root)
    return evaluate_items(bundle, open_engine(bundle, device=device), items, split)


def evaluate_items(bundle: Bundle, engine: Engine, items: Sequence[Item], split: str) -> ClassifierScores:
    """Measure a bundle on items whose class ids are the model's.

    Raises:
        DataError: none of the pictures can be read.
    """
    source = PictureSource(f"the {split} pictures", [item.image for item in items])
    truth, predicted = [], []
    with progress(f"measuring on {split}", len(items), unit="pictures") as step:
        for prediction in predict_frames(source, bundle, engine, confidence=0.0):
            if not isinstance(prediction.result, Scores):
                raise DataError(f"'{bundle.name}' is a detector, not a classifier.", where=bundle.folder)
            truth.append(items[prediction.frame.index].class_id)
            predicted.append(int(prediction.result.probability.argmax()))
            step(1)
    if not truth:
        first = source.skipped[0] if source.skipped else None
        raise DataError(
            f"No picture of the split '{split}' can be read.",
            where=first.path if first else bundle.folder,
            next_step=f"the first one: {first.reason}" if first else "add pictures to that split",
        )
    pairs = np.array([truth, predicted], np.int64)
    return score(pairs[0], pairs[1], bundle.record.names, split, tuple(source.skipped))
