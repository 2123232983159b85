"""How good a classifier is, from the true and the predicted classes. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..predict.results import Skipped


@dataclass(frozen=True)
class ClassScore:
    """One class.

    Attributes:
        name: The class.
        pictures: How many pictures of it were looked at.
        precision: Share of the pictures called this class that are; 0 when none was called so.
        recall: Share of its pictures that were called so; 0 when there are none.
        f1: Harmonic mean of the two.
    """

    name: str
    pictures: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ClassifierScores:
    """What a classifier did on a set of pictures.

    Attributes:
        split: Which pictures: "valid", "test", "held-out".
        accuracy: Share of pictures called right.
        balanced_accuracy: Mean recall of the classes that have pictures; one class cannot outweigh the others.
        f1: Mean F1 of the classes that have pictures.
        classes: Each class in the model's order.
        confusion: int64 `(classes, classes)`: row is the truth, column the prediction.
        skipped: Pictures that could not be read.
    """

    split: str
    accuracy: float
    balanced_accuracy: float
    f1: float
    classes: tuple[ClassScore, ...]
    confusion: np.ndarray
    skipped: tuple[Skipped, ...] = ()

    def summary(self) -> dict[str, float]:
        """The figures that go into a bundle."""
        return {"accuracy": self.accuracy, "balanced_accuracy": self.balanced_accuracy, "f1": self.f1}

    def as_record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "split": self.split, **self.summary(), "pictures": int(self.confusion.sum()),
            "classes": [vars(score) for score in self.classes], "confusion": self.confusion.tolist(),
            "skipped": [entry._asdict() for entry in self.skipped],
        }  # fmt: skip


def score(
    truth: np.ndarray,
    predicted: np.ndarray,
    names: tuple[str, ...],
    split: str,
    skipped: tuple[Skipped, ...] = (),
) -> ClassifierScores:
    """Compare predicted with true classes.

    Args:
        truth: int64 `(n,)` class ids; n must not be 0.
        predicted: int64 `(n,)` class ids.
        names: The class names in order.
        split: For the record.
        skipped: For the record.
    """
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    right, pictures, called = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    precision = right / np.maximum(called, 1)
    recall = right / np.maximum(pictures, 1)
    f1 = 2 * right / np.maximum(pictures + called, 1)
    seen = pictures > 0
    return ClassifierScores(
        split=split,
        accuracy=float(right.sum() / confusion.sum()),
        balanced_accuracy=float(recall[seen].mean()),
        f1=float(f1[seen].mean()),
        classes=tuple(
            ClassScore(name, int(pictures[i]), float(precision[i]), float(recall[i]), float(f1[i]))
            for i, name in enumerate(names)
        ),
        confusion=confusion,
        skipped=skipped,
    )
