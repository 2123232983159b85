"""Measure a detector on labelled pictures through the predict loop, so that what is measured is what runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from ..core.arrays import read_arrays, write_arrays
from ..core.errors import DataError, NotFoundError
from ..core.files import hashes_of, write_atomic
from ..core.progress import progress
from ..core.words import many, some
from ..datasets.model import Dataset, Item, Split, spoilt
from ..predict.decode import thresholds_of
from ..predict.engines.choose import open_engine
from ..predict.loop import predict_frames
from ..predict.model import Model, Predictor, open_model
from ..predict.results import Detections, Skipped
from ..predict.sources import PictureSource
from ..predict.tiles import as_used
from ..weights.bundle import Bundle
from .as_val import ValModel
from .curves import Curves, confuse, curves_of
from .matching import Matches, match_pictures
from .metrics import DetectorScores, score

LOWEST_CONFIDENCE = 0.001  # the field's habit: the curve needs the unsure detections too
SCORES_NAME = "evaluation.json"
Protocol = Literal["predict", "ultralytics"]


@dataclass(frozen=True)
class Picture:
    """One picture that was measured.

    Attributes:
        image, width, height: Its path, and its size in pixels.
        found: What the model found, down to a confidence of 0.001, class ids as in `Evaluation.names`.
        xyxy: float32 `(m, 4)`: the true boxes in its pixels.
        class_id: int64 `(m,)`: their classes.
    """

    image: Path
    width: int
    height: int
    found: Detections
    xyxy: np.ndarray
    class_id: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """What a detector found in labelled pictures.

    Attributes:
        model: What it is called.
        split: Which pictures: "train", "valid", "test".
        names: The model's classes in order; after them those of the dataset that it does not know.
        pictures: One by one.
        skipped: Pictures that could not be used, and why.
        thresholds: float32 `(len(names),)`: detections above the threshold of their class are shown.
        imgsz: The longer side of the model's input in pixels.
        protocol: "predict": what `cv predict` finds. "ultralytics": what Ultralytics' `val` counts, see `as_val`.
    """

    model: str
    split: str
    names: tuple[str, ...]
    pictures: tuple[Picture, ...]
    skipped: tuple[Skipped, ...]
    thresholds: np.ndarray
    imgsz: int = 640
    protocol: Protocol = "predict"

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def images(self) -> tuple[Path, ...]:
        """The pictures' paths."""
        return tuple(picture.image for picture in self.pictures)

    @cached_property
    def matches(self) -> Matches:
        """Which detections are right."""
        return match_pictures((one.found, one.xyxy, one.class_id) for one in self.pictures)

    @cached_property
    def scores(self) -> DetectorScores:
        """The figures, with their intervals."""
        return score(self.matches, self.names, self.split, self.thresholds, self.skipped)

    @cached_property
    def curves(self) -> Curves:
        """Precision, recall and F1 of each class over the confidence, and precision over recall."""
        return curves_of(self.matches, len(self.names))

    @cached_property
    def confusion(self) -> np.ndarray:
        """int64 `(classes + 1, classes + 1)`, row truth, column answer, of what is shown; see `curves.confuse`."""
        classes = len(self.names)
        tables = (confuse(self.shown(one), one.xyxy, one.class_id, classes) for one in self.pictures)
        return sum(tables, np.zeros((classes + 1, classes + 1), np.int64))

    def shown(self, picture: Picture) -> Detections:
        """What `cv predict` shows of a picture: the detections above the threshold of their class."""
        found = picture.found
        sure = found.confidence > self.thresholds[found.class_id]
        return Detections(found.xyxy[sure], found.class_id[sure], found.confidence[sure])

    def without(self, images: Collection[Path]) -> Evaluation | None:
        """The same without some pictures; None when no other is left."""
        kept = tuple(one for one in self.pictures if one.image not in images)
        return replace(self, pictures=kept) if kept else None

    def with_thresholds(self, thresholds: Sequence[float] | np.ndarray) -> Evaluation:
        """The same with other thresholds, `(len(names),)` or as many as the model knows classes."""
        chosen = np.array(self.thresholds, np.float32)
        chosen[: len(thresholds)] = thresholds
        return replace(self, thresholds=chosen)

    def save(self, folder: Path) -> None:
        """Write it into a folder: everything as `evaluation-SPLIT.npz`, and its figures into `evaluation.json`.

        Each file appears whole or not at all.
        """
        about = {
            "model": self.model, "split": self.split, "names": self.names, "imgsz": self.imgsz,
            "protocol": self.protocol, "images": [str(one.image) for one in self.pictures], "skipped": self.skipped,
            "sha256": hashes_of(self.images),
        }  # fmt: skip
        found = [one.found for one in self.pictures]
        write_arrays(folder / evaluation_name(self.split), about, {
            "thresholds": self.thresholds,
            "sizes": np.array([(one.width, one.height) for one in self.pictures], np.int32).reshape(-1, 2),
            "found": np.array([len(one) for one in found], np.int64),
            "xyxy": np.concatenate([np.zeros((0, 4), np.float32), *(one.xyxy for one in found)]),
            "class_id": np.concatenate([np.zeros(0, np.int32), *(one.class_id.astype(np.int32) for one in found)]),
            "confidence": np.concatenate([np.zeros(0, np.float32), *(one.confidence for one in found)]),
            "true": np.array([len(one.class_id) for one in self.pictures], np.int64),
            "true_xyxy": np.concatenate([np.zeros((0, 4), np.float32), *(one.xyxy for one in self.pictures)]),
            "true_class": np.concatenate([np.zeros(0, np.int64), *(one.class_id for one in self.pictures)]),
        })  # fmt: skip
        path = folder / SCORES_NAME
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        known[self.split] = self.scores.as_record()
        write_atomic(path, json.dumps(known, indent=1) + "\n")


