"""What leaking pictures do to a model's score: measured with them, and without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from ..core.workspace import Workspace
    from ..datasets.check.finding import CheckReport
    from ..datasets.model import Dataset, Split
    from ..weights.bundle import Bundle


@dataclass(frozen=True)
class LeakEffect:
    """One split's score with the pictures that an earlier split gives away, and without them.

    Attributes:
        split: "valid" or "test".
        pictures, leaked: How many pictures it has, and how many of them leak.
        metric: "mAP50" for a detector, "accuracy" for a classifier.
        with_leaked: On all pictures; None when none of them has a box.
        without_leaked: On those that do not leak; None when all do, or none of the others has a box.
    """

    split: Split
    pictures: int
    leaked: int
    metric: str
    with_leaked: float | None
    without_leaked: float | None


def leak_effect(report: CheckReport, weights: str, workspace: Workspace) -> list[LeakEffect]:
    """Measure a model on each split that leaks, "valid" and "test", as it is and without the leaking pictures.

    Raises:
        NotFoundError, DataError: see `open_bundle`, `evaluate_detector` and `evaluate_classifier`.
    """
    from ..datasets.model import SPLITS
    from ..weights.bundle import open_bundle

    dataset, leaked = report.dataset, frozenset(report.leaked)
    bundle = open_bundle(weights, workspace)
    effects: list[LeakEffect] = []
    for split in SPLITS:
        images = [item.image for item in dataset.items(split)]
        if count := sum(image in leaked for image in images):
            try:
                clean = _score(bundle, dataset, split, leaked)
            except NotFoundError:
                clean = None
            metric = "mAP50" if dataset.task == "detect" else "accuracy"
            effects.append(LeakEffect(split, len(images), count, metric, _score(bundle, dataset, split), clean))
    return effects


def _score(bundle: Bundle, dataset: Dataset, split: Split, without: Collection[Path] = ()) -> float | None:
    if dataset.task == "detect":
        from ..detect.evaluate import evaluate_detector

        return evaluate_detector(bundle, dataset, split, without=without).as_metrics().get("mAP50")
    from ..classify.evaluate import evaluate_classifier

    return evaluate_classifier(bundle, dataset, split, without=without).scores.accuracy.value


def tell_leak_effect(effects: list[LeakEffect], weights: str) -> None:
    """The same in plain words."""
    from ..core.progress import say

    if not effects:
        say(f"No picture of 'valid' or 'test' leaks, so the score of {weights} on them stands.")
    for effect in effects:
        say(f"{effect.metric} of {weights} on '{effect.split}': {_shown(effect.with_leaked)} on all {effect.pictures}"
            f" pictures; {_shown(effect.without_leaked)} without the {effect.leaked} that leak.")  # fmt: skip


def _shown(score: float | None) -> str:
    return "nothing to measure" if score is None else f"{score:.3f}"
