"""From the best weights of a run to a bundle that was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..core.errors import DataError, LensmithError
from ..core.progress import say, warn
from ..datasets.model import Item
from ..predict.engines.choose import open_engine
from ..predict.engines.keras import NATIVE_NAME, predict_probabilities
from ..weights.architecture import build_classifier
from ..weights.bundle import PORTABLE_NAME, Bundle, BundleRecord, copy_model, write_bundle
from ..weights.keras_files import load_all_layers
from .data import Samples
from .evaluate import evaluate_items
from .export import export_portable
from .metrics import ClassifierScores

_GOLDEN = 4


def stage_bundle(folder: Path, record: BundleRecord, checkpoint: Path, valid: Samples) -> Bundle:
    """Write a bundle without figures, to be measured.

    Args:
        folder: Where; in the run's folder.
        record: The classifier's record.
        checkpoint: The best weights.
        valid: Up to four of these pictures become golden samples.
    """
    if record.classifier is None:
        raise LensmithError("A classifier's bundle needs a classifier's record.")
    size = record.preprocessing
    # Built anew, so that neither the optimizer's state nor frozen layers end up in the file.
    model = build_classifier(record.classifier, size.width, size.height, len(record.names))
    load_all_layers(model, checkpoint)
    spread = np.linspace(0, len(valid) - 1, min(_GOLDEN, len(valid))).astype(int)
    inputs = np.stack([valid.picture(int(index)) for index in spread])

    def fill(place: Path) -> None:
        model.save(place / NATIVE_NAME)
        say("exporting the portable model ...")
        try:
            export_portable(model, record, place / NATIVE_NAME, place / PORTABLE_NAME)
        except LensmithError as error:
            (place / PORTABLE_NAME).unlink(missing_ok=True)
            warn(f"{error.what} The bundle has no portable model and runs with Keras alone.")

    return write_bundle(folder, record, fill, golden=(inputs, predict_probabilities(model, inputs)))


def measure(bundle: Bundle, splits: Mapping[str, Sequence[Item]], device: str) -> list[ClassifierScores]:
    """Measure a bundle on each split that has pictures, with the engine that would run it here.

    Raises:
        DataError: no picture of the first split can be read. One of the others is left out with a warning.
    """
    engine = open_engine(bundle, device=device)
    scores: list[ClassifierScores] = []
    for split, items in splits.items():
        try:
            if items:
                scores.append(evaluate_items(bundle, engine, items, split))
        except DataError as error:
            if not scores:
                raise
            warn(f"not measured on {split}: {error.what}")
    return scores


def finish_bundle(target: Path, staged: Bundle, scores: Sequence[ClassifierScores]) -> Bundle:
    """Write the bundle with its figures.

    Args:
        target: The bundle's folder.
        staged: From `stage_bundle`.
        scores: On validation pictures first. Those on the last split, which is the test split where there is one,
            become the bundle's figures, because no weights were chosen by it.
    """
    chosen_by, main = scores[0], scores[-1]
    metrics = main.summary()
    if main is not chosen_by:
        metrics[f"{chosen_by.split}_accuracy"] = chosen_by.accuracy
    update = {"name": target.name, "metrics": metrics, "metrics_split": main.split, "files": {}}
    record = staged.record.model_copy(update=update)

    def fill(place: Path) -> None:
        for name in (NATIVE_NAME, PORTABLE_NAME):
            if (path := staged.file(name)) is not None:
                copy_model(path, place, name)

    return write_bundle(target, record, fill, golden=staged.golden())
