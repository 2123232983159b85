"""A detector in another format, with what that costs in mAP."""

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
from ..predict.tiles import as_used
from ..weights.bundle import Bundle
from .evaluate import check_fits, evaluate_items


def export_detector(bundle: Bundle, config: ExportConfig, workspace: Workspace) -> Exported:
    """Export a detector into the workspace, see `predict.exporting.export_bundle`.

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

        def run(model: Model) -> dict[str, float]:
            found = evaluate_items(model.bundle, as_used(model), measured.dataset, measured.items, measured.split)
            return found.scores.summary()

        measurement = Measurement(measured.reference, measured.split, ("mAP50-95", "mAP50"), run)
    calibration = Calibration(*given.calibrated) if given.calibrated else None
    return export_bundle(bundle, config, workspace, calibration=calibration, measurement=measurement)
