"""A classifier whose reasons are known: "red" because of red pixels, "blue" because of blue ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lensmith.weights.bundle import Bundle, BundleRecord, ClassifierRecord, Preprocessing, write_bundle

SIZE = 64
NAMES = ("blue", "<green>", "red")  # as BGR
BLUE, GREEN, RED = 0, 1, 2


def make_colour_bundle(folder: Path, *, letterbox: bool = False, **record: Any) -> Bundle:
    """The small network of five blocks, each of which hands on blue, green and red in its first three channels.

    The head takes their means, so the score of a class is how much of its colour the picture has.
    """
    from lensmith.predict.engines.keras import NATIVE_NAME, predict_probabilities
    from lensmith.weights.architecture import build_classifier, import_keras

    import_keras("cpu")
    classifier = ClassifierRecord(backbone="cnn", units=4, dropout=0.0, unfrozen_from="block4_conv", stage="tuned")
    model = build_classifier(classifier, SIZE, SIZE, len(NAMES))
    for layer in model.layers:
        weights = [np.zeros(weight.shape, np.float32) for weight in layer.get_weights()]
        if layer.name.endswith("_conv"):
            for channel in range(3):
                colour = 2 - channel if layer.name == "block1_conv" else channel  # RGB
                weights[0][1, 1, colour, channel] = 1
            layer.set_weights(weights)
        elif layer.name.startswith("head_") and weights:
            weights[0][:3, :3] = np.eye(3) * (4 if layer.name == "head_classes" else 1)
            layer.set_weights(weights)
    resize: Any = "letterbox" if letterbox else "stretch"
    kept = BundleRecord(
        name=folder.name, task="classify", names=NAMES, classifier=classifier, confidence=0.0,
        preprocessing=Preprocessing(width=SIZE, height=SIZE, resize=resize, interpolation="area"),
    ).model_copy(update=record)  # fmt: skip
    inputs = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    folder.parent.mkdir(parents=True, exist_ok=True)
    golden = (inputs, predict_probabilities(model, inputs))
    return write_bundle(folder, kept, lambda place: model.save(place / NATIVE_NAME), golden=golden)


def scene(width: int, height: int, *spots: tuple[int, int, int]) -> np.ndarray:
    """A black picture with squares of a quarter of the shorter side: their middle (x, y) and their channel."""
    bgr = np.zeros((height, width, 3), np.uint8)
    half = min(width, height) // 8
    for x, y, channel in spots:
        bgr[max(y - half, 0) : y + half, max(x - half, 0) : x + half, channel] = 255
    return bgr
