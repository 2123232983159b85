"""What `cv evaluate` says about detectors: figures with intervals, leaks, thresholds, and which of several is best."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..datasets.check.leaks import LeakEffect
from .evaluate import Evaluation


def leak_effect_of(evaluation: Evaluation, leaked: Collection[Path]) -> LeakEffect | None:
    """The mAP50 with pictures that an earlier split gives away, and without them; None when none leaks."""
    count = sum(image in leaked for image in evaluation.images)
    if not count:
        return None
    clean = evaluation.without(leaked)
    return LeakEffect(
        evaluation.split, len(evaluation), count, "mAP50", evaluation.scores.as_metrics().get("mAP50"),
        None if clean is None else clean.scores.as_metrics().get("mAP50"),
    )  # fmt: skip
