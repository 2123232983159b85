"""What a detector does wrong, sorted by kind, and what each kind costs.

The kinds are those of Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020,
figure 2, with its limits of 0.5 and 0.1, at the thresholds above which detections are shown. A detection that is both
in the wrong place and of the wrong class is a ghost here. As there, a kind costs what the mAP50 gains when its mistakes
alone are put right; the costs of several kinds do not add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ..predict.results import Detections
from .evaluate import Evaluation, Picture
from .matching import IOU_LEVELS, Matches, assign, match_pictures, pairwise_iou
from .precision import class_precision

Kind = Literal["missed", "ghost", "wrong class", "poor box", "double"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_SAME, _NEAR = IOU_LEVELS[0], 0.1
_PERFECT = 0.995  # what a perfect detector comes to, see `precision.average_precision`


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        kind: What sort.
        picture: Where, an index into `Evaluation.pictures`.
        found: The detection, an index into `Picture.found`; None for "missed".
        true: The true box that it is about, an index into `Picture.xyxy`; None for a ghost.
        confidence: How sure the model was; 0 for "missed".
        overlap: Intersection over union of the two, 0..1.
    """

    kind: Kind
    picture: int
    found: int | None
    true: int | None
    confidence: float = 0.0
    overlap: float = 0.0

    def found_xyxy(self, picture: Picture) -> np.ndarray | None:
        """The detection's box, float32 `(4,)` in the picture's pixels; None for what was missed."""
        return None if self.found is None else picture.found.xyxy[self.found]

    def true_xyxy(self, picture: Picture) -> np.ndarray | None:
        """The true box, float32 `(4,)` in the picture's pixels; None for a ghost."""
        return None if self.true is None else picture.xyxy[self.true]


def sort_errors(evaluation: Evaluation) -> list[Mistake]:
    """Every mistake among the detections that are shown: by kind in the order of `KINDS`, then the surest first."""
    found = [mistake for number in range(len(evaluation)) for mistake in _in_picture(evaluation, number)]
    return sorted(found, key=lambda one: (KINDS.index(one.kind), -one.confidence, one.picture))


def count_errors(evaluation: Evaluation, mistakes: Iterable[Mistake]) -> dict[Kind, list[int]]:
    """How many of each kind each class has: of a detection its own class, of what was missed the true one."""
    counts = Counter((one.kind, _class_of(evaluation.pictures[one.picture], one)) for one in mistakes)
    return {kind: [counts[kind, k] for k in range(len(evaluation.names))] for kind in KINDS}


def cost_of_errors(evaluation: Evaluation, mistakes: Sequence[Mistake]) -> dict[Kind, float]:
    """By how much the mAP50 would rise, 0..1, if the mistakes of one kind were put right and all else stayed."""
    present = np.bincount(evaluation.matches.true_class, minlength=len(evaluation.names)) > 0
    if not present.any():
        return dict.fromkeys(KINDS, 0.0)
    before = _map50(evaluation.matches, present)
    costs: dict[Kind, float] = {}
    for kind in KINDS:
        wrong: dict[int, list[Mistake]] = {}
        for one in mistakes:
            if one.kind == kind:
                wrong.setdefault(one.picture, []).append(one)
        mended = match_pictures(
            _mended(evaluation, number, wrong[number]) if number in wrong else (one.found, one.xyxy, one.class_id)
            for number, one in enumerate(evaluation.pictures)
        )
        costs[kind] = max(_map50(mended, present) - before, 0.0) if wrong else 0.0
    return costs


def _in_picture(evaluation: Evaluation, number: int) -> Iterable[Mistake]:
    picture = evaluation.pictures[number]
    shown = np.flatnonzero(picture.found.confidence > evaluation.thresholds[picture.found.class_id])
    found = _only(picture.found, shown)
    taken = assign(found, picture.xyxy, picture.class_id)[:, 0]
    overlap = pairwise_iou(picture.xyxy, found.xyxy)
    explained = set(taken.tolist())
    for j in np.flatnonzero(taken < 0).tolist():
        kind, true = _kind_of(overlap[:, j], picture.class_id == found.class_id[j])
        if kind in ("wrong class", "poor box"):
            explained.add(true)
        sure = float(found.confidence[j])
        if true is None:
            yield Mistake(kind, number, int(shown[j]), None, sure)
        else:
            yield Mistake(kind, number, int(shown[j]), true, sure, float(overlap[true, j]))
    for i in range(len(picture.class_id)):
        if i not in explained:
            yield Mistake("missed", number, None, i)


def _kind_of(overlap: np.ndarray, same: np.ndarray) -> tuple[Kind, int | None]:
    """The kind of a detection that is not right, and the true box that it is about.

    Args:
        overlap: float `(m,)` with each true box of the picture.
        same: bool `(m,)`: which of them are of its class.
    """
    if not len(overlap):
        return "ghost", None
    own, other = np.where(same, overlap, -1), np.where(same, -1, overlap)
    if own.max() >= _SAME:
        return "double", int(own.argmax())
    if other.max() >= _SAME:
        return "wrong class", int(other.argmax())
    if own.max() >= _NEAR:
        return "poor box", int(own.argmax())
    return "ghost", None


def _mended(evaluation: Evaluation, number: int, wrong: Sequence[Mistake]) -> tuple[Detections, np.ndarray, np.ndarray]:
    """A picture with some of its mistakes put right. What is put right where something right is, is a double: it goes.

    What was missed is taken out of the truth, with what is not shown of it.
    """
    picture = evaluation.pictures[number]
    found = picture.found
    xyxy, class_id = found.xyxy.copy(), found.class_id.copy()
    stays = np.ones(len(found), bool)
    true = np.ones(len(picture.class_id), bool)
    shown = np.flatnonzero(found.confidence > evaluation.thresholds[found.class_id])
    used = set(assign(_only(found, shown), picture.xyxy, picture.class_id)[:, 0].tolist())
    unshown = assign(found, picture.xyxy, picture.class_id)[:, 0]
    for one in wrong:
        if one.found is None:
            true[one.true] = False
            stays[unshown == one.true] = False
        elif one.true is None or one.kind == "double" or one.true in used:
            stays[one.found] = False
        else:
            used.add(one.true)
            xyxy[one.found], class_id[one.found] = picture.xyxy[one.true], picture.class_id[one.true]
    mended = Detections(xyxy[stays], class_id[stays], found.confidence[stays])
    return mended, picture.xyxy[true], picture.class_id[true]


def _map50(matches: Matches, present: np.ndarray) -> float:
    found = class_precision(matches, len(present))[:, 0]
    return float(np.where(np.isnan(found), _PERFECT, found)[present].mean())


def _only(found: Detections, which: np.ndarray) -> Detections:
    return Detections(found.xyxy[which], found.class_id[which], found.confidence[which])


def _class_of(picture: Picture, mistake: Mistake) -> int:
    if mistake.found is not None:
        return int(picture.found.class_id[mistake.found])
    return int(picture.class_id[mistake.true])