def read_evaluation(folder: Path, split: str) -> Evaluation:
    """Read what `Evaluation.save` wrote.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is damaged.
    """
    path = folder / evaluation_name(split)
    again = "measure the model: cv evaluate DATASET --weights MODEL"
    try:
        about, arrays = read_arrays(path, again)
    except FileNotFoundError:
        what = f"There is no measurement on '{split}' pictures."
        raise NotFoundError(what, where=path, next_step=again) from None
    try:
        return _from_arrays(about, arrays)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"The measurement cannot be read: {error}", where=path, next_step=again) from None


def _from_arrays(about: dict, arrays: dict[str, np.ndarray]) -> Evaluation:
    ends = np.cumsum(arrays["found"])[:-1]
    true_ends = np.cumsum(arrays["true"])[:-1]
    found = zip(*(np.split(arrays[name], ends) for name in ("xyxy", "class_id", "confidence")), strict=True)
    rows = zip(
        about["images"], arrays["sizes"], found, np.split(arrays["true_xyxy"], true_ends),
        np.split(arrays["true_class"], true_ends), strict=True,
    )  # fmt: skip
    pictures = tuple(
        Picture(Path(image), int(size[0]), int(size[1]), Detections(one[0], one[1].astype(np.int64), one[2]), xyxy, ids)
        for image, size, one, xyxy, ids in rows
    ) if about["images"] else ()  # fmt: skip
    return Evaluation(
        model=about["model"], split=about["split"], names=tuple(about["names"]), pictures=pictures,
        skipped=tuple(Skipped(*entry) for entry in about["skipped"]), thresholds=arrays["thresholds"],
        imgsz=about["imgsz"], protocol=about["protocol"],
    )  # fmt: skip


def evaluation_name(split: str) -> str:
    """The file in a run's folder that `Evaluation.save` writes."""
    return f"evaluation-{split}.npz"


