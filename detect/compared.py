"""A finished training of a detector as `cv compare` takes it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ..core.arrays import read_arrays
from ..core.manifest import RunManifest
from ..report.compare import ComparedRun
from ..report.paired import Key, Measured, Sample
from .ended import how_it_ended
from .evaluate import Evaluation, Picture, evaluation_name, read_evaluation
from .history import read_history
from .matching import match_pictures
from .metrics import Parts, mean_of_classes
from .precision import draws_for

_CURVES = ("mAP50-95", "mAP50")


def open_compared(run: Path, manifest: RunManifest) -> ComparedRun:
    """Read what a run left: its epochs, and what its model found in validation and test pictures.

    Raises:
        DataError: a file is damaged.
    """
    history = read_history(run)
    curves = {name: [row.metrics.get(name, float("nan")) for row in history] for name in _CURVES}
    losses = {
        "training loss": [row.train_loss for row in history],
        "validation loss": [row.valid_loss for row in history],
    }
    ended = how_it_ended(manifest, history)
    splits = [split for split in ("valid", "test") if (run / evaluation_name(split)).is_file()]
    return ComparedRun(
        name=run.name,
        task="detect",
        manifest=manifest,
        curves=curves | losses if history else {},
        measured={split: _measured(run, split) for split in splits},
        leading="AP50-95",
        pictures=manifest.result.get("pictures", {}),
        epochs=str(ended) if ended else "",
        cut_short=ended is not None and ended.cause in {"time", "stopped"},
    )


def _measured(run: Path, split: str) -> Measured:
    evaluation = read_evaluation(run, split)
    about, _ = read_arrays(run / evaluation_name(split), "")
    # Runs of before they were noted have none, and then no picture is known to be another run's.
    hashes = tuple(about.get("sha256", [""] * len(evaluation)))
    truths = tuple(_truth(one, evaluation.names) for one in evaluation.pictures)
    return Measured(
        split, hashes, truths, draws_for(len(evaluation.matches.class_id)), partial(measure, evaluation)
    )  # fmt: skip


def _truth(picture: Picture, names: tuple[str, ...]) -> str:
    """The labels of a picture in words that do not depend on the order of classes or boxes."""
    size = np.array([picture.width, picture.height] * 2, np.float64)
    boxes = np.rint(1000 * picture.xyxy / size).astype(int).tolist()
    return str(sorted((names[k], *box) for k, box in zip(picture.class_id.tolist(), boxes, strict=True)))


def measure(evaluation: Evaluation, numbers: np.ndarray, draws: int) -> Mapping[Key, Sample]:
    """The figures on some of the pictures, and for each draw of them; see `detect.precision`.

    Args:
        evaluation: What the model found.
        numbers: int64 `(n,)`, at least one.
        draws: How often the pictures are drawn.
    """
    chosen = [evaluation.pictures[number] for number in numbers.tolist()]
    matches = match_pictures((one.found, one.xyxy, one.class_id) for one in chosen)
    classes = len(evaluation.names)
    if not len(matches.true_class):
        return {}
    sure = matches.confidence > evaluation.thresholds[matches.class_id]
    parts = Parts(matches, sure, classes, draws)
    drawn = parts.drawn
    values = {
        "AP50-95": (parts.point.mean(axis=1), drawn.ap50_95), "AP50": (parts.point[:, 0], drawn.ap50),
        "precision": (parts.precision, drawn.precision), "recall": (parts.recall, drawn.recall),
    }  # fmt: skip
    found: dict[Key, Sample] = {}
    for name, (value, draws_of) in values.items():
        known = ~np.isnan(value)
        if known.any():
            label = f"m{name}" if name.startswith("AP") else name
            found["", label] = Sample(float(value[known].mean()), mean_of_classes(draws_of[:, known]), len(chosen))
    for k in np.flatnonzero(parts.boxes).tolist():
        for name, (value, draws_of) in values.items():
            if not np.isnan(value[k]):
                found[evaluation.names[k], name] = Sample(float(value[k]), draws_of[:, k], int(parts.pictures[k]))
    return found
