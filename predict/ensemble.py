"""Several classifiers that answer as one: the mean of their probabilities, which is right more often than each alone.

See L. K. Hansen and P. Salamon, "Neural network ensembles", 1990, and B. Lakshminarayanan, A. Pritzel and C. Blundell,
"Simple and scalable predictive uncertainty estimation using deep ensembles", 2017, section 2.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from ..core.errors import DataError, LensmithError, UsageError
from ..core.words import some
from ..weights.bundle import Bundle, Preprocessing
from .engines.base import Tag
from .model import Model, Prepared, open_model
from .results import Detections, Scores


class Ensemble:
    """Classifiers of the same classes as one, see `Predictor`.

    Each picture is decoded once; every member prepares it in its own way, runs on its own engine and calibrates its own
    probabilities with its own temperature. Their mean is the answer, and the mean of their thresholds says which
    answers are "unknown". The classes stand in the order of the first member. `Scores.members` has what each of them
    said, in the order in which they were given.

    Args:
        members: Two or more.

    Raises:
        UsageError: a member is a detector, or the same bundle was given twice.
        DataError: the members know different classes; those that are not common to all are named.
    """

    def __init__(self, members: Sequence[Model]) -> None:
        check_members([member.bundle for member in members])
        self.members = tuple(members)
        self.name = " + ".join(member.name for member in members)
        self.names = members[0].names
        self.engine_name = " + ".join(dict.fromkeys(member.engine_name for member in members))
        self.device = " + ".join(dict.fromkeys(member.device for member in members))
        self.batch = max(member.batch for member in members)
        first = members[0].dataset
        same = first is not None and all(
            member.dataset is not None and member.dataset.fingerprint == first.fingerprint for member in members
        )
        self.dataset = first if same else None
        self._columns = [np.array([member.names.index(name) for name in self.names]) for member in members]

    def prepare(self, bgr: np.ndarray) -> tuple[Prepared, ...]:
        """See `Predictor.prepare`; members that want the same input share it."""
        ready: dict[Preprocessing, Prepared] = {}
        for member in self.members:
            wanted = member.bundle.record.preprocessing
            if wanted not in ready:
                ready[wanted] = member.prepare(bgr)
        return tuple(ready[member.bundle.record.preprocessing] for member in self.members)

    def infer(self, prepared: Sequence[tuple[Prepared, ...]]) -> Iterable[tuple[np.ndarray, ...]]:
        """See `Predictor.infer`; for each picture the members' raw answers."""
        inputs = zip(*prepared, strict=True)
        answers = [member.infer(one) for member, one in zip(self.members, inputs, strict=True)]
        return zip(*answers, strict=True)

    def stream(
        self, batches: Iterable[tuple[Tag, Sequence[tuple[Prepared, ...]]]]
    ) -> Iterator[tuple[Tag, Iterable[tuple[np.ndarray, ...]]]]:
        """See `Predictor.stream`. Each member's answers go along with the batch to the next one."""
        rows: Iterator[_Underway[Tag]] = (_Underway(tag, batch, ()) for tag, batch in batches)
        for number, member in enumerate(self.members):
            rows = _through(member, number, rows)
        return ((row.tag, zip(*row.answers, strict=True)) for row in rows)

    def decode(self, raw: tuple[np.ndarray, ...], prepared: tuple[Prepared, ...], confidence: float | None) -> Scores:
        """See `Predictor.decode`."""
        said = [
            _in_order(member.decode(one, ready, confidence), columns)
            for member, one, ready, columns in zip(self.members, raw, prepared, self._columns, strict=True)
        ]
        probability = np.stack([scores.probability for scores in said]).mean(axis=0)
        threshold = np.stack([scores.thresholds for scores in said]).mean(axis=0)
        return Scores(probability, threshold, tuple(said))


@dataclass(frozen=True, slots=True)
class _Underway(Generic[Tag]):
    """A batch on its way through the members, with the answers of those that it has passed."""

    tag: Tag
    batch: Sequence[tuple[Prepared, ...]]
    answers: tuple[Iterable[np.ndarray], ...]


def _through(member: Model, number: int, rows: Iterable[_Underway[Tag]]) -> Iterator[_Underway[Tag]]:
    inputs = ((row, [prepared[number] for prepared in row.batch]) for row in rows)
    for row, answers in member.stream(inputs):
        yield _Underway(row.tag, row.batch, (*row.answers, answers))


def open_models(
    bundles: Sequence[Bundle], *, engine: str = "auto", device: str = "auto", live: bool = False
) -> Model | Ensemble:
    """One bundle, or several classifiers as one, ready for `predict_frames`.

    Args:
        bundles: One or more; see `Ensemble`.
        engine: Of every member, as in `open_engine`.
        device: Of every member.
        live: As in `open_engine`.

    Raises:
        LensmithError: see `Ensemble` and `open_engine`.
    """
    if len(bundles) == 1:
        return open_model(bundles[0], engine=engine, device=device, live=live)
    check_members(bundles)  # before any of them takes its time to load
    return Ensemble([open_model(bundle, engine=engine, device=device, live=live) for bundle in bundles])


def check_members(bundles: Sequence[Bundle]) -> None:
    """Whether these bundles can answer as one; errors as in `Ensemble`."""
    detector = next((bundle for bundle in bundles if bundle.record.task == "detect"), None)
    if detector:
        raise UsageError(
            f"'{detector.name}' is a detector, and only classifiers can be averaged: the boxes of two detectors do not "
            "belong together one by one.",
            where="--weights",
            next_step="run the detectors one after the other",
        )
    folders = [bundle.folder.resolve() for bundle in bundles]
    twice = next((bundle for bundle, folder in zip(bundles, folders, strict=True) if folders.count(folder) > 1), None)
    if twice:
        raise UsageError(f"'{twice.name}' was given more than once.", where="--weights",
                         next_step="give each model once; the mean of a model with itself is that model")  # fmt: skip
    first = bundles[0]
    for other in bundles[1:]:
        if problem := _difference(first, other):
            raise DataError(
                f"'{first.name}' and '{other.name}' do not know the same classes: {problem}.",
                where=other.folder,
                next_step="average models that were trained on the same classes; their order may differ",
            )


def _difference(first: Bundle, other: Bundle) -> str | None:
    ours, theirs = first.record.names, other.record.names
    parts = []
    for bundle, extra in ((first, sorted(set(ours) - set(theirs))), (other, sorted(set(theirs) - set(ours)))):
        if extra:
            parts.append(f"only '{bundle.name}' knows {some(extra)}")
    return " and ".join(parts) or None


def _in_order(scores: Detections | Scores, columns: np.ndarray) -> Scores:
    if not isinstance(scores, Scores):
        raise LensmithError("Only classifiers can be averaged.")
    return Scores(scores.probability[columns], scores.thresholds[columns])
