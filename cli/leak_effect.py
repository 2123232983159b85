"""What leaking pictures do to a model's score: measured with them, and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from ..core.workspace import Workspace
    from ..datasets.check.finding import CheckReport
    from ..datasets.check.leaks import LeakEffect
    from ..datasets.model import Dataset, Split
    from ..weights.bundle import Bundle


def leak_effect(report: CheckReport, weights: str, workspace: Workspace) -> list[LeakEffect]:
    """Measure a model on each split that leaks, "valid" and "test", as it is and without the leaking pictures.

    Raises:
        NotFoundError, DataError: see `open_bundle`, `evaluate_detector` and `evaluate_classifier`.
    """
    from ..datasets.model import SPLITS
    from ..weights.bundle import open_bundle

    bundle, leaked = open_bundle(weights, workspace), frozenset(report.leaked)
    effects = (effect_on(bundle, report.dataset, split, leaked) for split in SPLITS)
    return [effect for effect in effects if effect is not None]


def effect_on(bundle: Bundle, dataset: Dataset, split: Split, leaked: frozenset[Path]) -> LeakEffect | None:
    """The same for one split; None when none of its pictures leaks, and the model was not run."""
    images = [item.image for item in dataset.items(split)]
    count = sum(image in leaked for image in images)
    if not count:
        return None
    if dataset.task == "classify":
        from ..classify.assess import leak_effect_of
        from ..classify.evaluate import evaluate_classifier

        return leak_effect_of(evaluate_classifier(bundle, dataset, split), leaked)
    from ..datasets.check.leaks import LeakEffect

    try:
        clean = _map50(bundle, dataset, split, leaked)
    except NotFoundError:
        clean = None
    return LeakEffect(split, len(images), count, "mAP50", _map50(bundle, dataset, split), clean)


def _map50(bundle: Bundle, dataset: Dataset, split: Split, without: frozenset[Path] = frozenset()) -> float | None:
    from ..detect.evaluate import evaluate_detector

    return evaluate_detector(bundle, dataset, split, without=without).as_metrics().get("mAP50")


def tell_leak_effect(effects: list[LeakEffect], weights: str) -> None:
    """The same in plain words."""
    from ..core.progress import say

    if not effects:
        say(f"No picture of 'valid' or 'test' leaks, so the score of {weights} on them stands.")
    for effect in effects:
        say(effect.sentence(weights))
