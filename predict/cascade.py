"""A classifier behind a detector: what each box holds is named by a second model that looks at nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from ..core.crop import CROP_MARGIN, cut_crop
from ..core.errors import UsageError
from ..core.progress import say
from ..weights.bundle import Bundle
from .ensemble import check_members, open_models
from .model import Model, Predictor
from .results import Classified, Detections, Prediction, Scores
from .tiles import Tiled


class Cascade:
    """Classifies the crops of a detector's boxes, see `Stage`.

    A crop is the box with its margin, cut by the same code as the crops that `cv crops` made for training. The crops of
    all frames of a batch go through the classifier together.

    Args:
        model: A classifier, or several as one.
        confidence: Below it the answer is "unknown", 0..1; None takes the thresholds that the classifier was made with.
        margin: As in `core.crop.crop_place`.
    """

    name = "classify"

    def __init__(self, model: Predictor, *, confidence: float | None = None, margin: float = CROP_MARGIN) -> None:
        self.model, self.margin = model, margin
        self._confidence = confidence

    def asks(self, confidence: float | None) -> float | None:
        """See `Stage.asks`."""
        return confidence

    def apply(self, predictions: Sequence[Prediction]) -> list[Detections | Scores]:
        """See `Stage.apply`; detections get their `classified`, a classifier's scores stay as they are."""
        crops = (
            cut_crop(one.frame.bgr, box, self.margin)
            for one in predictions
            if isinstance(one.result, Detections)
            for box in one.result.xyxy
        )
        answers = self._classify(crops)
        return [
            self._with_answers(one.result, list(islice(answers, len(one.result))))
            if isinstance(one.result, Detections)
            else one.result
            for one in predictions
        ]

    def _classify(self, crops: Iterator[np.ndarray]) -> Iterator[tuple[int, float]]:
        """Class, -1 for "unknown", and confidence of each crop; no more than a few batches are in memory."""
        batches = ((batch, batch) for batch in self._prepared(crops))
        for batch, answers in self.model.stream(batches):
            for raw, one in zip(answers, batch, strict=True):
                scores = self.model.decode(raw, one, self._confidence)
                if not isinstance(scores, Scores):
                    raise UsageError(_not_a_classifier(self.model.name), where="--classifier")
                best = scores.class_id
                yield -1 if best is None else best, scores.confidence

    def _prepared(self, crops: Iterator[np.ndarray]) -> Iterator[list[Any]]:
        while batch := [self.model.prepare(crop) for crop in islice(crops, self.model.batch)]:
            yield batch

    def _with_answers(self, found: Detections, answers: list[tuple[int, float]]) -> Detections:
        said = Classified(
            self.model.names,
            np.array([class_id for class_id, _ in answers], np.int64),
            np.array([confidence for _, confidence in answers], np.float32),
        )
        return replace(found, classified=said)


def open_cascade(
    detector: Predictor,
    bundles: Sequence[Bundle],
    *,
    confidence: float | None = None,
    engine: str = "auto",
    device: str = "auto",
) -> Cascade:
    """A stage that classifies what a detector finds.

    Args:
        detector: The model whose boxes it gets.
        bundles: A classifier, or several of the same classes as one.
        confidence: As in `Cascade`.
        engine: Of the classifier, as in `open_engine`.
        device: Likewise.

    Raises:
        UsageError: the model in front is a classifier, or one behind it is a detector, or they were given the wrong way
            round.
        LensmithError: see `open_models`.
    """
    check_cascade(detector.name, bundles, finds_boxes=is_detector(detector))
    margin = _margin_of(bundles)
    model = open_models(bundles, engine=_engine_behind(detector, engine), device=device)
    return Cascade(model, confidence=confidence, margin=margin)


def check_cascade(front: str, bundles: Sequence[Bundle], *, finds_boxes: bool) -> None:
    """Whether a detector is in front and classifiers are behind it; errors as in `open_cascade`.

    Args:
        front: The name of the model in front.
        bundles: What is to be behind it.
        finds_boxes: Whether the model in front is a detector.
    """
    wrong = [bundle.name for bundle in bundles if bundle.record.task == "detect"]
    if finds_boxes:
        if wrong:
            raise UsageError(
                _not_a_classifier(wrong[0]), where="--classifier",
                next_step="give a classifier's name, which `cv finetune` made; `cv weights` lists them",
            )  # fmt: skip
        if len(bundles) > 1:
            check_members(bundles)
        return
    swapped = f"the other way round: --weights {wrong[0]} --classifier {front}" if wrong else None
    raise UsageError(
        f"'{front}' is a classifier, and --classifier needs a detector's boxes to look at.",
        where="--weights",
        next_step=swapped or "give a detector with --weights; a classifier alone needs no --classifier",
    )


def is_detector(model: Predictor) -> bool:
    """Whether a model gives boxes: a detector, in tiles or not."""
    return isinstance(model, (Model, Tiled)) and model.bundle.record.task == "detect"


def _engine_behind(detector: Predictor, engine: str) -> str:
    """The engine of the classifier, where this one was asked for."""
    if detector.engine_name == "ultralytics" and detector.device == "cpu":
        return "onnxruntime"  # Keras has TensorFlow on a CPU, and in one process with torch that ends it
    return "auto" if engine == "ultralytics" else engine


def _margin_of(bundles: Sequence[Bundle]) -> float:
    """The margin of the crops that the classifiers learned from."""
    known = [bundle.record.classifier.crop_margin for bundle in bundles if bundle.record.classifier]
    margins = sorted({margin for margin in known if margin is not None})
    if not margins:
        names = " and ".join(f"'{bundle.name}'" for bundle in bundles)
        say(
            f"{names} does not say with how much around each box it was trained: crops get a margin of "
            f"{CROP_MARGIN:.0%}, as `cv crops` gives them"
        )
        return CROP_MARGIN
    if len(margins) > 1:
        raise UsageError(
            "The classifiers were trained on crops with different margins: "
            + ", ".join(f"{m:g}" for m in margins)
            + ".",
            where="--classifier",
            next_step="give classifiers that were trained on the same crops",
        )
    return margins[0]


def _not_a_classifier(name: str) -> str:
    return f"'{name}' is a detector, and --classifier is for a model that names what is in a detector's boxes."
