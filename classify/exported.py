"""A classifier in another format, with what that costs in accuracy."""

from __future__ import annotations

from functools import partial

from ..core.workspace import Workspace
from ..datasets.for_export import Wanted, pictures_for_export
from ..datasets.known import Learner
from ..predict.exporting import (
    MOST_PICTURES,
    Calibration,
    ExportConfig,
    Exported,
    Measurement,
    check_export,
    export_bundle,
)
from ..predict.model import Model
from ..weights.bundle import Bundle
from .evaluate import check_fits, class_map, evaluate_items


def export_classifier(bundle: Bundle, config: ExportConfig, workspace: Workspace) -> Exported:
    """Export a classifier into the workspace, see `predict.exporting.export_bundle`.

    Raises:
        UsageError, LensmithError: see there.
        NotFoundError, DataError: a dataset is not there, or does not fit the model.
    """
    check_export(bundle, config)
    record = bundle.record
    learner = Learner(bundle.name, record.dataset, record.run, bundle.folder)
    wanted = Wanted(config.dataset, config.calibrate, config.split)
    given = pictures_for_export(
        learner, wanted, partial(check_fits, bundle), workspace,
        calibrate_with=MOST_PICTURES if config.precision == "int8" else None, seed=config.seed,
    )  # fmt: skip
    measured, measurement = given.measured, None
    if measured:
        to_model = class_map(measured.dataset, record.names)

        def run(model: Model) -> dict[str, float]:
            return evaluate_items(model, measured.items, measured.split, to_model).scores.summary()

        measurement = Measurement(measured.reference, measured.split, ("accuracy",), run)
    calibration = Calibration(*given.calibrated) if given.calibrated else None
    return export_bundle(bundle, config, workspace, calibration=calibration, measurement=measurement)
