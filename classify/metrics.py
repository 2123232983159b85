"""How good a classifier is, from its probabilities and the true classes. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.words import some
from ..predict.results import Skipped
from ..report.bootstrap import Figure, draw_counts, figure
from .curves import average_precision, reliability, roc_auc

FEW_PICTURES = 30
OF_THRESHOLDS = ("answered", "accuracy_answered")
"""Figures of a bundle that depend on its thresholds."""


@dataclass(frozen=True)
class ClassScore:
    """One class. What nothing can be said about is None.

    Attributes:
        name: The class.
        pictures: How many pictures of it were looked at.
        called: How many pictures were called so.
        precision: Share of the pictures called this class that are; None when none was called so.
        recall: Share of its pictures that were called so; None when there are none.
        f1: Harmonic mean of the two; None when there are no pictures of it.
        roc_auc: Chance that a picture of it gets a higher probability than one of another class.
        average_precision: Area under the precision-recall curve.
    """

    name: str
    pictures: int
    called: int
    precision: Figure | None
    recall: Figure | None
    f1: Figure | None
    roc_auc: float | None
    average_precision: float | None


@dataclass(frozen=True)
class ClassifierScores:
    """What a classifier did on a set of pictures. All shares lie in 0..1; intervals are 95% (see `report.bootstrap`).

    Attributes:
        split: Which pictures: "valid", "test", "held-out".
        pictures: How many.
        accuracy: Share of pictures whose most probable class is the true one.
        balanced_accuracy: Mean recall of the classes that have pictures; one class cannot outweigh the others.
        f1: Mean F1 of the classes that have pictures.
        classes: Each class in the model's order.
        confusion: int64 `(classes, classes)`: row is the truth, column the prediction.
        ece: Expected calibration error: how far the probabilities are off on average (see `reliability`).
        ece_before: The same before temperature scaling; None where nothing is known of it.
        answered: Share of pictures that were sure enough for an answer other than "unknown".
        accuracy_answered: Share of these that are right; None when there are none.
        skipped: Pictures that could not be read.
    """

    split: str
    pictures: int
    accuracy: Figure
    balanced_accuracy: Figure
    f1: Figure
    classes: tuple[ClassScore, ...]
    confusion: np.ndarray
    ece: float
    ece_before: float | None = None
    answered: float = 1.0
    accuracy_answered: Figure | None = None
    skipped: tuple[Skipped, ...] = ()

    @property
    def unknown(self) -> float:
        """Share of pictures that were answered "unknown"."""
        return 1 - self.answered

    def summary(self) -> dict[str, float]:
        """The figures that go into a bundle."""
        found: dict[str, float] = {}
        for name in ("accuracy", "balanced_accuracy", "f1"):
            value: Figure = getattr(self, name)
            found |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
        found["ece"] = self.ece
        if self.ece_before is not None:
            found["ece_before"] = self.ece_before
        if self.answered < 1:
            found["answered"] = self.answered
            if self.accuracy_answered is not None:
                found["accuracy_answered"] = self.accuracy_answered.value
        return found | {"pictures": self.pictures}

    def as_record(self) -> dict[str, Any]:
        """Everything, for JSON; a figure is `{"value", "low", "high"}`."""
        return {
            "split": self.split, "pictures": self.pictures, "accuracy": self.accuracy._asdict(),
            "balanced_accuracy": self.balanced_accuracy._asdict(), "f1": self.f1._asdict(),
            "ece": self.ece, "ece_before": self.ece_before, "answered": self.answered,
            "accuracy_answered": _record(self.accuracy_answered),
            "classes": [{key: _record(value) for key, value in vars(one).items()} for one in self.classes],
            "confusion": self.confusion.tolist(), "skipped": [entry._asdict() for entry in self.skipped],
        }  # fmt: skip

    def remarks(self) -> list[str]:
        """What a reader of the figures must know, in plain sentences."""
        said = []
        called = [one.name for one in self.classes if one.called]
        if len(called) == 1 and sum(one.pictures > 0 for one in self.classes) > 1:
            said.append(
                f"Every {self.split} picture was called '{called[0]}': the model has learned nothing that tells the"
                " classes apart. Look at the curves of the training; more epochs or another learning rate may help."
            )
        if self.pictures < FEW_PICTURES:
            said.append(
                f"Only {self.pictures} {self.split} pictures were measured: one picture more or less changes the"
                f" accuracy by {100 / self.pictures:.0f} points, so read the intervals and not the figures."
            )
        if none := [one.name for one in self.classes if not one.pictures]:
            said.append(f"No {self.split} picture shows {', '.join(none)}: nothing is known about that.")
        if few := [one.name for one in self.classes if 0 < one.pictures < FEW_PICTURES // 3]:
            said.append(
                f"Fewer than {FEW_PICTURES // 3} {self.split} pictures each show {some(few)}: too few to judge these"
                " classes by."
            )
        return said


def score(
    labels: np.ndarray,
    probability: np.ndarray,
    names: tuple[str, ...],
    split: str,
    *,
    answered: np.ndarray | None = None,
    before: np.ndarray | None = None,
    skipped: tuple[Skipped, ...] = (),
) -> ClassifierScores:
    """Compare probabilities with true classes.

    Args:
        labels: int64 `(n,)` class ids; n must not be 0.
        probability: float `(n, classes)`, rows summing to 1.
        names: The class names in order.
        split: For the record.
        answered: bool `(n,)`: where the answer is not "unknown"; None for everywhere.
        before: The probabilities before temperature scaling; None when they are not known.
        skipped: For the record.
    """
    predicted = probability.argmax(axis=1)
    right = predicted == labels
    answered = np.ones(len(labels), bool) if answered is None else answered
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    drawn = _draw_shares(confusion)
    pictures, called = confusion.sum(axis=1), confusion.sum(axis=0)
    shares = _shares(confusion.diagonal()[None], pictures[None], called[None])
    seen = pictures > 0
    # A mean of shares is as uncertain as one share over so many pictures.
    even = seen.sum() ** 2 / (1 / pictures[seen]).sum()
    return ClassifierScores(
        split=split,
        pictures=len(labels),
        accuracy=figure(right.mean(), drawn.accuracy, len(labels)),
        balanced_accuracy=figure(shares.recall[0, seen].mean(), drawn.balanced_accuracy, even),
        f1=figure(shares.f1[0, seen].mean(), drawn.macro_f1, even),
        classes=tuple(
            _class_score(k, name, labels, probability, (int(pictures[k]), int(called[k])), shares, drawn)
            for k, name in enumerate(names)
        ),
        confusion=confusion,
        ece=reliability(probability, labels).ece,
        ece_before=None if before is None else reliability(before, labels).ece,
        answered=float(answered.mean()),
        accuracy_answered=share_of(right[answered]),
        skipped=skipped,
    )


def share_of(holds: np.ndarray) -> Figure | None:
    """The share of pictures for which something holds, bool `(n,)`, with its interval; None when there are none."""
    if not len(holds):
        return None
    counts = np.array([len(holds) - holds.sum(), holds.sum()])
    drawn = np.concatenate([rows[:, 1] / len(holds) for rows in draw_counts(counts)])
    return figure(float(holds.mean()), drawn, len(holds))


@dataclass(frozen=True)
class _Shares:
    """float64 `(draws, classes)` each; NaN where there is nothing to divide by."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    accuracy: np.ndarray

    @property
    def balanced_accuracy(self) -> np.ndarray:
        return np.nanmean(self.recall, axis=1)

    @property
    def macro_f1(self) -> np.ndarray:
        return np.nanmean(self.f1, axis=1)


