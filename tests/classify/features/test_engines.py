"""What computes features gives what the model gives, in the promised precision, whatever is missing or full."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lensmith.classify.features import engines, keras_features, rows
from lensmith.classify.features.compute import compute_features
from lensmith.classify.features.cut import Cut, cut_model
from lensmith.core.errors import DataError
from lensmith.datasets.model import Item
from lensmith.weights.architecture import build_classifier, import_keras
from lensmith.weights.bundle import ClassifierRecord
from tests.classify.features.test_compute import CONFIG, compute, difference, run, samples_of

pytestmark = pytest.mark.keras


def test_keras_computes_where_openvino_is_missing_or_gives_something_else(
    pictures: list[Item], model: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    graph_of_keras = engines.graph_of_keras
    keras, _ = import_keras("cpu")
    other = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(256, 16, strides=16)])

    def broken(trunk: Any) -> Any:
        raise RuntimeError(f"no operation for {trunk.name}")

    for fingerprint, name, value, said in (
        ("missing", "has_openvino", lambda: False, "not installed"),
        ("other", "graph_of_keras", lambda _trunk: graph_of_keras(other), "differ from Keras'"),
        ("broken", "graph_of_keras", broken, "no operation for"),
    ):
        cut = cut_model(model, "block5_conv")
        with monkeypatch.context() as patch:
            patch.setattr(engines, name, value)
            features = compute(pictures, cut, replace(CONFIG, fingerprint=fingerprint))
        assert features.engine == "keras"
        assert said in capfd.readouterr().err.replace("\n", " ")
        plain = [samples_of(pictures).plain(n) for n in range(12)]
        assert difference(features.batch(np.arange(12), 0)[0], run(cut, *plain)) < 1e-5


@pytest.mark.parametrize("limit", [1.0, 0.0])
def test_16_bits_are_used_only_where_they_are_close(
    limit: float, pictures: list[Item], model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not engines.has_bf16():
        pytest.skip("this CPU has no units for 16 bits")
    monkeypatch.setattr(engines, "_WORTH_A_PROBE", 1)
    monkeypatch.setattr(engines, "MOST_DIFFERENCE_16", limit)
    monkeypatch.setattr(engines, "_timed", lambda engine, x: (engine.infer(x), 8.0 / len(engine.precision)))
    features = compute(pictures, cut_model(model, "block5_conv"), replace(CONFIG, precise=False))
    assert features.engine == ("openvino bf16" if limit else "openvino f32")


def test_what_16_bits_cannot_hold_is_kept_in_32(
    pictures: list[Item], model: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    keras, _ = import_keras("cpu")
    monkeypatch.setattr(rows, "_SMALL_BYTES", 0)
    monkeypatch.setattr(rows, "_LARGEST_HALF", float("inf"))  # as where the probe's pictures give less than others
    rgb = keras.Input((32, 32, 3))
    trunk = keras.Model(rgb, keras.layers.Conv2D(2, 16, strides=16, kernel_initializer="ones")(rgb))
    large = Cut(trunk, keras.Sequential([keras.Input((2, 2, 2)), keras.layers.Flatten()]), "conv")
    features = compute(pictures, large, replace(CONFIG, precise=False))
    assert features._stored.layout.dtype == "float32"
    assert "too large for 16 bits" in capfd.readouterr().err
    x, _ = features.batch(np.arange(12), 0)
    assert np.abs(x).max() > 65504
    assert difference(x, run(large, *(samples_of(pictures).plain(n) for n in range(12)))) < 1e-4
    kernel = trunk.layers[-1].kernel
    kernel.assign(np.full(kernel.shape, np.nan, np.float32))
    with pytest.raises(DataError, match="no number for picture 1"):
        compute(pictures, large)


def test_a_model_with_a_mixed_policy_gives_features_of_32_bits(pictures: list[Item], model: Any) -> None:
    keras, _ = import_keras("cpu")
    before = keras.mixed_precision.dtype_policy()
    try:
        keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
        mixed = build_classifier(ClassifierRecord(backbone="cnn", units=8, dropout=0.1), 32, 32, 2)
        mixed.set_weights(model.get_weights())
        for first in ("block5_conv", None):
            at, deeper = cut_model(mixed, first), cut_model(mixed, "block4_conv")
            plain = [samples_of(pictures).plain(n) for n in range(12)]
            expected = run(cut_model(model, first), *plain)
            assert difference(run(at, *plain), expected) > 1e-3
            got = compute_features(samples_of(pictures), at, CONFIG, deeper).batch(np.arange(12), 0)[0]
            assert difference(got, expected) < 1e-4
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def test_batches_that_do_not_fit_into_memory_are_halved(
    pictures: list[Item], cut: Cut, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engines, "has_openvino", lambda: False)
    run_all = keras_features.KerasFeatures._run

    def small(engine: keras_features.KerasFeatures, inputs: np.ndarray) -> np.ndarray:
        if len(inputs) > limit:
            raise MemoryError
        return run_all(engine, inputs)

    monkeypatch.setattr(keras_features.KerasFeatures, "_run", small)
    limit = 3
    expected = run(cut, *(samples_of(pictures).plain(n) for n in range(12)))
    engines._chosen.clear()
    got = compute(pictures, cut).batch(np.arange(12), 0)[0]
    assert difference(got, expected) < 1e-5
    said = capfd.readouterr().err
    assert "computed 4 at a time" in said or "computed 2 at a time" in said
    limit = 0
    engines._chosen.clear()
    with pytest.raises(MemoryError):
        compute(pictures, cut, replace(CONFIG, fingerprint="none"))
