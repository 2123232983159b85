"""From the best checkpoint to a bundle: strip, export, golden samples, measure, write."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.device import is_memory_full
from ..core.errors import DataError, DiskFullError, LensmithError
from ..core.images import ImageError, is_image, read_image
from ..core.manifest import DatasetRef
from ..core.progress import say, warn
from ..core.workspace import Workspace
from ..datasets.holdout import training_splits
from ..datasets.model import Dataset
from ..predict.engines.choose import open_engine
from ..predict.engines.ultralytics import MODEL_NAME, TorchDetector
from ..predict.model import open_model
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
from ..weights.portable import add_picture_input
from ..weights.shelf import write_for_run
from ..weights.trust import check_checkpoint
from .evaluate import Evaluation, evaluate_items
from .models import is_transformer
from .thresholds import choose_thresholds, shortfalls
from .tiles import Choice, choose_tiles
from .trouble import is_no_room
from .view import ViewReport

GOLDEN_SAMPLES = 4


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
        preprocessing=_preprocessing(trained),
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
    measured, choice = _measure(draft, trained, dataset)
    evaluations, thresholds = _with_thresholds(measured, record, trained.target)
    shown = most_telling(evaluations).scores
    record = record.model_copy(
        update={
            "metrics": shown.summary(), "metrics_split": shown.split, "thresholds": thresholds,
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


def _preprocessing(trained: Trained) -> Preprocessing:
    """What Ultralytics does to a picture for this detector: RT-DETR alone sees it stretched to the square."""
    resize = "stretch" if is_transformer(trained.family) else "letterbox"
    return Preprocessing(width=trained.imgsz, height=trained.imgsz, resize=resize)


def strip_checkpoint(source: Path, target: Path, max_det: int) -> None:
    """Write the model alone: no optimizer, no paths, no training arguments, no git origin.

    Raises:
        DataError: `source` is damaged.
    """
    check_checkpoint(source)
    import torch
    import ultralytics
    from ultralytics.nn.tasks import torch_safe_load

    checkpoint, _ = torch_safe_load(source)
    found = checkpoint.get("ema") or checkpoint.get("model")
    if not isinstance(found, torch.nn.Module):
        raise DataError("The checkpoint holds no model.", where=source)
    model: Any = found
    model.half()
    model.criterion = None
    model.args = {"task": "detect"}
    model.set_head_attr(max_det=max_det)
    for name in ("pt_path", "class_weights"):
        if hasattr(model, name):
            delattr(model, name)
    for parameter in model.parameters():
        parameter.requires_grad = False
    content = {"epoch": -1, "model": model, "ema": None, "optimizer": None, "train_args": {"task": "detect"},
               "date": datetime.now(UTC).isoformat(), "version": ultralytics.__version__,
               "license": "AGPL-3.0 (https://ultralytics.com/license)"}  # fmt: skip
    torch.save(content, target)


def export_portable(source: Path, target: Path, imgsz: int, max_det: int) -> bool:
    """Export to ONNX with the picture conversion inside; says so and returns False when this model cannot be.

    A training of many hours must not be lost because of it: the bundle then runs with Ultralytics alone. What another
    try may mend is raised, for such a bundle would never get its portable form.

    Raises:
        DiskFullError: no room to write it.
        LensmithError: not enough memory.
    """
    from ultralytics import YOLO

    say("exporting the portable model")
    with _own_copy(source) as copy:
        try:
            exported = YOLO(copy, task="detect").export(
                format="onnx", dynamic=True, imgsz=imgsz, simplify=True, device="cpu", max_det=max_det, verbose=False
            )
            add_picture_input(Path(str(exported)), target, layout="nchw", scale=1 / 255, channels="rgb")
        except Exception as error:  # noqa: BLE001 - the exporters raise whatever they like
            _raise_if_passing(error, target)
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            warn(f"this model has no portable form and will need Ultralytics to run: {reason}")
            target.unlink(missing_ok=True)
            return False
    return True


def _raise_if_passing(error: Exception, target: Path) -> None:
    """Raise what has to do with the machine and not with the model; exporters wrap it in errors of their own."""
    cause: BaseException | None = error
    while cause is not None:
        if is_no_room(cause):
            raise DiskFullError(target) from error
        if isinstance(cause, Exception) and is_memory_full(cause):
            raise LensmithError(
                "There is not enough memory to export the portable model.", where=target,
                next_step="end other programs, then go on with the run: cv resume",
            ) from error  # fmt: skip
        cause = cause.__cause__ or cause.__context__


def most_telling(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The one a model is known by: on the test pictures, or on the valid ones where no test picture has a box."""
    return next((one for one in reversed(evaluations) if one.scores.boxes), evaluations[0])


@contextlib.contextmanager
def _own_copy(source: Path) -> Iterator[Path]:
    """The exporter writes beside its source under its name; here that is a folder of its own."""
    folder = source.parent / "onnx"
    folder.mkdir()
    try:
        yield Path(shutil.copyfile(source, folder / source.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


def _measure(bundle: Bundle, trained: Trained, dataset: Dataset) -> tuple[tuple[Evaluation, ...], Choice]:
    """The model on the validation pictures, which come first, and on the test pictures, as it will be used."""
    model = open_model(bundle, device=trained.device)
    valid, test = list(training_splits(dataset, trained.seed).valid), list(dataset.items("test"))
    plain = evaluate_items(bundle, model, dataset, valid, "valid")
    choice = choose_tiles(plain, model, dataset, valid, trained.tiles, trained.view.tiles)
    measured = [choice.valid]
    if test:
        used = Tiled(model, choice.tiles) if choice.tiles else model
        measured.append(evaluate_items(bundle, used, dataset, test, "test"))
    return tuple(replace(one, model=trained.bundle_name) for one in measured), choice
