"""The part of a run's page that tells how a detector was trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.duration import duration_words
from ..core.manifest import RunManifest
from ..core.words import many
from ..report.bootstrap import Figure
from ..report.page import Page
from ..report.paired import Difference
from ..report.parts import told
from ..report.plots import curves
from ..weights.bundle import BundleRecord
from .ended import how_it_ended
from .history import Row, best_row

_LOSSES = {
    "box": "How far the boxes are off.",
    "cls": "How wrong the classes are.",
    "dfl": "How unsure the edges of the boxes are.",
}


def add_training(page: Page, manifest: RunManifest, history: Sequence[Row], record: BundleRecord) -> None:
    """How it was trained, and what the epochs tell.

    Args:
        page: Where to.
        manifest: The run's record.
        history: Its epochs; there need be none.
        record: Of the finished bundle.
    """
    page.section("The training", _about_epochs(manifest, history, record.run or "RUN"))
    page.table(["part", "what"], _parts(manifest.options, record))
    if not history:
        return
    marks = _marks(manifest.options, history)

    def plot(lines: Mapping[str, Callable[[Row], float]], y_label: str) -> str:
        drawn = {name: [take(row) for row in history] for name, take in lines.items()}
        return curves(drawn, x_label="epoch", y_label=y_label, marks=marks, width=5)

    drawn = [
        (plot({"training": lambda row: row.train_loss, "validation": lambda row: row.valid_loss}, "all losses"),
         "Where validation rises while training falls, the model learns the pictures by heart. Training is measured"
         " while it learns, with random changes, so it may lie above."),
        (plot({name: _metric(name) for name in ("mAP50", "mAP50-95", "precision", "recall")}, "on validation pictures"),
         "As Ultralytics counts them while it trains; the figures above are those of the finished model."),
    ]  # fmt: skip
    for name in dict.fromkeys(name for row in history for name in row.train):
        lines = {"training": _loss("train", name), "validation": _loss("valid", name)}
        drawn.append((plot(lines, f"{name} loss"), _LOSSES.get(name, "")))
    if any(math.isfinite(row.learning_rate) for row in history):
        drawn.append((plot({"rate": lambda row: row.learning_rate}, "learning rate"), "At each epoch's end."))
    page.plots(drawn)


def add_tiles(page: Page, tried: Mapping[str, Any] | None) -> None:
    """Whether it pays to look at pictures in tiles.

    Args:
        page: Where to.
        tried: From `detect.tiles.Trial.as_record`; None where nothing was tried, and then nothing is said.
    """
    if not tried:
        return
    one = Difference(
        "", tried["measure"], Figure(**tried["whole_pictures"]), Figure(**tried["in_tiles"]),
        Figure(**tried["difference"]), tried["pictures"],
    )  # fmt: skip
    page.section(
        "In tiles",
        f"Large pictures can be looked at in overlapping tiles, here of {tried['size']} pixels, so that small objects"
        f" come large enough before the model. It {'does so' if tried['used'] else 'does not'}: {one.measure} on"
        f" {many(one.pictures, 'validation picture')} is {one.points()} points higher with tiles, {one.verdict}.",
    )
    times = tried["milliseconds"]
    page.table(
        ["", one.measure, "a picture takes"],
        [["as a whole", told(one.first), f"{times['whole_pictures']:.0f} ms"],
         ["in tiles", told(one.second), f"{times['in_tiles']:.0f} ms"]],
    )  # fmt: skip


def _metric(name: str) -> Callable[[Row], float]:
    return lambda row: row.metrics.get(name, math.nan)


def _loss(part: str, name: str) -> Callable[[Row], float]:
    return lambda row: getattr(row, part).get(name, math.nan)


def _marks(options: Mapping[str, Any], history: Sequence[Row]) -> dict[int, str]:
    """After which epochs something changed."""
    after = options.get("unfreeze_after")
    return {after: "unfrozen"} if after and history[0].epoch <= after < history[-1].epoch else {}


def _about_epochs(manifest: RunManifest, history: Sequence[Row], run: str) -> str:
    best = best_row(history)
    if best is None:
        return "The run kept no history."
    last, ended = history[-1].epoch, how_it_ended(manifest, history)
    # Ultralytics breaks ties between epochs by its own rounding, which its checkpoint alone knows.
    shipped = manifest.result.get("best_epoch", best.epoch)
    row = next((row for row in history if row.epoch == shipped), best)
    text = (
        f"The model that ships is that of epoch {row.epoch} of {last}: its mAP50-95 on validation pictures, as"
        f" Ultralytics counts it, was the highest ({row.score:.3f})."
    )
    if ended and ended.why:
        text += f" It was trained for {ended}."
    elif row.epoch == last == manifest.options.get("epochs") and last > 1:
        text += f" The last epoch was the best: more epochs may still help (cv resume {run} --extend 20)."
    seconds = sum(one.seconds for one in history)
    return (
        f"{text} The epochs took {duration_words(seconds)} on {manifest.device}, {seconds / len(history):.1f} s each."
    )


def _parts(options: Mapping[str, Any], record: BundleRecord) -> list[tuple[str, str]]:
    start = options.get("start_from")
    freeze, after = options.get("freeze"), options.get("unfreeze_after")
    frozen = "nothing"
    if freeze:
        layers = "the backbone" if freeze == "backbone" else f"the first {many(freeze, 'layer')}"
        frozen = f"{layers} {f'until epoch {after} was over' if after else 'to the end'}"
    size = record.preprocessing
    rows = [
        ("model", record.detector.family if record.detector else "unknown"),
        (
            "began with",
            _start(start, options.get("start_origin")) if start else "random numbers",
        ),
        ("input", f"{size.width} x {size.height} pixels, {size.resize}"),
        ("pictures per step", str(options.get("batch"))),
        ("frozen", frozen),
        ("random changes", _augmentation(options.get("augment"))),
    ]
    if options.get("balance", "none") != "none":
        rows.append(("rare classes", f"helped by {options['balance']}"))
    return rows


def _start(path: str, origin: str | None) -> str:
    return Path(path).name if origin in (None, path) else f"{Path(path).name} ({origin})"


def _augmentation(augment: object) -> str:
    if augment is None:
        return "Ultralytics' own"
    return str(augment.get("name", "your own")) if isinstance(augment, Mapping) else str(augment)
