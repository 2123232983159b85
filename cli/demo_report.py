"""The page that `cv demo` ends with."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.progress import say

if TYPE_CHECKING:
    import numpy as np

    from ..classify.metrics import ClassifierScores
    from ..core.workspace import Workspace
    from ..datasets.model import Dataset
    from ..detect.metrics import DetectorScores
    from ..predict.results import Prediction
    from ..report.bootstrap import Figure
    from ..report.page import Page
    from ..weights.bundle import Bundle

_SHOWN = 8
_SHOWN_PIXELS = 480


@dataclass(frozen=True)
class DemoNames:
    """What the demo's datasets and bundles are called."""

    scenes: str
    crops: str
    detector: str
    classifier: str


def write_demo_report(workspace: Workspace, names: DemoNames, target: Path) -> Path:
    """Measure both models on the test split through the predict loop, and write the page.

    Both models run as ONNX, so neither torch nor TensorFlow is loaded.
    """
    from ..classify.evaluate import evaluate_classifier
    from ..datasets.read import open_dataset
    from ..detect.evaluate import evaluate_detector
    from ..report.page import Page
    from ..weights.bundle import open_bundle

    scenes, crops = open_dataset(names.scenes, workspace), open_dataset(names.crops, workspace)
    detector, classifier = open_bundle(names.detector, workspace), open_bundle(names.classifier, workspace)
    boxes = evaluate_detector(detector, scenes, "test", device="cpu").scores
    classes = evaluate_classifier(classifier, crops, "test", device="cpu").scores
    page = Page(
        "From pictures to models that run",
        "Handwritten digits were scattered over scenes, a detector and a classifier learned them from random weights, "
        "and both were measured on digits that training never saw.",
    )
    page.numbers([
        ("Detector, mAP50", _value(boxes.map50), f"{boxes.boxes} digits in {boxes.pictures} scenes it never saw"),
        ("Detector, mAP50-95", _value(boxes.map50_95), "the same, with boxes that must fit closely"),
        ("Classifier, accuracy", f"{classes.accuracy.value:.3f}", f"{classes.pictures} digits it never saw"),
    ])  # fmt: skip
    _tell_data(page, scenes, crops)
    _tell_detector(page, detector, scenes, boxes, workspace)
    _tell_classifier(page, classifier, crops, classes, workspace)
    page.section(
        "What now",
        "Do the same with your own pictures: cv pull-dataset, cv train-yolo or cv finetune, cv predict, cv live. "
        "Each explains itself with --help.",
    )
    say(f"  {target}")
    return page.write(target)


def _value(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:.3f}"


def _tell_data(page: Page, scenes: Dataset, crops: Dataset) -> None:
    page.section(
        "The data",
        "1,797 digits of 8 x 8 pixels (Alpaydin and Kaynak, UCI Machine Learning Repository, CC BY 4.0). They were "
        "divided into train, valid and test before they were scattered, so no digit is on two sides.",
    )
    rows = [[d.name, *(d.count(split) for split in ("train", "valid", "test"))] for d in (scenes, crops)]
    page.table(["dataset", "train", "valid", "test"], rows, "Pictures in each split.")
    page.pictures(_truth(scenes), "Training scenes with the boxes that the detector learns from.", width=220)


def _tell_detector(page: Page, bundle: Bundle, scenes: Dataset, scores: DetectorScores, workspace: Workspace) -> None:
    from ..report import plots

    family = bundle.record.detector.family if bundle.record.detector else "YOLO"
    page.section("The detector", f"{family}, from random weights, {bundle.record.preprocessing.width} pixels.")
    curves = _detector_curves(workspace.runs / (bundle.record.run or ""))
    if curves:
        page.plot(plots.curves(curves, x_label="epoch", y_label="on the validation scenes"), "While it was training.")
    average = {name: values[0] for name, values in scores.per_class.items()}
    page.plot(plots.bars(average, x_label="AP50 on the test scenes"), "How well each digit is found.")
    page.pictures(_predicted(bundle, scenes), "Test scenes with what the detector found, not selected.", width=220)


def _tell_classifier(
    page: Page, bundle: Bundle, crops: Dataset, scores: ClassifierScores, workspace: Workspace
) -> None:
    from ..report import plots

    page.section(
        "The classifier", "A small convolutional network, trained from scratch on digits cut out of the scenes."
    )
    history = _history(workspace.runs / (bundle.record.run or ""))
    if history:
        lines = {"training": [r["accuracy"] for r in history], "validation": [r["val_accuracy"] for r in history]}
        frozen = sum(row["stage"] == "frozen" for row in history)
        page.plot(
            plots.curves(lines, x_label="epoch", y_label="accuracy", marks={frozen: "unfrozen"} if frozen else {})
        )
    page.plot(
        plots.confusion_matrix(scores.confusion, bundle.record.names), "What was taken for what, on the test split."
    )
    page.pictures(_predicted(bundle, crops), "Test pictures with the classifier's answer, not selected.", width=110)


def _truth(dataset: Dataset) -> list[tuple[np.ndarray, str]]:
    import numpy as np

    from ..core.images import read_image
    from ..predict.draw import draw
    from ..predict.results import Detections, Frame, Prediction

    shown = []
    for item in islice(dataset.items("train"), _SHOWN):
        bgr = read_image(item.image)
        boxes, _ = dataset.boxes(item)
        sure = np.ones(len(boxes), np.float32)
        truth = Detections(boxes.xyxy(bgr.shape[1], bgr.shape[0]), boxes.class_id, sure)
        prediction = _enlarged(Prediction(Frame(bgr, item.image.name), truth))
        shown.append((draw(prediction, dataset.names), item.image.stem))
    return shown


def _predicted(bundle: Bundle, dataset: Dataset) -> list[tuple[np.ndarray, str]]:
    from ..predict.draw import draw
    from ..predict.loop import predict_frames
    from ..predict.model import open_model
    from ..predict.sources import PictureSource

    items = list(dataset.items("test"))
    chosen = items[:: max(len(items) // _SHOWN, 1)][:_SHOWN]
    source = PictureSource(dataset.name, [item.image for item in chosen])
    predictions = predict_frames(source, open_model(bundle, device="cpu"))
    return [
        (draw(_enlarged(prediction), bundle.record.names), Path(prediction.frame.source).stem)
        for prediction in predictions
    ]


def _enlarged(prediction: Prediction) -> Prediction:
    """The same on a picture of at least 400 pixels, so that the labels do not cover what they are about."""
    import cv2

    from ..predict.results import Detections

    bgr = prediction.frame.bgr
    factor = max(round(_SHOWN_PIXELS / min(bgr.shape[:2])), 1)
    large = cv2.resize(bgr, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    result = prediction.result
    if isinstance(result, Detections):
        result = replace(result, xyxy=result.xyxy * factor)
    return replace(prediction, frame=replace(prediction.frame, bgr=large), result=result)


def _detector_curves(run: Path) -> dict[str, list[float]]:
    """The mAP by epoch, from Ultralytics' results.csv; nothing when the run's folder was removed."""
    found = sorted(run.rglob("results.csv"))
    if not found:
        return {}
    with found[0].open(encoding="utf-8", newline="") as file:
        rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(file)]
    columns = {"mAP50": "metrics/mAP50(B)", "mAP50-95": "metrics/mAP50-95(B)"}
    return {name: [float(row[column]) for row in rows] for name, column in columns.items()}


def _history(run: Path) -> list[dict]:
    path = run / "history.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
