"""An export is a bundle itself: the files of another format, the source's golden samples, and what was found of both.

Made in another process, compared with the source's own answers, measured where there is a dataset, and only then put
into the workspace. What does not pass leaves nothing.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from ..core.errors import DataError, LensmithError, UsageError
from ..core.files import scratch_folder, sha256_of
from ..core.images import ImageError, read_image
from ..core.manifest import DatasetRef
from ..core.progress import progress, say, warn
from ..core.words import many
from ..core.workspace import Workspace
from ..weights.bundle import BUNDLE_NAME, PORTABLE_NAME, Bundle, BundleRecord, Export, Preprocessing, write_bundle
from ..weights.export.convert import Order, convert
from ..weights.export.formats import FORMATS, check_possible
from ..weights.known import marks_of
from ..weights.record import ExportFormat, Precision
from ..weights.shelf import free_bundle_name
from .engines.golden import golden_samples
from .export_check import check_answers, engine_of, reference_engine, time_both
from .model import Model
from .prepare import fit
from .proof import prove_bundle

MOST_PICTURES = 300  # to calibrate with
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class ExportConfig:
    """Options of `detect.exported.export_detector` and `classify.exported.export_classifier`.

    Attributes:
        kind: The format to make.
        precision: Of its numbers.
        name: What the new bundle is to be called; None makes a name of the source's, the format and the precision.
        dataset: Measure source and export on it; None takes the one that calibrates, or else the one that the source
            was made from, where it is found and unchanged.
        split: "train", "valid" or "test"; None takes test, or valid where there are no test pictures.
        calibrate: The dataset whose training pictures show an int8 model which numbers come; None as for `dataset`.
        seed: Of the choice of those pictures.
    """

    kind: ExportFormat
    precision: Precision = "fp32"
    name: str | None = None
    dataset: str | None = None
    split: Literal["train", "valid", "test"] | None = None
    calibrate: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Calibration:
    """Pictures that show an int8 model which numbers come, and where they are from."""

    dataset: DatasetRef
    pictures: Sequence[Path]


@dataclass(frozen=True)
class Measurement:
    """How a model is measured.

    Attributes:
        dataset: On which dataset.
        split: On which pictures of it.
        compared: The figures by which export and source are compared, the most telling first.
        run: Gives the figures as a bundle has them.
    """

    dataset: DatasetRef
    split: str
    compared: tuple[str, ...]
    run: Callable[[Model], dict[str, float]]


@dataclass(frozen=True)
class Speed:
    """Milliseconds a picture takes, one at a time, on which library, and how large the model files are."""

    engine: str
    milliseconds: float
    bytes: int


@dataclass(frozen=True)
class Exported:
    """What was made.

    Attributes:
        bundle: The new bundle.
        source: Speed and size of the source.
        export: Of the export.
        measured: Metric -> the source's figure and the export's; empty when nothing was measured.
    """

    bundle: Bundle
    source: Speed
    export: Speed
    measured: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def check_export(bundle: Bundle, config: ExportConfig) -> None:
    """What can be known before any work.

    Raises:
        UsageError: it makes no sense: no such precision, an export of an export, options that do not go together.
        LensmithError: it cannot be made or checked on this machine, and what it would need.
    """
    check_possible(config.kind, config.precision, bundle.record.task)
    if exported := bundle.record.exported:
        raise UsageError(
            f"'{bundle.name}' is an export itself.", where=bundle.folder,
            next_step=f"export the model that it was made from: cv export {exported.source} --to {config.kind}",
        )  # fmt: skip
    if config.calibrate and config.precision != "int8":
        raise UsageError("Only a model in int8 is calibrated.", where="--calibrate", next_step="add --int8")


def export_bundle(
    bundle: Bundle,
    config: ExportConfig,
    workspace: Workspace,
    *,
    calibration: Calibration | None = None,
    measurement: Measurement | None = None,
) -> Exported:
    """Export a bundle into the workspace.

    Args:
        bundle: The source.
        config: The options; datasets in it were turned into the next two by the caller.
        workspace: Where the new bundle goes.
        calibration: For int8.
        measurement: How both are measured; None: they are not.

    Raises:
        UsageError, LensmithError: see `check_export`; or the model could not be made, or gives other answers than the
            source by more than `engines.golden` allows; nothing is left then.
        DiskFullError: there is no room for it.
    """
    check_export(bundle, config)
    if not marks_of(bundle.folder):
        prove_bundle(bundle.folder)  # converters read it without limits
    name = free_bundle_name(config.name, f"{bundle.name}-{config.kind}-{config.precision}", workspace)
    target = workspace.weights / name
    with scratch_folder(target) as scratch:
        _need_room(scratch, bundle, calibration)
        made = scratch / "made"
        made.mkdir()
        shown = _keep_pictures(calibration, bundle.record.preprocessing.whole, scratch) if calibration else None
        say(f"making the {FORMATS[config.kind].title} model in {config.precision}")
        convert(Order(config.kind, config.precision, bundle.folder.resolve(), made, shown), scratch / "said.txt")
        if shown:
            shown.unlink()
        record = _record(bundle, config, name, calibration)
        staged = write_bundle(scratch / name, record, lambda folder: _move(made, folder), golden=golden_samples(bundle))
        found = _look(bundle, staged, config.kind, measurement)
        names = [one for one in staged.record.files if one not in _BESIDE]
        done = write_bundle(
            target, _complete(record, found), lambda folder: _move_files(staged.folder, folder, names),
            golden=golden_samples(bundle),
        )  # fmt: skip
    return Exported(done, found.source, found.export, found.measured)


_OF_ANY_SIZE = ("onnx", "openvino")  # formats in which a network that takes any size still does
_BESIDE = ("golden.npz", "labels.txt", "README.md")


@dataclass(frozen=True)
class _Found:
    """What was seen of an export and its source; `metrics` are the export's."""

    source: Speed
    export: Speed
    difference: dict[str, float]
    measured: dict[str, tuple[float, float]]
    metrics: dict[str, float]
    measured_on: DatasetRef | None
    split: str | None


