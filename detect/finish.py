"""From the best checkpoint to a bundle: strip, export, golden samples, measure, write."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.images import ImageError, is_image, read_image
from ..core.manifest import DatasetRef
from ..core.progress import warn
from ..core.workspace import Workspace
from ..datasets.holdout import training_splits
from ..datasets.model import Dataset
from ..predict.engines.choose import open_engine
from ..predict.engines.ultralytics import MODEL_NAME, TorchDetector
from ..predict.model import Model, open_model
from ..predict.prepare import fit
from ..predict.proof import prove_bundle
from ..predict.tiles import Tiled
from ..report.target import parse_target
from ..weights.bundle import (
    PORTABLE_NAME,
    Bundle,
    BundleRecord,
    DetectorRecord,
    Preprocessing,
    copy_model,
    read_bundle,
    write_bundle,
)
from ..weights.portable import takes_any_size
from ..weights.shelf import write_for_run
from .evaluate import Evaluation, evaluate_items
from .portable import export_portable, strip_checkpoint
from .thresholds import choose_thresholds, shortfalls
from .tiles import Choice, choose_tiles
from .view import ViewReport

GOLDEN_SAMPLES = 4
_NO_LOSS = 0.002  # of mAP50-95: less than that is what other pictures of the same kind would change


@dataclass(frozen=True)
class Trained:
    """What a finished training hands over.

    Attributes:
        run: The run's folder.
        best: The best checkpoint.
        family: The detector's name.
        imgsz: Side of its input in pixels.
        view: What it was trained on.
        seed: The run's seed.
        dataset: The dataset's name, fingerprint and path.
        bundle_name: What the bundle is to be called.
        device: As in `core.device.parse_device`.
        target: What the thresholds are chosen for, "precision=0.95"; None takes the best F1.
        tiles: "auto", "on" or "off", see `detect.tiles`.
    """

    run: Path
    best: Path
    family: str
    imgsz: int
    view: ViewReport
    seed: int
    dataset: DatasetRef
    bundle_name: str
    device: str
    target: str | None = None
    tiles: str = "off"


class Finished(NamedTuple):
    """What came of a training.

    Attributes:
        bundle: The model.
        evaluations: What it found in the pictures of "valid", and of "test" when the dataset has them; the run's folder
            holds both too.
        tiles: What tiles would bring, for run.json; None where they were not tried.
    """

    bundle: Bundle
    evaluations: tuple[Evaluation, ...]
    tiles: dict[str, Any] | None


def make_bundle(trained: Trained, dataset: Dataset, workspace: Workspace) -> Finished:
    """Make the bundle, measure it as it will be used, and put it into the workspace.

    Raises:
        DataError: the best checkpoint is damaged, or the bundle gives other results than the trained model.
    """
    work = trained.run / "export"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    max_det = max(300, trained.view.most_boxes)
    strip_checkpoint(trained.best, work / MODEL_NAME, max_det)
    has_portable = export_portable(work / MODEL_NAME, work / PORTABLE_NAME, trained.imgsz, max_det)
    detector = TorchDetector(work / MODEL_NAME, "cpu")
    shape = DetectorRecord(family=trained.family, output=detector.output, max_det=max_det)
    record = BundleRecord(
        name=trained.bundle_name,
        task="detect",
        names=dataset.names,
        preprocessing=detector_preprocessing(detector, trained.imgsz),
        detector=shape,
        dataset=DatasetRef(name=trained.dataset.name, fingerprint=trained.dataset.fingerprint),
        run=trained.run.name,
    )
    golden = _golden(trained.run / "data", detector, record.preprocessing)

    def fill(folder: Path) -> None:
        copy_model(work / MODEL_NAME, folder, MODEL_NAME)
        if has_portable:
            copy_model(work / PORTABLE_NAME, folder, PORTABLE_NAME)

    draft = write_bundle(work / "bundle", record, fill, golden=golden)
    prove_bundle(draft.folder)
    less = with_less_padding(record.preprocessing, detector, work / PORTABLE_NAME)
    measured, choice, preprocessing = _measure(draft, trained, dataset, less)
    evaluations, thresholds = _with_thresholds(measured, record, trained.target)
    shown = most_telling(evaluations).scores
    record = record.model_copy(
        update={
            "metrics": shown.summary(), "metrics_split": shown.split, "thresholds": thresholds,
            "preprocessing": preprocessing,
            "detector": shape.model_copy(update={"tiles": choice.tiles}),
        }
    )  # fmt: skip

    def write(folder: Path) -> None:
        write_bundle(folder, record.model_copy(update={"name": folder.name}), fill, golden=golden)

    bundle = read_bundle(write_for_run(workspace, trained.bundle_name, trained.run.name, write))
    open_engine(bundle)  # loads it as `cv predict` will, and compares with the golden samples
    shutil.rmtree(work, ignore_errors=True)
    for evaluation in evaluations:
        evaluation.save(trained.run)
    return Finished(bundle, evaluations, choice.trial)


def detector_preprocessing(detector: TorchDetector, imgsz: int) -> Preprocessing:
    """What Ultralytics does to a picture for this detector: RT-DETR alone sees it stretched to the square."""
    return Preprocessing(width=imgsz, height=imgsz, resize="stretch" if detector.output == "queries" else "letterbox")


def with_less_padding(preprocessing: Preprocessing, detector: TorchDetector, portable: Path) -> Preprocessing:
    """The same with little padding, where the network takes pictures of any size; else as it is.

    Args:
        preprocessing: From `detector_preprocessing`.
        detector: The model.
        portable: Its portable form, which may be missing.
    """
    if preprocessing.resize != "letterbox" or (portable.is_file() and not takes_any_size(portable)):
        return preprocessing
    return preprocessing.model_copy(update={"stride": detector.stride})


def most_telling(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The one a model is known by: on the test pictures, or on the valid ones where no test picture has a box."""
    return next((one for one in reversed(evaluations) if one.scores.boxes), evaluations[0])


