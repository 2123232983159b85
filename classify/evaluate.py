"""Measures classifiers on labelled pictures, through the same loop that predicts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..core.errors import DataError, NotFoundError
from ..core.progress import progress
from ..core.words import some
from ..datasets.check.tell import skipped_sentences
from ..datasets.model import Dataset, Item, Split
from ..predict.decode import apply_temperature
from ..predict.ensemble import open_models
from ..predict.loop import predict_frames
from ..predict.model import Model, Predictor
from ..predict.results import Scores, Skipped
from ..predict.sources import PictureSource
from ..weights.bundle import Bundle
from .metrics import ClassifierScores, score


@dataclass(frozen=True)
class Evaluation:
    """What a classifier, or several as one, said about labelled pictures.

    Attributes:
        model: What it is called.
        split: Which pictures: "train", "valid", "test", "held-out".
        names: The model's classes in order.
        said: float32 `(n, classes)` probabilities before `temperature`; of an ensemble the mean after its members'.
        labels: int64 `(n,)` true class ids, in the model's order.
        images: `n` paths.
        thresholds: float32 `(classes,)`: below its class's threshold an answer is "unknown".
        temperature: The bundle's; None for an ensemble and its members, which are calibrated in `said`.
        skipped: Pictures that could not be read.
        members: Of an ensemble, what each member said, in the order in which they were given.
    """

    model: str
    split: str
    names: tuple[str, ...]
    said: np.ndarray
    labels: np.ndarray
    images: tuple[Path, ...]
    thresholds: np.ndarray
    temperature: float | None = 1.0
    skipped: tuple[Skipped, ...] = ()
    members: tuple[Evaluation, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def probability(self) -> np.ndarray:
        """float32 `(n, classes)`, calibrated: what `cv predict` shows."""
        return apply_temperature(self.said, self.temperature or 1.0)

    @property
    def predicted(self) -> np.ndarray:
        """int64 `(n,)`: the most probable class, also where the answer is "unknown"."""
        return self.probability.argmax(axis=1)

    @property
    def right(self) -> np.ndarray:
        """Whether that is the true class: bool `(n,)`."""
        return self.predicted == self.labels

    @property
    def answered(self) -> np.ndarray:
        """Whether the answer is a class and not "unknown": bool `(n,)`."""
        return self.probability.max(axis=1) >= self.thresholds[self.predicted]

    @cached_property
    def scores(self) -> ClassifierScores:
        """The figures, with their intervals."""
        before = self.said if self.temperature is not None else None
        return score(
            self.labels, self.probability, self.names, self.split,
            answered=self.answered, before=before, skipped=self.skipped,
        )  # fmt: skip

    def about_skipped(self, root: Path) -> list[str]:
        """A sentence that names the pictures of this dataset which could not be read; none where there are none."""
        return skipped_sentences(self.split, self.skipped, root)

    def calibrated(self, temperature: float | None, thresholds: Sequence[float] | None) -> Evaluation:
        """The same answers with another temperature, and other thresholds where they are given."""
        chosen = self.thresholds if thresholds is None else np.array(thresholds, np.float32)
        return replace(self, temperature=temperature, thresholds=chosen)

    def without(self, images: Collection[Path]) -> Evaluation | None:
        """The same without some pictures; None when no other is left."""
        kept = np.array([image not in images for image in self.images], bool)
        if not kept.any():
            return None
        return replace(
            self, said=self.said[kept], labels=self.labels[kept],
            images=tuple(image for image, keep in zip(self.images, kept, strict=True) if keep),
            members=tuple(part for member in self.members if (part := member.without(images))),
        )  # fmt: skip

    def mistakes(self) -> np.ndarray:
        """int64: numbers of the pictures that were called wrong, the most confident first."""
        sure = self.probability.max(axis=1)
        order = np.argsort(-sure, kind="stable")
        return order[~self.right[order]]

    def doubtful(self) -> np.ndarray:
        """int64 `(n,)`: numbers of all pictures, the two highest probabilities nearest to each other first."""
        padded = np.pad(self.probability, ((0, 0), (1, 0)))
        second, first = np.partition(padded, -2, axis=1)[:, -2:].T
        return np.argsort(first - second, kind="stable")


def evaluate_classifier(
    bundle: Bundle | Sequence[Bundle],
    dataset: Dataset,
    split: Split,
    *,
    device: str = "auto",
    without: Collection[Path] = (),
) -> Evaluation:
    """Measure a bundle, or several as an ensemble, on a split of a dataset.

    Args:
        bundle: A classifier, or several of the same classes.
        dataset: Its classes are matched with the model's by name; it need not have all of them.
        split: "train", "valid" or "test".
        device: As in `core.device.parse_device`.
        without: Pictures to leave out.

    Raises:
        NotFoundError: the split holds no pictures, or none but those left out.
        DataError: the dataset has a class that the model does not know, or no picture of the split can be read.
        LensmithError: see `open_models`.
    """
    bundles = [bundle] if isinstance(bundle, Bundle) else list(bundle)
    _check_task(bundles, dataset)
    to_model = class_map(dataset, bundles[0].record.names)
    items = [item for item in dataset.items(split) if item.image not in without]
    if not items:
        other = " but those left out" if without else ""
        raise NotFoundError(f"The dataset has no '{split}' pictures{other}.", where=dataset.root)
    return evaluate_items(open_models(bundles, device=device), items, split, to_model)


def evaluate_items(
    model: Predictor, items: Sequence[Item], split: str, to_model: np.ndarray | None = None
) -> Evaluation:
    """Measure a model on items.

    Args:
        model: From `open_models`.
        items: Pictures with class ids.
        split: What they are called.
        to_model: int64: the model's class id for each of the items'; None where they are the same.

    Raises:
        DataError: none of the pictures can be read, or the model is a detector.
    """
    temperature = model.bundle.record.temperature if isinstance(model, Model) else None
    source = PictureSource(f"the {split} pictures", [item.image for item in items])
    seen: list[Item] = []
    answers: list[Scores] = []
    with progress(f"measuring on {split}", len(items), unit="pictures") as step:
        for prediction in predict_frames(source, _uncalibrated(model)):
            if not isinstance(prediction.result, Scores):
                raise DataError(f"'{model.name}' is a detector, not a classifier.")
            seen.append(items[prediction.frame.index])
            answers.append(prediction.result)
            step(1)
    if not seen:
        first = source.skipped[0] if source.skipped else None
        raise DataError(
            f"No picture of the split '{split}' can be read.",
            where=first.path if first else model.name,
            next_step=f"the first one: {first.reason}" if first else "add pictures to that split",
        )
    labels = np.array([item.class_id for item in seen], np.int64)
    whole = Evaluation(
        model=model.name, split=split, names=model.names,
        said=np.stack([answer.probability for answer in answers]),
        labels=labels if to_model is None else to_model[labels],
        images=tuple(item.image for item in seen),
        thresholds=np.array(answers[0].thresholds), temperature=temperature, skipped=tuple(source.skipped),
    )  # fmt: skip
    return replace(whole, members=_members(model, whole, answers))


def check_fits(bundle: Bundle, dataset: Dataset) -> None:
    """Whether a classifier can be measured on a dataset at all; errors as in `evaluate_classifier`."""
    _check_task([bundle], dataset)
    class_map(dataset, bundle.record.names)


def _uncalibrated(model: Predictor) -> Predictor:
    """A single bundle without its temperature, which is applied afterwards by the same function: so both are known."""
    if not isinstance(model, Model):
        return model
    record = model.bundle.record.model_copy(update={"temperature": 1.0})
    return Model(Bundle(model.bundle.folder, record), model.engine)


def _members(model: Predictor, whole: Evaluation, answers: Sequence[Scores]) -> tuple[Evaluation, ...]:
    names = [member.name for member in getattr(model, "members", ())]
    return tuple(
        replace(
            whole, model=name, said=np.stack([answer.members[number].probability for answer in answers]),
            thresholds=np.array(answers[0].members[number].thresholds),
        )
        for number, name in enumerate(names)
    )  # fmt: skip


def _check_task(bundles: Sequence[Bundle], dataset: Dataset) -> None:
    if dataset.task != "classify":
        raise DataError("This dataset has boxes and no classes per picture.", where=dataset.root,
                        next_step="a classifier is measured on a dataset with a folder per class")  # fmt: skip
    for bundle in bundles:
        if bundle.record.task != "classify":
            raise DataError(f"'{bundle.name}' is a detector, not a classifier.", where=bundle.folder,
                            next_step="a detector is measured on a detection dataset")  # fmt: skip


def class_map(dataset: Dataset, known: tuple[str, ...]) -> np.ndarray:
    """For each class of the dataset its place in `known`, int64 `(classes,)`.

    Raises:
        DataError: the model does not know one of the dataset's classes.
    """
    unknown = [name for name in dataset.names if name not in known]
    if unknown:
        raise DataError(
            f"The dataset has {some(unknown)}, which the model does not know; it knows {some(known)}.",
            where=dataset.root,
            next_step="measure the model on a dataset with its own classes",
        )
    return np.array([known.index(name) for name in dataset.names], np.int64)
