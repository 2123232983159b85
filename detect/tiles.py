"""Does it pay to look at pictures in tiles? Asked of the validation pictures, each measured both ways.

Tiles are for objects that are small for the network because the pictures are much larger than its input. Where that is
not so they are not even tried; where it is, they are used if the score gets better by more than noise.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.progress import say
from ..datasets.model import Dataset, Item
from ..predict.loop import predict_frames
from ..predict.model import Model
from ..predict.sources import PictureSource
from ..predict.tiles import Tiled, tile_places
from ..report.paired import Difference, compare_samples
from ..weights.bundle import Tiles
from .compared import measure
from .evaluate import Evaluation, evaluate_items
from .precision import draws_for

SMALL_SIDE = 24.0
"""Objects whose sides at the network's input are mostly below this many pixels are small: three cells of YOLO's finest
grid."""
_LARGER = 1.5  # times the network's input: pictures below it lose little by being shrunk
_APART = 1.25  # two sizes of tiles nearer to each other than this are not worth trying both
_LONGEST = 300.0  # seconds that a trial may take
_GLANCE = 12  # pictures that are looked at first: where tiles make these worse, the others need not be waited for
_FEWEST = 30  # pictures that a trial looks at in any case
_TIMED = 8  # pictures
_MEASURE = ("", "mAP50-95")


@dataclass(frozen=True)
class Trial:
    """What tiles brought on the validation pictures.

    Attributes:
        tiles: How the pictures were cut.
        difference: mAP50-95 of the whole pictures, of the tiles, and by how much the second is higher.
        milliseconds: What a picture takes as a whole, and in tiles.
        evaluation: What was found with tiles.
        complete: Whether all validation pictures were looked at, not only some of them.
    """

    tiles: Tiles
    difference: Difference
    milliseconds: tuple[float, float]
    evaluation: Evaluation
    complete: bool

    @property
    def pays(self) -> bool:
        """Whether the score is better with tiles, beyond noise."""
        return not self.difference.within_noise and self.difference.difference.value > 0

    def as_record(self, used: bool) -> dict[str, Any]:
        """For run.json."""
        one = self.difference
        return {
            "used": used, **self.tiles.model_dump(), "pictures": one.pictures, "measure": one.measure,
            "whole_pictures": one.first._asdict(), "in_tiles": one.second._asdict(),
            "difference": one.difference._asdict(),
            "milliseconds": {"whole_pictures": self.milliseconds[0], "in_tiles": self.milliseconds[1]},
        }  # fmt: skip

    def sentence(self) -> str:
        """Both figures and what tiles cost."""
        one, (whole, parts) = self.difference, self.milliseconds
        return (
            f"mAP50-95 on {one.pictures} validation pictures {one.first.value:.3f} as a whole, {one.second.value:.3f} "
            f"in tiles of {self.tiles.size} pixels: {one.points()} points, {one.verdict}; a picture takes "
            f"{whole:.0f} ms as a whole and {parts:.0f} ms in tiles"
        )


@dataclass(frozen=True)
class Choice:
    """How a model is to look at pictures.

    Attributes:
        tiles: In tiles; None: as a whole.
        valid: What it finds in the validation pictures that way.
        trial: For run.json; None where tiles were not tried.
    """

    tiles: Tiles | None
    valid: Evaluation
    trial: dict[str, Any] | None = None


def choose_tiles(
    plain: Evaluation, model: Model, dataset: Dataset, items: Sequence[Item], mode: str, trained_on: Tiles | None
) -> Choice:
    """Choose between whole pictures and tiles, and say why.

    Args:
        plain: What the model found in the validation pictures as a whole.
        model: The same, ready to run.
        dataset: Where the boxes are.
        items: The validation pictures.
        mode: "auto" takes tiles where they pay; "on" takes them, and says whether they pay; "off" tries nothing.
        trained_on: The tiles that the model was trained on.
    """
    if mode == "off":
        return Choice(None, plain)
    sizes = (trained_on,) if trained_on else sizes_to_try(plain)
    trial = try_tiles(plain, model, dataset, items, sizes)
    if trial is None:
        return _untried(plain, model, dataset, items, trained_on if mode == "on" else None)
    used = trial.pays or mode == "on"
    say(f"{'tiles pay' if trial.pays else 'tiles do not pay'}: {trial.sentence()}")
    if not used:
        return Choice(None, plain, trial.as_record(used))
    say("the model looks at pictures in tiles from now on; --no-tiles of cv predict turns that off"
        + ("" if trained_on else ", and cv train-yolo --tiles on trains on tiles too"))  # fmt: skip
    valid = trial.evaluation
    if not trial.complete:
        valid = evaluate_items(model.bundle, Tiled(model, trial.tiles), dataset, items, plain.split)
    return Choice(trial.tiles, valid, trial.as_record(used))


def _untried(
    plain: Evaluation, model: Model, dataset: Dataset, items: Sequence[Item], wanted: Tiles | None
) -> Choice:  # fmt: skip
    """The tiles that a person insists on, where nothing can tell whether they pay."""
    if wanted is None or max(_parts(plain, wanted), default=1) == 1:
        return Choice(None, plain)
    say("the model looks at pictures in tiles, as it was trained; whether that pays nobody can tell, because too few"
        " validation pictures have a box")  # fmt: skip
    return Choice(wanted, evaluate_items(model.bundle, Tiled(model, wanted), dataset, items, plain.split))


def _parts(plain: Evaluation, tiles: Tiles) -> list[int]:
    """Into how many parts each picture is cut, itself as a whole included."""
    return [len(tile_places(one.width, one.height, tiles)) for one in plain.pictures]


def sizes_to_try(plain: Evaluation) -> tuple[Tiles, ...]:
    """Which tiles may pay, judged by what is on the validation pictures; none where objects are large enough as it is.

    Tiles as large as the network's input lose nothing of a picture; tiles of half its side double the objects, which
    then look more like those that the network was trained on.
    """
    sides = [
        np.sqrt((one.xyxy[:, 2:] - one.xyxy[:, :2]).prod(axis=1)) * plain.imgsz / max(one.width, one.height)
        for one in plain.pictures
    ]
    sides = np.concatenate([*sides, np.zeros(0)])
    if not len(sides) or np.median(sides) >= SMALL_SIDE:
        return ()
    longest = float(np.median([max(one.width, one.height) for one in plain.pictures]))
    if longest < _LARGER * plain.imgsz:
        return ()
    half = round(longest / 2)
    sizes = (plain.imgsz, half) if half > _APART * plain.imgsz else (max(plain.imgsz, half),)
    return tuple(Tiles(size=size) for size in sizes)


def try_tiles(
    plain: Evaluation, model: Model, dataset: Dataset, items: Sequence[Item], sizes: Sequence[Tiles]
) -> Trial | None:
    """Measure with each of these tiles; the best of them, None where no picture is larger than a tile or has a box.

    Args:
        plain: What the model found in the validation pictures without tiles.
        model: The same, ready to run.
        dataset: Where the boxes are.
        items: The validation pictures.
        sizes: What to try.
    """

    def tried(tiles: Tiles) -> Trial | None:
        first = _try(plain, model, dataset, items, tiles, _GLANCE)
        if first is not None and (first.complete or first.difference.difference.value <= 0):
            return first
        return _try(plain, model, dataset, items, tiles)

    trials = [trial for tiles in sizes if (trial := tried(tiles))]
    return max(trials, key=lambda trial: trial.difference.difference.value, default=None)


def _try(
    plain: Evaluation, model: Model, dataset: Dataset, items: Sequence[Item], tiles: Tiles, most: int | None = None
) -> Trial | None:
    counts = _parts(plain, tiles)
    if max(counts, default=1) == 1:
        return None
    readable = {one.image for one in plain.pictures}
    known = [item for item in items if item.image in readable]
    each, whole = float(np.mean(counts)), _seconds_a_picture(model, known)
    most = most or max(int(_LONGEST / (whole * each)), _FEWEST)
    chosen = [known[i] for i in np.unique(np.linspace(0, len(known) - 1, min(most, len(known))).astype(int))]
    looked_at = {item.image for item in chosen}
    if not any(len(one.class_id) for one in plain.pictures if one.image in looked_at):
        return None
    say(f"trying tiles of {tiles.size} pixels on {len(chosen)} validation pictures, about {each:.0f} a picture")
    begun = time.perf_counter()
    tiled = evaluate_items(model.bundle, Tiled(model, tiles), dataset, chosen, plain.split)
    parts = (time.perf_counter() - begun) / len(chosen)
    images = set(tiled.images)
    same = plain.without({one.image for one in plain.pictures if one.image not in images})
    if same is None:
        return None
    draws = draws_for(max(len(same.matches.class_id), len(tiled.matches.class_id)))
    whole_sample, tiled_sample = (measure(one, np.arange(len(one)), draws).get(_MEASURE) for one in (same, tiled))
    if whole_sample is None or tiled_sample is None:  # the pictures with boxes were spoilt meanwhile
        return None
    difference = compare_samples(_MEASURE, whole_sample, tiled_sample)
    return Trial(tiles, difference, (1000 * whole, 1000 * parts), tiled, complete=len(chosen) == len(known))


def _seconds_a_picture(model: Model, items: Sequence[Item]) -> float:
    source = PictureSource("some validation pictures", [item.image for item in items[:_TIMED]])
    begun = time.perf_counter()
    seen = sum(1 for _ in predict_frames(source, model))
    return (time.perf_counter() - begun) / max(seen, 1)