def _shares(right: np.ndarray, pictures: np.ndarray, called: np.ndarray) -> _Shares:
    """From counts `(draws, classes)`."""
    have, said = np.where(pictures > 0, pictures, np.nan), np.where(called > 0, called, np.nan)
    f1 = np.where(pictures > 0, 2 * right / np.maximum(pictures + called, 1), np.nan)
    return _Shares(right / said, right / have, f1, right.sum(axis=1) / pictures.sum(axis=1))


def _draw_shares(confusion: np.ndarray) -> _Shares:
    true, predicted = np.nonzero(confusion)
    diagonal = true == predicted
    parts = []
    for rows in draw_counts(confusion[true, predicted]):
        right = np.zeros((len(rows), len(confusion)), np.int64)
        right[:, true[diagonal]] = rows[:, diagonal]
        parts.append((right, *(_sums(rows, ids, len(confusion)) for ids in (true, predicted))))
    return _shares(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _sums(rows: np.ndarray, ids: np.ndarray, classes: int) -> np.ndarray:
    """The columns of `(draws, cells)` added up by their class: `(draws, classes)`."""
    order = np.argsort(ids, kind="stable")
    present, start = np.unique(ids[order], return_index=True)
    sums = np.zeros((len(rows), classes), np.int64)
    sums[:, present] = np.add.reduceat(rows[:, order], start, axis=1)
    return sums


def _class_score(
    k: int, name: str, labels: np.ndarray, probability: np.ndarray, counts: tuple[int, int],
    shares: _Shares, drawn: _Shares,
) -> ClassScore:  # fmt: skip
    pictures, called = counts
    positive = labels == k
    both = 0 < pictures < len(labels)
    return ClassScore(
        name=name, pictures=pictures, called=called,
        precision=figure(shares.precision[0, k], drawn.precision[:, k], called) if called else None,
        recall=figure(shares.recall[0, k], drawn.recall[:, k], pictures) if pictures else None,
        f1=figure(shares.f1[0, k], drawn.f1[:, k], pictures) if pictures else None,
        roc_auc=roc_auc(probability[:, k], positive) if both else None,
        average_precision=average_precision(probability[:, k], positive) if both else None,
    )  # fmt: skip


def _record(value: Any) -> Any:
    return value._asdict() if isinstance(value, Figure) else value
