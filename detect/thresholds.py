"""The confidence above which a detection of a class is shown, chosen on validation pictures.

For the best F1 the threshold of a class is the confidence at which its F1 over the validation pictures, smoothed as
the common curve is, is highest. A class with few boxes has an F1 curve of a few large steps, and the highest of them
is luck; so it leans on the one threshold that is best for all classes together: with n boxes its own counts n parts
and the common one 20. (Shrinkage: with 20 boxes both count alike, with 200 its own counts ten times as much.) The
common one leans in the same way, by all boxes, on the 0.25 that the field takes where nobody has measured.
"""

from __future__ import annotations

import numpy as np

from ..core.words import many, some
from ..report.target import Target
from ..report.thresholds import highest_for_recall, lowest_for_precision, too_few
from .curves import CONFIDENCES, Curves, smoothed
from .evaluate import LOWEST_CONFIDENCE, Evaluation

LEAN = 20
DEFAULT = 0.25
_USELESS = 0.1  # a precision: of ten boxes that are shown then, not even one is right
_LOWEST, _HIGHEST = 0.01, 0.95  # for the best F1; a model that has hardly learned has it at the very edge


def choose_thresholds(evaluation: Evaluation, target: Target | None = None) -> tuple[float, ...]:
    """A threshold for each class, of validation pictures. Never of test pictures.

    Args:
        evaluation: What the model found in them.
        target: What to reach, such as a precision of 0.95: the lowest threshold that does, and for recall the highest
            one. A class that cannot reach it gets the threshold that comes nearest. None takes the best F1.

    Returns:
        One value of 0..1 for each of `evaluation.names`. A class without boxes, or never found, has the common one of
        the best mean F1; where no class is ever found right, all have 0.25.
    """
    curves = evaluation.curves
    common = float(CONFIDENCES[curves.best]) if np.nansum(curves.f1) > 0 else DEFAULT
    boxes = np.bincount(evaluation.matches.true_class, minlength=len(evaluation.names))
    common = min(max(_leaning(common, int(boxes.sum()), DEFAULT), _LOWEST), _HIGHEST)
    if target is not None:
        return tuple(_for_target(evaluation, k, int(boxes[k]), target, common) for k in range(len(boxes)))
    return tuple(_for_f1(curves, k, int(boxes[k]), common) for k in range(len(boxes)))


def shortfalls(evaluation: Evaluation, target: Target) -> list[str]:
    """Which classes do not reach a target on these pictures with the evaluation's thresholds, in plain sentences.

    Args:
        evaluation: Of validation pictures, with the thresholds that were chosen on them.
        target: What they were chosen for.
    """
    said = too_few(evaluation.scores.boxes, "validation boxes", target)
    matches = evaluation.matches
    guessed: list[str] = []
    for one, name, k in zip(evaluation.scores.classes, evaluation.names, range(len(evaluation.names)), strict=True):
        ever = bool((matches.class_id == k).any())
        if not ever or not one.boxes:
            guessed.append(name)
            continue
        if not one.found and target.metric == "precision":
            said.append(
                f"Every '{name}' that was found in the validation pictures was wrong, so its threshold is"
                f" {one.threshold:g}: it is shown no more."
            )
            continue
        reached = one.precision if target.metric == "precision" else one.recall
        if reached and reached.value < target.value:
            said.append(
                f"'{name}' cannot reach {target}: with the threshold {one.threshold:.2f} it comes to"
                f" {reached.value:.3f} on the {many(one.pictures, 'validation picture')} that show it."
            )
    if guessed:
        said.append(
            f"Among the validation pictures there is no box, or no detection, of {some(guessed)}: the threshold is a"
            " guess there."
        )
    return said


def missed(evaluation: Evaluation, target: Target) -> list[str]:
    """Why the thresholds that were chosen for a target do not keep what it asks for, in plain sentences; mostly none.

    Args:
        evaluation: Of the pictures that tell, test pictures where there are any, with these thresholds.
        target: What they were chosen for.
    """
    scores = evaluation.scores
    if not scores.boxes:
        return []
    pictures = many(scores.pictures, f"{scores.split} picture")
    reached = scores.precision if target.metric == "precision" else scores.recall
    if reached is None:
        return [f"Asked for a {target.metric} of {target.value:.2f}; on the {pictures} no box is shown at all."]
    said = []
    if reached.value < target.value:
        said.append(
            f"Asked for a {target.metric} of {target.value:.2f}; on the {pictures} it came to {reached.value:.2f}"
            f" ({reached.low:.2f} to {reached.high:.2f})."
        )
    if scores.precision is not None and scores.precision.value < _USELESS:
        said.append(
            f"With these thresholds the precision is {scores.precision.value:.2f} on the {pictures}: nearly all boxes"
            " that are shown are wrong."
        )
    return said


def _for_f1(curves: Curves, k: int, boxes: int, common: float) -> float:
    if not boxes or not curves.f1[k].any():
        return round(common, 3)
    own = float(CONFIDENCES[smoothed(curves.f1[k]).argmax()])
    return round(min(max(_leaning(own, boxes, common), _LOWEST), _HIGHEST), 3)


def _leaning(found: float, boxes: int, on: float) -> float:
    return (boxes * found + LEAN * on) / (boxes + LEAN)


def _for_target(evaluation: Evaluation, k: int, boxes: int, target: Target, common: float) -> float:
    matches = evaluation.matches
    mine = matches.class_id == k
    sure, right = matches.confidence[mine].astype(np.float64), matches.correct[mine, 0]
    if not boxes or not len(sure):
        return round(common, 3)
    if target.metric == "precision":
        return lowest_for_precision(sure, right, target.value)
    # What is never found is found by no threshold, however low, and a lower one only shows more ghosts.
    if not right.any():
        return common
    reachable = min(target.value, float(right.sum() / boxes))
    return max(highest_for_recall(sure, right, boxes, reachable), LOWEST_CONFIDENCE)
