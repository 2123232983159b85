"""What `cv evaluate` says about detectors: figures, leaks, thresholds, mistakes, and which of several is best."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import NotFoundError, UsageError
from ..core.progress import progress
from ..datasets.check.leaks import LeakEffect
from ..datasets.check.run import check_dataset
from ..datasets.check.tell import skipped_sentences
from ..datasets.fingerprint import fingerprint
from ..datasets.holdout import first_split
from ..datasets.known import Learner, known_to
from ..datasets.model import Dataset, Split
from ..report.paired import Difference, compare_samples
from ..report.target import Target, parse_target
from ..weights.bundle import Bundle, rewrite_bundle
from .compared import measure
from .errors import Kind, cost_of_errors, count_errors, sort_errors
from .evaluate import Evaluation, Protocol, check_fits, evaluate_detector
from .metrics import DetectorScores
from .precision import draws_for
from .thresholds import choose_thresholds, missed, shortfalls


@dataclass(frozen=True)
class AssessConfig:
    """How to measure.

    Attributes:
        split: "train", "valid" or "test"; None takes test, and valid where the dataset has no test pictures.
        target: Also choose thresholds for this on the validation pictures: "precision=0.95".
        device: As in `core.device.parse_device`.
        protocol: How to count, see `Evaluation`.
    """

    split: Split | None = None
    target: str | None = None
    device: str = "auto"
    protocol: Protocol = "predict"

    def __post_init__(self) -> None:
        if self.target is not None:
            parse_target(self.target)


@dataclass(frozen=True)
class Assessed:
    """One model.

    Attributes:
        evaluation: What it found; with thresholds for the target, where there is one.
        clean: Its figures without the pictures that leak, those included that it has seen in another dataset; None when
            none leaks, or no other has a box.
        leak: The same in two figures; None when none leaks.
        counts: How many mistakes of each kind each class has.
        costs: How many points of mAP50, 0..1, each kind costs.
        remarks: What a reader of its figures must know, in plain sentences.
        missed: Those of them that say why its thresholds are not worth keeping, see `thresholds.missed`.
    """

    evaluation: Evaluation
    clean: DetectorScores | None
    leak: LeakEffect | None
    counts: dict[Kind, list[int]]
    costs: dict[Kind, float]
    remarks: tuple[str, ...]
    missed: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        one = self.evaluation
        return {
            "name": one.model, "protocol": one.protocol, "imgsz": one.imgsz, **one.scores.as_record(),
            "leak": self.leak and asdict(self.leak) | {"without": self.clean and self.clean.as_record()},
            "confusion": {"names": [*one.names, "background"], "counts": one.confusion.tolist()},
            "mistakes": {
                kind: {"count": sum(counts), "cost": self.costs[kind],
                       "classes": dict(zip(one.names, counts, strict=True))}
                for kind, counts in self.counts.items()
            },
            "remarks": list(self.remarks),
        }  # fmt: skip


@dataclass(frozen=True)
class Assessment:
    """The whole answer.

    Attributes:
        models: One by one.
        comparisons: Of each two models: their names, and the difference of their mAP50-95 on the same pictures.
        target: What the thresholds were chosen for; None for the models' own.
    """

    models: tuple[Assessed, ...]
    comparisons: tuple[tuple[str, str, Difference], ...] = ()
    target: Target | None = None

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """What each model found."""
        return tuple(one.evaluation for one in self.models)

    def as_record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "split": self.models[0].evaluation.split,
            "target": self.target and str(self.target),
            "models": [one.as_record() for one in self.models],
            "comparisons": [
                {"first": first, "second": second, "measure": one.measure, **one.difference._asdict(),
                 "within_noise": one.within_noise}
                for first, second, one in self.comparisons
            ],
        }  # fmt: skip


def assess_detectors(bundles: Sequence[Bundle], dataset: Dataset, config: AssessConfig | None = None) -> Assessment:
    """Measure one or more detectors on a split of a dataset.

    Args:
        bundles: The detectors.
        dataset: See `evaluate_detector`.
        config: How.

    Raises:
        NotFoundError: the split holds no pictures, or there are no validation pictures to choose thresholds on.
        DataError, LensmithError: see `evaluate_detector`.
    """
    config = config or AssessConfig()
    for bundle in bundles:
        check_fits(bundle, dataset)  # before every picture is read
    split = config.split or first_split(dataset)
    target = parse_target(config.target) if config.target else None
    leaked = _leaked(dataset) if split != "train" else frozenset()
    models = tuple(_assess(bundle, dataset, split, target, leaked, config) for bundle in bundles)
    return Assessment(models, tuple(_compare([one.evaluation for one in models])), target)


def save_thresholds(bundle: Bundle, assessed: Assessed, dataset: Dataset) -> Bundle:
    """Write the thresholds that an evaluation used into the bundle, whole or not at all.

    The bundle's precision and recall belonged to the old thresholds. Where it was measured now on the pictures that
    its figures come from, the new ones take their place; else nobody knows them, and there are none.

    Args:
        bundle: The model.
        assessed: From `assess_detectors` with a target.
        dataset: What it was measured on.

    Raises:
        UsageError: it was measured with a protocol that counts otherwise than `cv predict`.
        DataError: see `rewrite_bundle`.
    """
    if assessed.evaluation.protocol != "predict":
        raise UsageError("Thresholds that are saved must be chosen with the protocol 'predict'.", where="protocol")
    record, measured = bundle.record, assessed.evaluation
    metrics = {name: value for name, value in record.metrics.items() if not name.startswith(("precision", "recall"))}
    trained_on = record.dataset and record.dataset.fingerprint
    if measured.split == record.metrics_split and trained_on == fingerprint(dataset):
        metrics |= measured.scores.summary()
    thresholds = tuple(float(value) for value in measured.thresholds[: len(record.names)])
    return rewrite_bundle(bundle, record.model_copy(update={"thresholds": thresholds, "metrics": metrics}))


def leak_effect_of(evaluation: Evaluation, leaked: Collection[Path]) -> LeakEffect | None:
    """The mAP50 with pictures that an earlier split gives away, and without them; None when none leaks."""
    count = sum(image in leaked for image in evaluation.images)
    return _effect(evaluation, count, _clean(evaluation, leaked)) if count else None


def _effect(evaluation: Evaluation, count: int, clean: DetectorScores | None) -> LeakEffect:
    return LeakEffect(
        evaluation.split, len(evaluation), count, "mAP50", evaluation.scores.as_metrics().get("mAP50"),
        clean and clean.as_metrics().get("mAP50"),
    )  # fmt: skip


def _clean(evaluation: Evaluation, leaked: Collection[Path]) -> DetectorScores | None:
    rest = evaluation.without(leaked)
    return rest.scores if rest is not None and rest.scores.boxes else None


def _leaked(dataset: Dataset) -> frozenset[Path]:
    with progress("looking for pictures that two splits share", dataset.count()) as advance:
        return frozenset(check_dataset(dataset, advance=advance).leaked)


def _assess(
    bundle: Bundle, dataset: Dataset, split: Split, target: Target | None, leaked: frozenset[Path], config: AssessConfig
) -> Assessed:
    evaluation = evaluate_detector(bundle, dataset, split, device=config.device, protocol=config.protocol)
    more: list[str] = []
    if target:
        evaluation, more = _limited(bundle, dataset, evaluation, target, config)
    remarks = [*evaluation.scores.remarks(), *skipped_sentences(split, evaluation.skipped, dataset.root)]
    chosen = "was chosen by, and has its thresholds from,"
    model = Learner(bundle.name, bundle.record.dataset, bundle.record.run, bundle.folder)
    known = known_to(model, dataset, split, evaluation.images, chosen=chosen)
    remarks += [known.remark] if known.remark else []
    remarks += more
    leaked |= known.pictures
    count = sum(image in leaked for image in evaluation.images)
    clean = _clean(evaluation, leaked) if count else None
    mistakes = sort_errors(evaluation)
    short = missed(evaluation, target) if target else []
    return Assessed(
        evaluation, clean, _effect(evaluation, count, clean) if count else None,
        count_errors(evaluation, mistakes), cost_of_errors(evaluation, mistakes), (*short, *remarks),
        tuple(short),
    )  # fmt: skip


def _limited(
    bundle: Bundle, dataset: Dataset, evaluation: Evaluation, target: Target, config: AssessConfig
) -> tuple[Evaluation, list[str]]:
    """The evaluation with thresholds that were chosen for the target, and what is to be said of them."""
    remarks = []
    if evaluation.split == "valid":
        valid = evaluation
        remarks.append("The thresholds were chosen by the very pictures that they are measured on: expect a bit less.")
    else:
        if next(dataset.items("valid"), None) is None:
            raise NotFoundError(
                "The dataset has no 'valid' pictures, on which thresholds are chosen.",
                where=dataset.root,
                next_step="make a valid split: cv split-dataset",
            )
        valid = evaluate_detector(bundle, dataset, "valid", device=config.device, protocol=config.protocol)
    thresholds = choose_thresholds(valid, target)[: len(bundle.record.names)]
    remarks += shortfalls(valid.with_thresholds(thresholds), target)
    return evaluation.with_thresholds(thresholds), remarks


def _compare(evaluations: Sequence[Evaluation]) -> list[tuple[str, str, Difference]]:
    """Each two models on the pictures that were measured with both; none where there is no box."""
    key = ("", "mAP50-95")
    found = []
    for first, second in combinations(evaluations, 2):
        both = frozenset(first.images) & frozenset(second.images)
        pair = [replace(one, pictures=tuple(p for p in one.pictures if p.image in both)) for one in (first, second)]
        draws = min(draws_for(len(one.matches.class_id)) for one in pair)
        samples = [measure(one, np.arange(len(one)), draws).get(key) for one in pair]
        if samples[0] and samples[1]:
            found.append((first.model, second.model, compare_samples(key, samples[0], samples[1])))
    return found
