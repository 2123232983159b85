"""Measure a detector on labelled pictures through the predict loop, so that what is measured is what runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from ..core.errors import DataError, NotFoundError
from ..core.progress import progress
from ..core.words import some
from ..datasets.model import Dataset, Item, Split
from ..predict.engines.base import Engine
from ..predict.engines.choose import open_engine
from ..predict.loop import predict_frames
from ..predict.model import Model
from ..predict.results import Detections
from ..predict.sources import PictureSource
from ..weights.bundle import Bundle
from .metrics import DetectorScores, Tally

_LOWEST_CONFIDENCE = 0.001  # the field's habit: the curve needs the unsure detections too


def evaluate_detector(
    bundle: Bundle, dataset: Dataset, split: Split, *, device: str = "auto", without: Collection[Path] = ()
) -> DetectorScores:
    """Measure a bundle on one split of a dataset.

    Args:
        bundle: A detector.
        dataset: A detection dataset; its classes are matched with the model's by name.
        split: "train", "valid" or "test".
        device: As in `core.device.parse_device`.
        without: Pictures to leave out: those that leak from the training pictures, say.

    Raises:
        NotFoundError: the split holds no pictures, or none but those left out.
        DataError: the dataset has no class in common with the model, or is not one of boxes.
    """
    check_fits(bundle, dataset)
    items = [item for item in dataset.items(split) if item.image not in without]
    if not items:
        other = " but those left out" if without else ""
        raise NotFoundError(f"The dataset has no '{split}' pictures{other}.", where=dataset.root)
    return evaluate_items(bundle, open_engine(bundle, device=device), dataset, items, split)


def check_fits(bundle: Bundle, dataset: Dataset) -> None:
    """Whether a detector can be measured on a dataset at all; errors as in `evaluate_detector`."""
    if dataset.task != "detect":
        raise DataError(
            f"'{dataset.name}' is a dataset for classifiers: it has classes per picture and no boxes.",
            where=dataset.root,
            next_step="measure a detector on a dataset with boxes",
        )
    if bundle.record.task != "detect":
        raise DataError(
            f"'{dataset.name}' is a dataset for detectors, and '{bundle.name}' is a classifier: it finds no boxes.",
            where=dataset.root,
            next_step="give a dataset with a folder per class (cv crops makes one out of this), or a detector",
        )
    if not set(dataset.names) & set(bundle.record.names):
        raise DataError(
            f"The model and the dataset have no class in common: the model knows {some(bundle.record.names)}, the "
            f"dataset {some(dataset.names)}.",
            where=dataset.root,
            next_step="measure the model on a dataset with its own classes",
        )


def evaluate_items(bundle: Bundle, engine: Engine, dataset: Dataset, items: list[Item], split: str) -> DetectorScores:
    """Measure on these pictures of a dataset; a picture that cannot be read is left out and named in the result."""
    source = PictureSource(f"the {split} pictures", [item.image for item in items])
    to_model = _class_map(dataset.names, bundle.record.names)
    tally = Tally(bundle.record.names + dataset.names)
    with progress(f"measuring on {len(items)} {split} pictures", len(items)) as advance:
        for prediction in predict_frames(source, Model(bundle, engine), confidence=_LOWEST_CONFIDENCE):
            if not isinstance(prediction.result, Detections):
                raise DataError("This model classifies whole pictures; it finds no boxes.", where=bundle.folder)
            height, width = prediction.frame.bgr.shape[:2]
            boxes, _ = dataset.boxes(items[prediction.frame.index])
            tally.add(prediction.result, boxes.xyxy(width, height), to_model[boxes.class_id])
            advance(1)
    return tally.scores(split, tuple(source.skipped))


def _class_map(names: Iterable[str], known: tuple[str, ...]) -> np.ndarray:
    """The model's number of each class of the dataset; one that the model does not know gets a number of its own."""
    return np.array(
        [known.index(name) if name in known else len(known) + number for number, name in enumerate(names)], np.int64
    )