def _golden(data: Path, detector: TorchDetector, preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """A few validation pictures as the model sees them, and what it answers."""
    pictures = sorted(path for path in (data / "valid" / "images").iterdir() if is_image(path))
    spread = np.linspace(0, len(pictures) - 1, min(GOLDEN_SAMPLES, len(pictures))).astype(int).tolist()
    wanted = [pictures[i] for i in dict.fromkeys([*spread, *range(len(pictures))])]
    inputs = np.stack(list(islice(_fitted(wanted, preprocessing), len(spread))))
    outputs = np.concatenate([detector.infer(inputs[i : i + 1]) for i in range(len(inputs))])
    return inputs, outputs


def _with_thresholds(
    evaluations: tuple[Evaluation, ...], record: BundleRecord, wanted: str | None
) -> tuple[tuple[Evaluation, ...], tuple[float, ...] | None]:
    """Thresholds of the validation pictures, which come first, and what is measured with them; None without boxes."""
    valid = evaluations[0]
    if not len(valid.matches.true_class):
        return evaluations, None
    target = parse_target(wanted) if wanted else None
    thresholds = choose_thresholds(valid, target)[: len(record.names)]
    limited = tuple(one.with_thresholds(thresholds) for one in evaluations)
    for sentence in shortfalls(limited[0], target) if target else ():
        warn(sentence)
    return limited, thresholds


def _fitted(pictures: Iterable[Path], preprocessing: Preprocessing) -> Iterator[np.ndarray]:
    """As the model sees them; a picture that somebody spoilt since training began must not cost the training."""
    last: ImageError | None = None
    found = False
    for path in pictures:
        try:
            bgr = read_image(path)
        except ImageError as error:
            last = error
            continue
        found = True
        yield fit(bgr, preprocessing)[0]
    if last is not None and not found:
        raise last


def _measure(
    bundle: Bundle, trained: Trained, dataset: Dataset, less: Preprocessing
) -> tuple[tuple[Evaluation, ...], Choice, Preprocessing]:
    """The model on the validation pictures, which come first, and on the test pictures, as it will be used."""
    model = open_model(bundle, device=trained.device)
    valid, test = list(training_splits(dataset, trained.seed).valid), list(dataset.items("test"))
    plain = evaluate_items(bundle, model, dataset, valid, "valid")
    thrifty = Model(Bundle(bundle.folder, bundle.record.model_copy(update={"preprocessing": less})), model.engine)
    if less != bundle.record.preprocessing and plain.scores.boxes:
        found = evaluate_items(bundle, thrifty, dataset, valid, "valid")
        if is_as_good(found, plain):
            model, plain = thrifty, found
    choice = choose_tiles(plain, model, dataset, valid, trained.tiles, trained.view.tiles)
    measured = [choice.valid]
    if test:
        used = Tiled(model, choice.tiles) if choice.tiles else model
        measured.append(evaluate_items(bundle, used, dataset, test, "test"))
    evaluations = tuple(replace(one, model=trained.bundle_name) for one in measured)
    return evaluations, choice, model.bundle.record.preprocessing


def is_as_good(found: Evaluation, plain: Evaluation) -> bool:
    """Whether what was found loses less than 0.2 points of mAP50-95 to the plain way."""
    ours, theirs = found.scores.map50_95, plain.scores.map50_95
    return ours is not None and theirs is not None and ours.value >= theirs.value - _NO_LOSS
