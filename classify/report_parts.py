"""What stands in every page about a classifier: the figures with their intervals, the curves, and the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..core.images import ImageError, read_image
from ..core.words import many
from ..datasets.check.tell import shown_path
from ..report.page import Page
from ..report.parts import limits, thinned, thumbnail, told
from ..report.plots import confusion_matrix, xy_lines
from ..report.target import Target
from .assess import reached_by
from .calibrate import MANY_PICTURES
from .curves import precision_recall_curve, reliability, roc_curve
from .evaluate import Evaluation
from .metrics import ClassifierScores

_SHOWN = 10
_MOST_CURVES = 8


def add_lead_figures(page: Page, scores: ClassifierScores) -> None:
    """The figures that matter, large."""
    rest = f"95% interval, {many(scores.pictures, 'picture')} of {scores.split}"
    cards = [
        ("Accuracy", f"{scores.accuracy.value:.3f}", f"{limits(scores.accuracy)}; {rest}"),
        ("Balanced accuracy", f"{scores.balanced_accuracy.value:.3f}",
         f"{limits(scores.balanced_accuracy)}; each class counts the same"),
        ("F1", f"{scores.f1.value:.3f}", f"{limits(scores.f1)}; mean over the classes"),
        ("Calibration error", f"{scores.ece:.3f}", _about_calibration(scores)),
    ]  # fmt: skip
    if scores.unknown:
        right = scores.accuracy_answered
        what = f"too unsure to say; of the others {right.value:.3f} are right" if right else "too unsure to say"
        cards.append(("Unknown", f"{scores.unknown:.1%}", what))
    page.numbers(cards)


def add_classes(page: Page, evaluation: Evaluation) -> None:
    """Confusion matrix and a row per class."""
    scores = evaluation.scores
    page.section("Class by class", "Which class was taken for which, and how good each is on its own.")
    counts, columns = _with_unknown(evaluation)
    page.plot(
        confusion_matrix(counts, evaluation.names, columns),
        "Rows are true classes, columns the answers."
        + (" Too unsure to say: 'unknown'." if len(columns) > len(evaluation.names) else ""),
    )
    rows = []
    for one in scores.classes:
        row: list[object] = [one.name, one.pictures, *map(told, (one.precision, one.recall, one.f1))]
        rows.append([*row, *("-" if area is None else f"{area:.3f}" for area in (one.roc_auc, one.average_precision))])
    caption = (
        "Precision: of the pictures called so, how many are. Recall: of its pictures, how many were called so. In"
        " brackets 95% intervals, from drawing the pictures a thousand times with replacement. A dash: nothing"
        " to count."
    )
    if evaluation.thresholds.any():
        caption += " Here the most probable class counts, also where the answer is 'unknown'."
    page.table(["class", "pictures", "precision", "recall", "F1", "ROC AUC", "average precision"], rows, caption)


def add_thresholds(page: Page, evaluation: Evaluation, target: Target | None) -> None:
    """A row per class with its threshold, and with a target what is reached; nothing where there are no thresholds."""
    if target is None and not evaluation.thresholds.any():
        return
    scores = evaluation.scores
    page.section(
        f"Thresholds for {target}" if target else "Thresholds",
        f"{'Chosen on validation pictures. ' if target else ''}With them {scores.answered:.1%} of the pictures are"
        f" answered, of these {told(scores.accuracy_answered)} right; {scores.unknown:.1%} are 'unknown'.",
    )
    head, rows = ["class", "threshold"], []
    for name, threshold in zip(evaluation.names, evaluation.thresholds.tolist(), strict=True):
        rows.append([name, f"{threshold:.3f}" if threshold else "0: answers always"])
    if target:
        head.append(f"{target.metric} when answered")
        for row, value in zip(rows, reached_by(evaluation, target), strict=True):
            row.append(told(value))
    page.table(head, rows, "An answer that is less sure than its class's threshold becomes 'unknown'.")


def _with_unknown(evaluation: Evaluation) -> tuple[np.ndarray, tuple[str, ...]]:
    """The confusion matrix, and the names of its columns, with one for "unknown" where there are thresholds."""
    if not evaluation.thresholds.any():
        return evaluation.scores.confusion, evaluation.names
    classes = len(evaluation.names)
    counts = np.zeros((classes, classes + 1), np.int64)
    said = np.where(evaluation.answered, evaluation.predicted, classes)
    np.add.at(counts, (evaluation.labels, said), 1)
    return counts, (*evaluation.names, "unknown")


def add_curves(page: Page, evaluation: Evaluation) -> None:
    """ROC and precision-recall curves, and the reliability diagram."""
    telling = [k for k, one in enumerate(evaluation.scores.classes) if one.roc_auc is not None]
    # With two classes the one's curve is the other's, mirrored; of many classes the hardest are shown.
    telling.sort(key=lambda k: evaluation.scores.classes[k].average_precision or 0.0)
    chosen = sorted(telling[:_MOST_CURVES])
    if chosen:
        shown = f" of the {len(chosen)} hardest classes" if len(telling) > len(chosen) else ""
        page.section("Curves", "What other thresholds would give, from strict to lax.")
        roc, precision = {}, {}
        for k in chosen:
            name, positive = evaluation.names[k], evaluation.labels == k
            roc[name] = thinned(roc_curve(evaluation.probability[:, k], positive))
            recall, exact = precision_recall_curve(evaluation.probability[:, k], positive)
            precision[name] = thinned((np.append(0.0, recall), np.append(exact[0], exact)))
        page.plots([
            (xy_lines(roc, x_label="share of other classes' pictures called so", y_label="recall", square=True,
                      diagonal=True), f"ROC curves{shown}; the dashed line is guessing."),
            (xy_lines(precision, x_label="recall", y_label="precision", square=True),
             f"Precision-recall curves{shown}."),
        ])  # fmt: skip
    _add_reliability(page, evaluation)


def add_gallery(page: Page, evaluation: Evaluation, root: Path) -> None:
    """The most confident mistakes, and the pictures that the model is least sure of."""
    wrong, doubtful = evaluation.mistakes(), evaluation.doubtful()
    page.section(
        "The most confident mistakes",
        "Look here first: a wrong label shows up as a confident mistake, and so does a kind of picture that training"
        " never saw."
        if len(wrong)
        else "There are none: every picture was called right.",
    )
    _add_pictures(page, evaluation, wrong, root, "mistakes")
    unsure = np.array([number for number in doubtful if number not in set(wrong[:_SHOWN].tolist())], np.int64)
    if len(unsure):
        page.section(
            "The most doubtful pictures", "Between which classes the model wavers. More of these teach it most."
        )
        _add_pictures(page, evaluation, unsure, root, "pictures")


def _about_calibration(scores: ClassifierScores) -> str:
    what = "how far the probabilities are off on average"
    before = scores.ece_before
    return what if before is None or before == scores.ece else f"{what}; {before:.3f} before temperature scaling"


def _add_reliability(page: Page, evaluation: Evaluation) -> None:
    after = reliability(evaluation.probability, evaluation.labels)
    lines, counts = {}, {}
    calibrated = evaluation.temperature not in (None, 1.0)
    if calibrated:
        before = reliability(evaluation.said, evaluation.labels)
        lines[f"before (error {before.ece:.3f})"] = _filled(before.confidence, before.accuracy)
    last = f"{'after' if calibrated else 'as it is'} (error {after.ece:.3f})"
    lines[last] = _filled(after.confidence, after.accuracy)
    counts[last] = after.pictures[after.pictures > 0]
    text = (
        "Of the pictures about which the model is 80% sure, 80% should be right: on the dashed line it is so. Below it"
        " the model is surer than it should be."
    )
    if calibrated:
        text += (
            f" A temperature of {evaluation.temperature:.2f}, found on validation pictures, made all probabilities"
            f" {'less sure' if (evaluation.temperature or 1) > 1 else 'surer'} by the same rule; it changes no answer."
        )
    if len(evaluation) < MANY_PICTURES:
        text += f" With only {many(len(evaluation), 'picture')} the points jump about: take it as a hint."
    page.section("Does it mean what it says?", text)
    page.plot(
        xy_lines(lines, x_label="how sure it is", y_label="how often it is right", square=True, diagonal=True,
                 counts=counts),
        f"Beside each point{' of the second line' if calibrated else ''}: how many pictures it stands for.",
    )  # fmt: skip


def _filled(confidence: np.ndarray, accuracy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = ~np.isnan(confidence)
    return confidence[kept], accuracy[kept]


def _add_pictures(page: Page, evaluation: Evaluation, numbers: np.ndarray, root: Path, what: str) -> None:
    shown = []
    for number in numbers[:_SHOWN].tolist():
        try:
            picture = thumbnail(read_image(evaluation.images[number]))
        except ImageError:  # it was there when it was measured
            continue
        shown.append((picture, _caption(evaluation, number, root)))
    if shown:
        caption = f"{len(shown)} of {len(numbers)} {what}." if len(numbers) > len(shown) else ""
        page.pictures(shown, caption, width=180)


def _caption(evaluation: Evaluation, number: int, root: Path) -> str:
    probability, names = evaluation.probability[number], evaluation.names
    order = np.argsort(-probability, kind="stable")[:2]
    said = ", ".join(f"'{names[k]}' {probability[k]:.0%}" for k in order)
    unknown = "" if evaluation.answered[number] else ", too unsure: unknown"
    return (
        f"Is '{names[evaluation.labels[number]]}', said {said}{unknown}. {shown_path(evaluation.images[number], root)}"
    )


def compare_rows(evaluations: Mapping[str, Evaluation]) -> list[list[object]]:
    """A table row for each of several models."""
    return [
        [name, told(one.scores.accuracy), told(one.scores.balanced_accuracy), told(one.scores.f1),
         f"{one.scores.ece:.3f}"]
        for name, one in evaluations.items()
    ]  # fmt: skip