def _look(bundle: Bundle, staged: Bundle, kind: ExportFormat, measurement: Measurement | None) -> _Found:
    """Compare with the golden samples, time, and measure."""
    with engine_of(staged) as engine:
        difference = check_answers(staged, engine)
        source, export = time_both(bundle, staged, engine)
        after = measurement.run(Model(staged, engine)) if measurement else {}
    measured: dict[str, tuple[float, float]] = {}
    if measurement and after:
        before = measurement.run(Model(bundle, reference_engine(bundle, kind)))
        measured = {key: (before[key], after[key]) for key in measurement.compared}
    speeds = Speed(*source, _bytes(bundle)), Speed(*export, _bytes(staged))
    where = (measurement.dataset, measurement.split) if measurement and after else (None, None)
    return _Found(*speeds, difference, measured, after, *where)


def _bytes(bundle: Bundle) -> int:
    """Size of what runs: an export's files, or the portable model, or else the native one."""
    names = [name for name in bundle.record.files if name not in _BESIDE]
    if PORTABLE_NAME in names:
        names = [PORTABLE_NAME]
    return sum((bundle.folder / name).stat().st_size for name in names)


def _record(bundle: Bundle, config: ExportConfig, name: str, calibration: Calibration | None) -> BundleRecord:
    exported = Export(
        format=config.kind,
        precision=config.precision,
        source=bundle.name,
        source_sha256=sha256_of(bundle.folder / BUNDLE_NAME),
        machine=platform.node() if config.kind == "tensorrt" else None,
        calibrated_on=calibration.dataset if calibration else None,
    )
    update = {"name": name, "origin": "exported", "exported": exported, "files": {}, "metrics": {},
              "metrics_split": None}  # fmt: skip
    if config.kind not in _OF_ANY_SIZE:
        update["preprocessing"] = bundle.record.preprocessing.whole
    fresh = {key: value for key, value in bundle.record if key not in {"created", "versions"}}
    return BundleRecord(**{**fresh, **update})


def _complete(record: BundleRecord, found: _Found) -> BundleRecord:
    """The record with what was found; figures are in it only where this very export was measured."""
    loss = {key: after - before for key, (before, after) in found.measured.items()}
    update = {"difference": found.difference, "measured_on": found.measured_on, "split": found.split, "loss": loss}
    exported = record.exported and record.exported.model_copy(update=update)
    return record.model_copy(update={"exported": exported, "metrics": found.metrics, "metrics_split": found.split})


def _need_room(scratch: Path, bundle: Bundle, calibration: Calibration | None) -> None:
    size = bundle.record.preprocessing
    pictures = 2 * len(calibration.pictures) * size.width * size.height * 3 if calibration else 0  # see _keep_pictures
    needed = 4 * sum((bundle.folder / name).stat().st_size for name in bundle.record.files) + pictures
    free = shutil.disk_usage(scratch).free
    if needed > free:
        raise LensmithError(
            f"The export needs up to {needed / _MEBIBYTE:.0f} MB for a while, and the disk has "
            f"{free / _MEBIBYTE:.0f} MB left.",
            where=scratch.parent,
            next_step="free some space, or give another --workspace",
        )


def _keep_pictures(calibration: Calibration, preprocessing: Preprocessing, scratch: Path) -> Path:
    """The pictures as the model sees them, one after the other in a file, so that memory stays flat.

    Raises:
        DataError: none of them can be read.
    """
    path, loose = scratch / "pictures.npy", scratch / "pictures"
    count, unread = 0, 0
    pictures = calibration.pictures
    with (
        loose.open("wb") as file,
        progress("preparing the pictures to calibrate with", len(pictures)) as step,
    ):
        for one in pictures:
            try:
                file.write(fit(read_image(one), preprocessing)[0].tobytes())
                count += 1
            except ImageError:
                unread += 1
            step(1)
    if unread:
        warn(f"{many(unread, 'picture')} of '{calibration.dataset.name}' cannot be read and did not calibrate")
    if not count:
        raise DataError("None of the pictures to calibrate with can be read.", where=calibration.dataset.path)
    shape = (count, preprocessing.height, preprocessing.width, 3)
    with path.open("wb") as file, loose.open("rb") as content:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        shutil.copyfileobj(content, file)
    loose.unlink()
    return path


def _move(source: Path, folder: Path) -> None:
    for path in sorted(source.iterdir()):
        path.rename(folder / path.name)


def _move_files(source: Path, folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).rename(folder / name)
