"""What `cv evaluate` says about classifiers: figures, leaks, what an ensemble buys, what thresholds would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..core.errors import NotFoundError, UsageError
from ..core.progress import progress
from ..datasets.check.leaks import LeakEffect
from ..datasets.check.run import check_dataset
from ..datasets.fingerprint import fingerprint
from ..datasets.holdout import first_split
from ..datasets.known import Learner, known_to
from ..datasets.model import Dataset, Split
from ..report.bootstrap import Figure, difference
from ..report.target import Target, parse_target
from ..weights.bundle import Bundle, rewrite_bundle
from .calibrate import choose_thresholds, shortfalls
from .evaluate import Evaluation, evaluate_classifier
from .metrics import OF_THRESHOLDS, share_of


@dataclass(frozen=True)
class AssessConfig:
    """How to measure.

    Attributes:
        split: "train", "valid" or "test"; None takes test, and valid where the dataset has no test pictures.
        target: Also choose thresholds for this on the validation pictures: "precision=0.95".
        device: As in `core.device.parse_device`.
    """

    split: Split | None = None
    target: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.target is not None:
            parse_target(self.target)


@dataclass(frozen=True)
class Gain:
    """How much more often an ensemble is right than one of its members, on the same pictures.

    Attributes:
        member: Its name.
        difference: Of the accuracies, -1..1; positive where the ensemble is better.
    """

    member: str
    difference: Figure

    @property
    def within_noise(self) -> bool:
        """Whether the interval holds 0."""
        return self.difference.low <= 0 <= self.difference.high

    def __str__(self) -> str:
        points = [100 * value for value in self.difference]
        if points == [0, 0, 0]:
            return f"together they are right on just the pictures on which '{self.member}' alone is: within noise"
        more = f"{abs(points[0]):.1f} points {'more' if points[0] >= 0 else 'less'} accurate"
        noise = ": within noise" if self.within_noise else ""
        return f"together they are {more} than '{self.member}' alone ({points[1]:+.1f} to {points[2]:+.1f}){noise}"


@dataclass(frozen=True)
class TargetEffect:
    """What thresholds that were chosen on validation pictures do on the pictures that were measured.

    Attributes:
        target: What they were chosen for.
        evaluation: The same answers with these thresholds.
        reached: Of each class the target's figure on the measured pictures; None where there is nothing to count.
        remarks: Classes that cannot reach it, in plain sentences.
    """

    target: Target
    evaluation: Evaluation
    reached: tuple[Figure | None, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Assessment:
    """The whole answer.

    Attributes:
        evaluation: Of the model, or of the ensemble with its members.
        gains: The ensemble against each member.
        leak: The accuracy with and without pictures that leak; None when none does.
        target: What thresholds for a target would do; None when none was asked for.
        remarks: What a reader of the figures must know, in plain sentences.
    """

    evaluation: Evaluation
    gains: tuple[Gain, ...] = ()
    leak: LeakEffect | None = None
    target: TargetEffect | None = None
    remarks: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        whole = self.evaluation
        target = self.target and {
            "target": str(self.target.target),
            "thresholds": dict(zip(whole.names, self.target.evaluation.thresholds.tolist(), strict=True)),
            "reached": {
                name: value and value._asdict() for name, value in zip(whole.names, self.target.reached, strict=True)
            },
            "scores": self.target.evaluation.scores.as_record(),
        }
        return {
            "split": whole.split,
            "models": [{"name": one.model, **one.scores.as_record()} for one in whole.members or (whole,)],
            "ensemble": {"name": whole.model, **whole.scores.as_record()} if whole.members else None,
            "gains": [
                {"over": gain.member, **gain.difference._asdict(), "within_noise": gain.within_noise}
                for gain in self.gains
            ],
            "leak": self.leak and asdict(self.leak),
            "target": target,
            "remarks": list(self.remarks),
        }


def assess_classifiers(bundles: Sequence[Bundle], dataset: Dataset, config: AssessConfig | None = None) -> Assessment:
    """Measure one classifier, or several alone and as one, on a split of a dataset.

    Args:
        bundles: One or more classifiers of the same classes.
        dataset: See `evaluate_classifier`.
        config: How.

    Raises:
        NotFoundError: the split holds no pictures, or there are no validation pictures to choose thresholds on.
        DataError, LensmithError: see `evaluate_classifier`.
    """
    config = config or AssessConfig()
    split = config.split or first_split(dataset)
    evaluation = evaluate_classifier(bundles, dataset, split, device=config.device)
    leak = _leak(evaluation, dataset)
    target = _target(bundles, dataset, evaluation, config) if config.target else None
    return Assessment(
        evaluation=evaluation,
        gains=tuple(
            Gain(member.model, difference(member.right, evaluation.right)) for member in evaluation.members
        ),
        leak=leak,
        target=target,
        remarks=(*_remarks(bundles, dataset, evaluation), *(target.remarks if target else ())),
    )  # fmt: skip


def save_thresholds(bundle: Bundle, effect: TargetEffect, dataset: Dataset) -> Bundle:
    """Write the thresholds into the bundle, whole or not at all.

    The bundle's figures of what is answered belonged to the old thresholds. Where it was measured now on the pictures
    that its figures come from, the new ones take their place; else nobody knows them, and there are none.

    Args:
        bundle: The model.
        effect: From `assess_classifiers`.
        dataset: What it was measured on.

    Raises:
        UsageError: they were chosen for several models as one.
        DataError: see `rewrite_bundle`.
    """
    if effect.evaluation.members:
        raise UsageError(
            "Thresholds of several models as one belong to none of them.",
            where="--save",
            next_step="run it again with a single --weights",
        )
    record, measured = bundle.record, effect.evaluation
    metrics = {name: value for name, value in record.metrics.items() if name not in OF_THRESHOLDS}
    trained_on = record.dataset and record.dataset.fingerprint
    if measured.split == record.metrics_split and trained_on == fingerprint(dataset):
        metrics |= {name: value for name, value in measured.scores.summary().items() if name in OF_THRESHOLDS}
    thresholds = tuple(float(value) for value in measured.thresholds)
    return rewrite_bundle(bundle, record.model_copy(update={"thresholds": thresholds, "metrics": metrics}))


def reached_by(evaluation: Evaluation, target: Target) -> tuple[Figure | None, ...]:
    """Of each class a target's figure with the evaluation's thresholds; None where there is nothing to count."""
    given, predicted = evaluation.answered, evaluation.predicted
    reached = []
    for k in range(len(evaluation.names)):
        hit = given & (predicted == k)
        if target.metric == "precision":
            reached.append(share_of(evaluation.labels[hit] == k))
        else:
            reached.append(share_of(hit[evaluation.labels == k]))
    return tuple(reached)


def leak_effect_of(evaluation: Evaluation, leaked: frozenset) -> LeakEffect | None:
    """The accuracy with pictures that an earlier split gives away, and without them; None when none leaks."""
    count = sum(image in leaked for image in evaluation.images)
    if not count:
        return None
    clean = evaluation.without(leaked)
    return LeakEffect(
        evaluation.split, len(evaluation), count, "accuracy", evaluation.scores.accuracy.value,
        None if clean is None else clean.scores.accuracy.value,
    )  # fmt: skip


def _leak(evaluation: Evaluation, dataset: Dataset) -> LeakEffect | None:
    if evaluation.split == "train":
        return None
    with progress("looking for pictures that two splits share", dataset.count()) as advance:
        report = check_dataset(dataset, advance=advance)
    return leak_effect_of(evaluation, frozenset(report.leaked))


def _target(bundles: Sequence[Bundle], dataset: Dataset, evaluation: Evaluation, config: AssessConfig) -> TargetEffect:
    target = parse_target(config.target or "")
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
        valid = evaluate_classifier(bundles, dataset, "valid", device=config.device)
    thresholds = choose_thresholds(valid.probability, valid.labels, target)
    remarks += shortfalls(valid.probability, valid.labels, thresholds, target, valid.names)
    limited = evaluation.calibrated(evaluation.temperature, thresholds)
    return TargetEffect(target, limited, reached_by(limited, target), tuple(remarks))


def _remarks(bundles: Sequence[Bundle], dataset: Dataset, evaluation: Evaluation) -> list[str]:
    said = [*evaluation.scores.remarks(), *evaluation.about_skipped(dataset.root)]
    for bundle in bundles:
        model = Learner(bundle.name, bundle.record.dataset, bundle.record.run, bundle.folder)
        chosen = "was chosen and calibrated by"
        known = known_to(model, dataset, evaluation.split, evaluation.images, chosen=chosen)
        said += [known.remark] if known.remark else []
    classes = evaluation.scores.classes
    low = [one.name for one in classes if one.pictures and not one.called]
    if low and sum(one.called > 0 for one in classes) > 1:  # else the remark about the only answer says it
        said.append(f"No picture was taken for {', '.join(low)}.")
    return said
