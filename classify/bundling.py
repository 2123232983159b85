"""From the best weights of a run to a bundle that is calibrated and was measured.

stage_bundle    the model and its portable copy, without figures
measure         what it says on validation and test pictures; temperature and thresholds from the former
finish_bundle   the bundle with temperature, thresholds and figures, in its place
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError, LensmithError
from ..core.progress import say, warn
from ..core.words import many
from ..datasets.model import Item
from ..predict.engines.keras import NATIVE_NAME, predict_probabilities
from ..predict.model import open_model
from ..report.target import Target
from ..weights.architecture import build_classifier
from ..weights.bundle import PORTABLE_NAME, Bundle, BundleRecord, copy_model, write_bundle
from ..weights.keras_files import load_all_layers
from .assess import leak_effect_of
from .calibrate import ENOUGH_PICTURES, choose_thresholds, fit_temperature, shortfalls
from .data import Samples
from .evaluate import Evaluation, evaluate_items
from .export import export_portable

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


def measure(
    bundle: Bundle, splits: Mapping[str, Sequence[Item]], device: str, target: Target | None = None
) -> list[Evaluation]:
    """Measure a bundle on each split that has pictures, with the engine that would run it here, and calibrate it.

    Temperature and thresholds come from the first split, the validation pictures, and hold for all.

    Args:
        bundle: From `stage_bundle`.
        splits: Pictures by the name of their split; the validation pictures first.
        device: As in `core.device.parse_device`.
        target: What thresholds are chosen for; None leaves the record's.

    Raises:
        DataError: no picture of the first split can be read. One of the others is left out with a warning.
    """
    model = open_model(bundle, device=device)
    found: list[Evaluation] = []
    for split, items in splits.items():
        try:
            if items:
                found.append(evaluate_items(model, items, split))
        except DataError as error:
            if not found:
                raise
            warn(f"not measured on {split}: {error.what}")
    temperature, thresholds = calibrate(found[0], target)
    return [one.calibrated(temperature, thresholds) for one in found]


def calibrate(valid: Evaluation, target: Target | None) -> tuple[float, tuple[float, ...] | None]:
    """The temperature, and with a target the thresholds, that suit these validation pictures; what is odd is said.

    Args:
        valid: Answers on validation pictures, before or after another calibration.
        target: What the thresholds are chosen for.
    """
    if len(valid) < ENOUGH_PICTURES:
        few = many(len(valid), f"{valid.split} picture")
        be = "is" if len(valid) == 1 else "are"
        warn(f"{few} {be} too few to calibrate the probabilities: take them as they are")
    temperature = fit_temperature(valid.said, valid.labels)
    if target is None:
        return temperature, None
    probability = valid.calibrated(temperature, None).probability
    thresholds = choose_thresholds(probability, valid.labels, target)
    for sentence in shortfalls(probability, valid.labels, thresholds, target, valid.names):
        warn(sentence)
    return temperature, thresholds


def finish_bundle(target: Path, staged: Bundle, evaluations: Sequence[Evaluation]) -> Bundle:
    """Write the bundle with its calibration and its figures.

    Args:
        target: The bundle's folder.
        staged: From `stage_bundle`.
        evaluations: From `measure`: on validation pictures first. Those on the last split, which is the test split
            where there is one, become the bundle's figures, because nothing was chosen by it.
    """
    chosen_by, main = evaluations[0], evaluations[-1]
    metrics = main.scores.summary()
    if main is not chosen_by:
        metrics[f"{chosen_by.split}_accuracy"] = chosen_by.scores.accuracy.value
    update = {
        "name": target.name, "metrics": metrics, "metrics_split": main.split, "files": {},
        "temperature": main.temperature or 1.0, "thresholds": thresholds_for_record(main, staged.record),
    }  # fmt: skip
    record = staged.record.model_copy(update=update)

    def fill(place: Path) -> None:
        for name in (NATIVE_NAME, PORTABLE_NAME):
            if (path := staged.file(name)) is not None:
                copy_model(path, place, name)

    return write_bundle(target, record, fill, golden=staged.golden())


def about_evaluations(evaluations: Sequence[Evaluation], leaked: frozenset[Path]) -> dict[str, Any]:
    """For evaluation.json: the figures on each split, with the calibration that all of them have.

    Args:
        evaluations: From `measure`.
        leaked: Pictures that show what pictures of an earlier split show.
    """
    main = evaluations[-1]
    effects = [leak_effect_of(one, leaked) for one in evaluations]
    return {
        "splits": [
            {**one.scores.as_record(), "leak": effect and asdict(effect)}
            for one, effect in zip(evaluations, effects, strict=True)
        ],
        "temperature": main.temperature,
        "thresholds": dict(zip(main.names, main.thresholds.tolist(), strict=True)),
    }


def thresholds_for_record(evaluation: Evaluation, record: BundleRecord) -> tuple[float, ...] | None:
    """The thresholds as a record holds them; None where each class has the record's one for all."""
    if (evaluation.thresholds == np.float32(record.confidence)).all():
        return None
    return tuple(float(value) for value in evaluation.thresholds)
