"""What stands in every page about a detector: the figures with their intervals, the classes, the curves, the sizes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..core.words import many
from ..report.page import Page
from ..report.parts import limits, thinned, told_short
from ..report.plots import confusion_matrix, xy_lines
from ..report.target import Target
from .curves import CONFIDENCES, RECALLS
from .evaluate import Evaluation
from .metrics import MEDIUM, SMALL, DetectorScores

_MOST_CURVES = 7
_MOST_PAIRS = 12
_MOST_NUMBERED = 19  # classes, see `report.plots.confusion_matrix`
_ALL = "all classes"


def add_lead_figures(page: Page, scores: DetectorScores) -> None:
    """The figures that matter, large; nothing where no picture has a box."""
    rest = (
        f"95% interval, {many(scores.pictures, 'picture')} of {scores.split} with {many(scores.boxes, 'box', 'boxes')}"
    )
    meanings = {
        "mAP50": (scores.map50, f"{rest}; a box counts as found from an overlap of one half"),
        "mAP50-95": (scores.map50_95, "boxes must fit well"),
        "precision": (scores.precision, "of what it shows, so much is right"),
        "recall": (scores.recall, "of what is there, so much is found"),
    }
    page.numbers([
        (name, f"{figure.value:.3f}", f"{limits(figure)}; {meaning}")
        for name, (figure, meaning) in meanings.items()
        if figure is not None
    ])  # fmt: skip


def compare_rows(evaluations: Mapping[str, Evaluation]) -> list[list[object]]:
    """A table row for each of several models or splits: name, pictures, boxes, and `metrics.FIGURES`."""
    return [
        [name, len(one), one.scores.boxes,
         *map(told_short, (one.scores.map50, one.scores.map50_95, one.scores.precision, one.scores.recall))]
        for name, one in evaluations.items()
    ]  # fmt: skip


def add_classes(page: Page, evaluation: Evaluation) -> None:
    """A row per class, and the confusion matrix."""
    scores = evaluation.scores
    page.section("Class by class", "How good each class is on its own, and what is taken for what.")
    page.table(
        ["class", "pictures", "boxes", "AP50", "AP50-95"],
        [
            [one.name, one.pictures, one.boxes, told_short(one.ap50), told_short(one.ap50_95)]
            for one in scores.classes
            if one.boxes or one.found
        ],
        "AP counts all thresholds at once: AP50 with an overlap of at least one half, AP50-95 the mean up to 0.95. In"
        f" brackets 95% intervals, from drawing the pictures {scores.draws} times with replacement.",
    )
    _add_confusion(page, evaluation)


def add_thresholds(page: Page, evaluation: Evaluation, target: Target | None) -> None:
    """A row per class with its threshold, and what it leads to.

    Args:
        page: Where to.
        evaluation: What was measured.
        target: What the thresholds were chosen for; None for the best F1, or the bundle's own.
    """
    page.section(
        f"Thresholds for {target}" if target else "Thresholds",
        "What is surer than the threshold of its class is shown by cv predict and cv live; --conf sets another one.",
    )
    page.table(
        ["class", "threshold", "shown", "precision", "recall"],
        [
            [one.name, f"{one.threshold:.3f}", one.found, told_short(one.precision), told_short(one.recall)]
            for one in evaluation.scores.classes
            if one.boxes or one.found
        ],
        "Precision: of what is shown, so much is right. Recall: of the labelled boxes, so many are found. A dash:"
        " nothing is shown.",
    )


def add_curves(page: Page, evaluation: Evaluation) -> None:
    """Precision over recall, and F1, precision and recall over confidence."""
    curves = evaluation.curves
    known = [k for k, one in enumerate(evaluation.scores.classes) if one.boxes]
    if not known:
        return
    hardest = sorted(known, key=lambda k: np.nanmean(curves.precision_at_recall[k]))[:_MOST_CURVES]
    shown = sorted(hardest) if len(known) > 1 else []
    few = f" of the {len(hardest)} hardest classes and of the mean of all" if len(known) > len(hardest) else ""
    page.section("Curves", "What other thresholds would give, from lax to strict.")

    def lines(x: np.ndarray, values: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        mean = {_ALL if len(known) > 1 else evaluation.names[known[0]]: thinned((x, values[known].mean(axis=0)))}
        return mean | {evaluation.names[k]: thinned((x, values[k])) for k in shown}

    drawn = [
        (RECALLS, curves.precision_at_recall, "recall", "precision",
         f"Precision over recall{few}: the upper right is best."),
        (CONFIDENCES, curves.f1, "confidence", "F1", f"F1, the balance of both,{few or ' of each class'}: the top is"
         " where the best threshold lies."),
        (CONFIDENCES, curves.precision, "confidence", "precision", "A higher threshold: surer, and less is found."),
        (CONFIDENCES, curves.recall, "confidence", "recall", "A lower threshold: more is found, and more is wrong."),
    ]  # fmt: skip
    page.plots(
        (xy_lines(lines(x, values), x_label=below, y_label=beside, square=True, lead=_ALL), caption)
        for x, values, below, beside, caption in drawn
    )


def add_sizes(page: Page, evaluation: Evaluation) -> None:
    """How good it is with small, medium and large objects."""
    scores = evaluation.scores
    if not scores.boxes:
        return
    longest = max(max(one.width, one.height) for one in evaluation.pictures)
    small, medium = (round(area**0.5) for area in (SMALL, MEDIUM))
    page.section(
        "By size of the object",
        f"Small: less than {small} x {small} pixels of the original picture. Medium: less than {medium} x {medium}. The"
        f" largest picture is {longest} pixels long and the model sees it at {evaluation.imgsz}, so {small} pixels"
        f" become {small * evaluation.imgsz / longest:.0f}.",
    )
    page.table(
        ["size", "boxes", "mAP50", "mAP50-95", "recall"],
        [
            [one.name, one.boxes, told_short(one.ap50), told_short(one.ap50_95), told_short(one.recall)]
            for one in scores.sizes
        ],
        "Means over the classes that have such objects.",
    )


def _add_confusion(page: Page, evaluation: Evaluation) -> None:
    counts = evaluation.confusion
    classes = len(evaluation.names)
    seen = np.flatnonzero(counts[:classes].sum(axis=1) + counts[:, :classes].sum(axis=0))
    if not len(seen):
        return
    kept = np.append(seen, classes)
    names = [evaluation.names[k] for k in seen]
    page.plot(
        confusion_matrix(counts[np.ix_(kept, kept)], [*names, "(nothing)"], [*names, "(not found)"]),
        "Rows are what is there, columns what it was taken for, at the thresholds below. Last column: not found. Last"
        " row: found where nothing is labelled.",
    )
    mixed = [(int(counts[i, j]), i, j) for i, j in np.argwhere(counts[:classes, :classes]) if i != j]
    if len(names) > _MOST_NUMBERED and mixed:  # then the matrix has no numbers in it
        mixed.sort(key=lambda one: -one[0])
        rows = [[evaluation.names[i], evaluation.names[j], count] for count, i, j in mixed[:_MOST_PAIRS]]
        page.table(["is", "taken for", "times"], rows, "What is mixed up most often.")
