"""A classifier over 128 photographs: every engine says what Keras says.

The tolerance that is promised: each probability within 0.02, and within 0.05 where the engine computes in 16 bits; the
same class for 99 of 100. (Seen: 0.000004 and 0.04, on a backbone with random weights; the same class for all.)
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.images import read_image
from lensmith.predict.engines.choose import open_engine
from lensmith.predict.prepare import fit
from lensmith.weights.bundle import Bundle, BundleRecord, ClassifierRecord, Preprocessing, write_bundle

_PHOTOGRAPHS = 128
_SIDE = 96
_TOLERANCE = {"f32": 0.02, "bf16": 0.05}


def _photographs(data: Path, count: int) -> tuple[list[Path], np.ndarray]:
    """So many pets, spread over the folder of each class, and int64 `(count,)`: which are dogs."""
    folders = [data / "classify" / "catsdogs" / "train" / name for name in ("cats", "dogs")]
    paths = [sorted(folder.iterdir()) for folder in folders]
    chosen = [every[i] for every in paths for i in np.linspace(0, len(every) - 1, count // 2).astype(int)]
    return chosen, np.repeat([0, 1], count // 2)


def _bundle(place: Path, pictures: np.ndarray, is_dog: np.ndarray) -> Bundle:
    """Xception with random weights under a last layer that is fitted to these pictures, so that it is sure of some."""
    from lensmith.classify.export import export_portable
    from lensmith.predict.engines.keras import as_rgb, predict_probabilities
    from lensmith.weights.architecture import build_classifier, import_keras

    keras, _ = import_keras("cpu")
    keras.utils.set_random_seed(0)
    record = BundleRecord(
        name="pets", task="classify", names=("cat", "dog"),
        preprocessing=Preprocessing(width=_SIDE, height=_SIDE, resize="stretch", interpolation="area"),
        classifier=ClassifierRecord(backbone="xception", units=64, dropout=0.0, normalize=True, weights="none"),
    )  # fmt: skip
    assert record.classifier is not None
    model = build_classifier(record.classifier, _SIDE, _SIDE, 2)
    hidden = keras.Model(model.inputs, model.layers[-1].input).predict(as_rgb(pictures), verbose=0).astype(np.float64)
    centre, spread = hidden.mean(axis=0), hidden.std(axis=0) + 1e-9
    table = np.hstack([(hidden - centre) / spread, np.ones((len(hidden), 1))])
    slope = np.linalg.solve(table.T @ table + np.eye(table.shape[1]), table.T @ (4.0 * is_dog - 2))
    weights = slope[:-1] / spread
    kernel = np.stack([-weights, weights], axis=1) / 2
    bias = np.array([-1, 1]) * (slope[-1] - centre @ weights) / 2
    model.layers[-1].set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    golden = pictures[[0, -1]]
    outputs = predict_probabilities(model, golden)  # Keras exports only a model that has run
    work = place / "work"
    work.mkdir()
    model.save(work / "model.keras")
    export_portable(model, record, work / "model.keras", work / "model.onnx")

    def fill(folder: Path) -> None:
        for name in ("model.keras", "model.onnx"):
            shutil.copyfile(work / name, folder / name)

    return write_bundle(place / "pets", record, fill, golden=(golden, outputs))


@pytest.mark.slow
@pytest.mark.keras
def test_every_engine_says_what_keras_says(tmp_path: Path, test_data: Path) -> None:
    paths, is_dog = _photographs(test_data, _PHOTOGRAPHS)
    size = Preprocessing(width=_SIDE, height=_SIDE, resize="stretch", interpolation="area")
    pictures = np.stack([fit(read_image(path), size)[0] for path in paths])
    bundle = _bundle(tmp_path, pictures, is_dog)
    answers, tolerance = {}, {}
    for name in ("keras", "onnxruntime", "openvino"):
        engine = open_engine(bundle, engine=name, device="cpu")
        tolerance[name] = _TOLERANCE[engine.precision]
        parts = ((None, pictures[at : at + engine.batch]) for at in range(0, len(pictures), engine.batch))
        answers[name] = np.concatenate([answer for _, answer in engine.stream(parts)])
    expected = answers.pop("keras")
    assert expected.max(axis=1).max() > 0.9  # it has something to say
    assert expected.max(axis=1).min() < 0.7
    for name, found in answers.items():
        assert np.abs(found - expected).max() <= tolerance[name], name
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.99, name