def evaluate_detector(
    bundle: Bundle, dataset: Dataset, split: Split,
    *, device: str = "auto", without: Collection[Path] = (), protocol: Protocol = "predict",
) -> Evaluation:  # fmt: skip
    """Measure a bundle on one split of a dataset.

    Args:
        bundle: A detector.
        dataset: A detection dataset; its classes are matched with the model's by name.
        split: "train", "valid" or "test".
        device: As in `core.device.parse_device`.
        without: Pictures to leave out: those that leak from the training pictures, say.
        protocol: How to count, see `Evaluation`.

    Raises:
        NotFoundError: the split holds no pictures, or none but those left out.
        DataError: the dataset has no class in common with the model, or is not one of boxes.
    """
    check_fits(bundle, dataset)
    items = [item for item in dataset.items(split) if item.image not in without]
    if not items:
        other = " but those left out" if without else ""
        raise NotFoundError(f"The dataset has no '{split}' pictures{other}.", where=dataset.root)
    if protocol == "predict":
        return evaluate_items(bundle, as_used(open_model(bundle, device=device)), dataset, items, split)
    engine = open_engine(bundle, device=device)
    stretched = bundle.record.preprocessing.resize == "stretch"  # which its val does too
    model = Model(bundle, engine, several=True) if stretched else ValModel(bundle, engine, items)
    return replace(evaluate_items(bundle, model, dataset, items, split), protocol=protocol)


def check_fits(bundle: Bundle, dataset: Dataset) -> None:
    """Whether a detector can be measured on a dataset at all; errors as in `evaluate_detector`."""
    if dataset.task != "detect":
        raise DataError(
            f"'{dataset.name}' is a dataset for classifiers: it has classes per picture and no boxes.",
            where=dataset.root,
            next_step="measure a detector on a dataset with boxes",
        )
    if bundle.record.task != "detect":
        raise DataError(
            f"'{dataset.name}' is a dataset for detectors, and '{bundle.name}' is a classifier: it finds no boxes.",
            where=dataset.root,
            next_step="give a dataset with a folder per class (cv crops makes one out of this), or a detector",
        )
    if not set(dataset.names) & set(bundle.record.names):
        raise DataError(
            f"The model and the dataset have no class in common: the model knows {some(bundle.record.names)}, the "
            f"dataset {some(dataset.names)}.",
            where=dataset.root,
            next_step="measure the model on a dataset with its own classes",
        )


def evaluate_items(bundle: Bundle, model: Predictor, dataset: Dataset, items: Sequence[Item], split: str) -> Evaluation:
    """Measure on these pictures of a dataset; a picture that cannot be used is left out and named in the result.

    Args:
        bundle: Whose thresholds and classes count.
        model: What answers for it.
        dataset: Where the items' boxes are.
        items: The pictures.
        split: What they are called.

    Raises:
        DataError: the model is no detector.
    """
    source = PictureSource(f"the {split} pictures", [item.image for item in items])
    record = bundle.record
    strangers = tuple(name for name in dataset.names if name not in record.names)
    names = record.names + strangers
    to_model = np.array([names.index(name) for name in dataset.names], np.int64)
    pictures: list[Picture] = []
    unlabelled: list[Skipped] = []
    with progress(f"measuring on {many(len(items), f'{split} picture')}", len(items)) as advance:
        for prediction in predict_frames(source, model, confidence=LOWEST_CONFIDENCE):
            if not isinstance(prediction.result, Detections):
                raise DataError("This model classifies whole pictures; it finds no boxes.", where=bundle.folder)
            height, width = prediction.frame.bgr.shape[:2]
            item = items[prediction.frame.index]
            boxes, problems = dataset.boxes(item)
            advance(1)
            if spoilt(boxes, problems):
                unlabelled.append(Skipped(str(item.image), "no row of its label file can be used"))
                continue
            xyxy, kept = _inside(boxes.xyxy(width, height), width, height)
            class_id = to_model[boxes.class_id[kept]]
            pictures.append(Picture(item.image, width, height, prediction.result, xyxy, class_id))
    thresholds = np.append(thresholds_of(record), np.ones(len(strangers), np.float32)).astype(np.float32)
    size = record.preprocessing
    return Evaluation(
        bundle.name, split, names, tuple(pictures), (*source.skipped, *unlabelled), thresholds,
        imgsz=max(size.width, size.height),
    )  # fmt: skip


def _inside(xyxy: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes clipped to the picture, as training sees them, and bool `(n,)`: of which something is left."""
    clipped = np.clip(xyxy, 0, np.array([width, height, width, height], np.float32))
    kept = np.isfinite(clipped).all(axis=1) & (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    return clipped[kept], np.asarray(kept)
