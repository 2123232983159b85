"""What leaking pictures do to a model's score: measured with them, and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ..core.workspace import Workspace
    from ..datasets.check.finding import CheckReport
    from ..datasets.check.leaks import LeakEffect
    from ..datasets.model import Dataset, Split
    from ..weights.bundle import Bundle


def open_fitting(weights: str, dataset: Dataset, workspace: Workspace) -> Bundle:
    """Open a model that is to be measured on a dataset.

    Raises:
        NotFoundError, DataError: there is no such model, or it knows other classes or does another task.
    """
    from ..weights.bundle import open_bundle

    bundle = open_bundle(weights, workspace)
    if dataset.task == "classify":
        from ..classify.evaluate import check_fits
    else:
        from ..detect.evaluate import check_fits
    check_fits(bundle, dataset)
    return bundle


def leak_effect(report: CheckReport, weights: str, workspace: Workspace) -> list[LeakEffect]:
    """Measure a model on each split that leaks, "valid" and "test", as it is and without the leaking pictures.

    Raises:
        NotFoundError, DataError: see `open_bundle`, `evaluate_detector` and `evaluate_classifier`.
    """
    from ..datasets.model import SPLITS
    from ..weights.bundle import open_bundle

    bundle, leaked = open_bundle(weights, workspace), frozenset(report.leaked)
    effects = (_effect_on(bundle, report.dataset, split, leaked) for split in SPLITS)
    return [effect for effect in effects if effect is not None]


def _effect_on(bundle: Bundle, dataset: Dataset, split: Split, leaked: frozenset[Path]) -> LeakEffect | None:
    """The same for one split; None when none of its pictures leaks, and then the model is not run."""
    if not any(item.image in leaked for item in dataset.items(split)):
        return None
    if dataset.task == "classify":
        from ..classify.assess import leak_effect_of
        from ..classify.evaluate import evaluate_classifier

        return leak_effect_of(evaluate_classifier(bundle, dataset, split), leaked)
    from ..detect.assess import leak_effect_of as detector_effect
    from ..detect.evaluate import evaluate_detector

    return detector_effect(evaluate_detector(bundle, dataset, split), leaked)


def tell_leak_effect(effects: list[LeakEffect], weights: str) -> None:
    """The same in plain words."""
    from ..core.progress import say

    if not effects:
        say(f"No picture of 'valid' or 'test' leaks, so the score of {weights} on them stands.")
    for effect in effects:
        say(effect.sentence(weights))
