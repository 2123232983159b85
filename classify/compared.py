"""A finished fine-tuning as `cv compare` takes it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ..core.manifest import RunManifest
from ..report.bootstrap import DRAWS, draw_counts
from ..report.compare import ComparedRun
from ..report.paired import Key, Measured, Sample
from .evaluate import Evaluation
from .history import read_history
from .saved import read_evaluation

_CURVES = {"val_accuracy": "validation accuracy", "val_loss": "validation loss", "loss": "training loss"}


def open_compared(run: Path, manifest: RunManifest) -> ComparedRun:
    """Read what a run left: its epochs, and what its model said about validation and test pictures.

    Raises:
        DataError: a file is damaged.
    """
    history = read_history(run)
    splits = [split for split in ("valid", "held-out", "test") if (run / f"evaluation-{split}.npz").is_file()]
    measured = {"valid" if split == "held-out" else split: _measured(run, split) for split in splits}
    return ComparedRun(
        name=run.name,
        task="classify",
        manifest=manifest,
        curves={name: [float(row[key]) for row in history] for key, name in _CURVES.items()} if history else {},
        measured=measured,
        leading="F1",
        pictures={split: len(one.pictures) for split, one in measured.items()},
    )


def _measured(run: Path, split: str) -> Measured:
    evaluation, pictures = read_evaluation(run, split)
    truths = tuple(evaluation.names[label] for label in evaluation.labels.tolist())
    return Measured(split, pictures, truths, DRAWS, partial(measure, evaluation))


def measure(evaluation: Evaluation, numbers: np.ndarray, draws: int) -> Mapping[Key, Sample]:
    """The figures on some of the pictures, and for each draw of them.

    Args:
        evaluation: What the model said.
        numbers: int64 `(n,)`, at least one.
        draws: How often the pictures are drawn.
    """
    classes = len(evaluation.names)
    labels, predicted = evaluation.labels[numbers], evaluation.predicted[numbers]
    true, said = np.eye(classes)[labels], np.eye(classes)[predicted]
    parts = true, said, true * said
    as_it_is = _shares(*(part.sum(axis=0)[None] for part in parts))
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in as_it_is}
    for rows in draw_counts(np.ones(len(numbers), np.int64), draws=draws):
        weight = rows.astype(np.float64)
        for name, values in _shares(*(weight @ part for part in parts)).items():
            drawn[name].append(values)
    joined = {name: np.concatenate(values) for name, values in drawn.items()}
    found: dict[Key, Sample] = {}
    for name, values in as_it_is.items():
        if values.ndim == 1:
            found["", name] = Sample(float(values[0]), joined[name], len(numbers))
    shown, called = (part.sum(axis=0).astype(int) for part in parts[:2])
    for k in np.flatnonzero(shown).tolist():
        for name, values in as_it_is.items():
            if values.ndim == 2 and not np.isnan(values[0, k]):
                rests_on = called[k] if name == "precision" else shown[k]
                found[evaluation.names[k], name] = Sample(float(values[0, k]), joined[name][:, k], int(rests_on))
    return found


def _shares(true: np.ndarray, said: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    """From counts `(draws, classes)`: each figure, `(draws,)` or `(draws, classes)`; NaN where nothing is counted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = right / true, right / said
        f1 = np.where(true > 0, 2 * right / (true + said), np.nan)
        accuracy = right.sum(axis=1) / true.sum(axis=1)
    return {
        "accuracy": accuracy,
        "balanced accuracy": np.nanmean(recall, axis=1),
        "mean F1": np.nanmean(f1, axis=1),
        "F1": f1,
        "precision": precision,
        "recall": recall,
    }
