"""A detector's mistakes as pictures, kind by kind: what is labelled, what was found, and near enough to see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from ..core.images import ImageError, read_image
from ..core.words import many
from ..datasets.check.tell import shown_path
from ..report.page import Page
from ..report.parts import SIDE
from .errors import KINDS, Kind, Mistake, cost_of_errors, sort_errors
from .evaluate import Evaluation, Picture

_SHOWN = 8
_ROOM = 2.5  # times as long as the object: how much of the picture is shown around it
_LEAST = 96  # pixels of the picture, so that the tiniest object still has surroundings
_TRUE, _FOUND, _OTHERS = (64, 190, 40), (0, 100, 255), (160, 200, 150)  # blue, green, red
_DASH = 6  # pixels
_MEANINGS: dict[Kind, str] = {
    "missed": "Labelled, and not found. Look whether the object is hidden, small, or unlike those in training.",
    "ghost": "Found where nothing is labelled. A forgotten label shows up here as well.",
    "wrong class": "Found in the right place and called something else. Labels that mix two classes look so too.",
    "poor box": "Found, but the box fits less than one half. Labels that are drawn loosely teach that.",
    "double": "Found once more than it is there.",
}


def add_gallery(page: Page, evaluation: Evaluation, root: Path) -> None:
    """The mistakes at the thresholds, the most confident of each kind first.

    Args:
        page: Where to.
        evaluation: What was measured.
        root: The dataset's folder, for the names of the pictures.
    """
    mistakes = sort_errors(evaluation)
    if not mistakes:
        page.section("Mistakes", "There are none: at its thresholds the model found everything, and nothing else.")
        return
    page.section(
        "Mistakes",
        "At the thresholds above. The solid green box is what is labelled, the dashed orange one what the model found;"
        " thin lines are other labels.",
    )
    by_kind: dict[Kind, list[Mistake]] = {kind: [one for one in mistakes if one.kind == kind] for kind in KINDS}
    by_kind["missed"] = _in_turn(by_kind["missed"], evaluation)
    costs = cost_of_errors(evaluation, mistakes)
    page.table(
        ["kind", "count", "costs", "what it is"],
        [[kind, len(found), round(100 * costs[kind], 1), _MEANINGS[kind]] for kind, found in by_kind.items()],
        "Costs: points of mAP50 that would be gained if the mistakes of this kind alone were put right.",
    )
    for kind, found in by_kind.items():
        if shown := _pictures(found, evaluation, root):
            order = ", of each class in turn" if kind == "missed" else ", the most confident first"
            more = f"{len(shown)} of {len(found)}{order}." if len(found) > len(shown) else ""
            page.pictures(shown, more, width=200, heading=f"{kind.capitalize()}: {many(len(found), 'time')}")


def _in_turn(missed: Sequence[Mistake], evaluation: Evaluation) -> list[Mistake]:
    """What was missed has no confidence: the first of each class, then the second, and so on."""
    seen: Counter[int] = Counter()
    turns = []
    for one in missed:
        class_id = -1 if one.true is None else int(evaluation.pictures[one.picture].class_id[one.true])
        turns.append((seen[class_id], class_id))
        seen[class_id] += 1
    return [missed[number] for number in sorted(range(len(missed)), key=turns.__getitem__)]


def _pictures(mistakes: Sequence[Mistake], evaluation: Evaluation, root: Path) -> list[tuple[np.ndarray, str]]:
    shown: list[tuple[np.ndarray, str]] = []
    for one in mistakes:
        if len(shown) == _SHOWN:
            break
        picture = evaluation.pictures[one.picture]
        try:
            bgr = read_image(picture.image)
        except ImageError:  # it was there when it was measured
            continue
        if bgr.shape[:2] == (picture.height, picture.width):
            shown.append((draw_mistake(bgr, picture, one), _caption(one, picture, evaluation.names, root)))
    return shown


def draw_mistake(bgr: np.ndarray, picture: Picture, mistake: Mistake) -> np.ndarray:
    """A mistake with what is around it, for a page.

    Args:
        bgr: The whole picture, uint8 `(h, w, 3)`.
        picture: What is labelled in it.
        mistake: What is wrong.

    Returns:
        BGR uint8 `(h, w, 3)`, the longer side about `report.parts.SIDE` pixels.
    """
    true, found = mistake.true_xyxy(picture), mistake.found_xyxy(picture)
    both = np.stack([box for box in (true, found) if box is not None])
    left, top, right, bottom = _around(both, picture.width, picture.height)
    scale = SIDE / max(right - left, bottom - top)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1)
    view = cv2.resize(bgr[top:bottom, left:right], size, interpolation=way)

    def placed(box: np.ndarray) -> tuple[int, int, int, int]:
        moved = (box - np.array([left, top, left, top])) * scale
        x0, y0, x1, y1 = np.clip(np.rint(moved), -2, SIDE + 2).astype(int).tolist()
        return x0, y0, x1, y1

    for box in picture.xyxy:
        _rectangle(view, placed(box), _OTHERS, 1)
    if true is not None:
        _rectangle(view, placed(true), _TRUE, 2)
    if found is not None:
        _dashed(view, placed(found), _FOUND)
    return view


def _around(boxes: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """The part of a picture to show: left, top, right, bottom in whole pixels."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = max(float((high - low).max()) * _ROOM, _LEAST)
    limits = np.array([width, height], np.float64)
    length = np.minimum(side, limits)
    start = np.clip((low + high) / 2 - length / 2, 0, limits - length)
    left, top = np.floor(start).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(start + length), limits).astype(int).tolist()
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _rectangle(view: np.ndarray, box: tuple[int, int, int, int], colour: tuple[int, int, int], thickness: int) -> None:
    cv2.rectangle(view, box[:2], box[2:], colour, thickness, cv2.LINE_AA)


def _dashed(view: np.ndarray, box: tuple[int, int, int, int], colour: tuple[int, int, int]) -> None:
    x0, y0, x1, y1 = box
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    for start, end in pairwise(corners):
        way = np.subtract(end, start)
        length = float(np.hypot(*way))
        for place in np.arange(0, length, 2 * _DASH):
            first, last = (np.add(start, way * min(at / length, 1)) for at in (place, place + _DASH))
            points = [(int(point[0]), int(point[1])) for point in (first, last)]
            cv2.line(view, points[0], points[1], colour, 2, cv2.LINE_AA)


def _caption(mistake: Mistake, picture: Picture, names: Sequence[str], root: Path) -> str:
    parts = []
    if mistake.true is not None:
        parts.append(f"is '{names[picture.class_id[mistake.true]]}'")
    if mistake.found is not None:
        found = picture.found
        name = names[found.class_id[mistake.found]]
        parts.append(f"found '{name}' {found.confidence[mistake.found]:.0%}")
    if mistake.kind == "poor box":
        parts.append(f"overlap {mistake.overlap:.2f}")
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}. {shown_path(picture.image, root)}"
