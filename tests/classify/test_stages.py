"""What the two stages change and what they leave alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.classify.config import FinetuneConfig
from lensmith.classify.data import Samples
from lensmith.classify.epochs import without_lone
from lensmith.classify.freezing import freeze
from lensmith.classify.stage_data import Pictures, open_stage
from lensmith.classify.stages import Stage, StageData, Training
from lensmith.core.errors import LensmithError
from lensmith.datasets.model import Dataset, Item
from lensmith.weights.architecture import base_layers, build_classifier, import_keras
from lensmith.weights.bundle import ClassifierRecord, Preprocessing
from lensmith.weights.keras_files import load_all_layers
from tests.helpers import make_picture

pytestmark = pytest.mark.keras


def build(backbone: str, size: int) -> Any:
    import_keras("cpu")
    return build_classifier(ClassifierRecord(backbone=backbone, units=8, dropout=0.2), size, size, 2)


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    items = [Item(make_picture(tmp_path / f"{i}.png", seed=i), "train", class_id=i % 2) for i in range(4)]
    return Samples(items, Preprocessing(width=71, height=71, resize="stretch"))


def weights_by_layer(model: Any) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def changed(before: dict[str, list[np.ndarray]], after: dict[str, list[np.ndarray]]) -> set[str]:
    return {name for name in before if any(not np.array_equal(a, b) for a, b in zip(before[name], after[name]))}  # noqa: B905


def config(**options: Any) -> FinetuneConfig:
    return FinetuneConfig(**{"weights": Path("some.h5"), "batch": 2, "augment": "none", **options}).resolved()


def test_stages_change_what_they_say_and_no_batch_statistics(samples: Samples, tmp_path: Path) -> None:
    model = build("xception", 71)
    data = StageData(model, samples, samples)
    start = weights_by_layer(model)
    seen: list[dict[str, list[np.ndarray]]] = []
    training = Training(model, tmp_path, config())
    training.told = lambda _epoch: seen.append(weights_by_layer(model))
    training.run_stage(Stage("frozen", 1, 1e-2), data)
    assert changed(start, seen[0]) == {"head_hidden", "head_classes"}
    assert len(base_layers(model)) == 131
    training.run_stage(Stage("tuned", 1, 1e-2, "block14_sepconv1"), data)
    assert changed(seen[0], seen[1]) == {"block14_sepconv1", "block14_sepconv2", "head_hidden", "head_classes"}
    training.keep_best()
    kept = build("xception", 71)
    load_all_layers(kept, training.checkpoint)
    best = seen[1] if training.best is not None and training.best.stage == "tuned" else seen[0]
    assert not changed(best, weights_by_layer(kept))


def test_a_loss_that_is_no_number_at_once_ends_the_run(samples: Samples, tmp_path: Path) -> None:
    model = build("xception", 71)
    model.get_layer("head_classes").bias.assign([float("nan")] * 2)
    with pytest.raises(LensmithError, match="no longer a number") as caught:
        Training(model, tmp_path, config()).run_stage(Stage("frozen", 1, 1e-3), StageData(model, samples, samples))
    assert "--lr-frozen" in str(caught.value)


@pytest.fixture
def small() -> Any:
    """A network that a step takes milliseconds of, with weights that count as learned before."""
    import_keras("cpu")
    return build_classifier(ClassifierRecord(backbone="cnn", units=8, dropout=0.2), 16, 16, 2)


def small_samples(folder: Path, count: int = 8) -> Samples:
    items = [Item(make_picture(folder / f"{i}.png", seed=i), "train", class_id=i % 2) for i in range(count)]
    return Samples(items, Preprocessing(width=16, height=16, resize="stretch"))


def test_a_loss_that_stops_being_a_number_ends_training_with_the_best_epoch(
    small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = small_samples(tmp_path)
    training = Training(small, tmp_path, config(lr_tune=9.9, optimizer="sgd"))
    data = StageData(small, samples, samples)
    training.run_stage(Stage("frozen", 2, 1e-3), data)
    training.told = lambda _epoch: small.get_layer("head_classes").bias.assign([float("inf")] * 2)
    training.run_stage(Stage("tuned", 5, 1e-3, "block5_conv"), data)
    assert training.progress.stopped is not None
    assert "--lr-tune" in capsys.readouterr().err
    assert len(training.history) == 3
    assert training.is_over(Stage("tuned", 5, 1e-3, "block5_conv"))
    training.keep_best()
    kept = load_all(training.checkpoint)
    assert all(np.isfinite(value).all() for values in kept.values() for value in values)


def load_all(path: Path) -> dict[str, list[np.ndarray]]:
    model = build_classifier(ClassifierRecord(backbone="cnn", units=8, dropout=0.2), 16, 16, 2)
    load_all_layers(model, path)
    return weights_by_layer(model)


def test_a_batch_that_does_not_fit_is_halved(
    small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step raises TensorFlow's own error for batches of more than two, from the second epoch on."""
    from tensorflow import errors

    samples = small_samples(tmp_path)
    training = Training(small, tmp_path, config(batch=8))
    real, sizes = small.train_on_batch, []

    def tight(x: np.ndarray, *arguments: Any, **options: Any) -> Any:
        if len(x) > 2 and sizes:
            raise errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        sizes.append(len(x))
        return real(x, *arguments, **options)

    monkeypatch.setattr(small, "train_on_batch", tight)
    training.run_stage(Stage("frozen", 3, 1e-3), StageData(small, samples, samples))
    assert sizes == [8] + 2 * [2, 2, 2, 2]
    assert [epoch.epoch for epoch in training.history] == [1, 2, 3]
    said = capsys.readouterr().err
    assert "going on with 4" in said
    assert "going on with 2" in said


def test_where_classes_are_evened_out_epochs_are_compared_by_balanced_accuracy(
    small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [Item(make_picture(tmp_path / f"{i}.png", seed=i), "train", class_id=int(i < 2)) for i in range(8)]
    samples = Samples(items, Preprocessing(width=16, height=16, resize="stretch"))
    small.get_layer("head_classes").bias.assign([90.0, 0.0])  # it says the common class whatever it sees
    training = Training(small, tmp_path, config(balance="weights"))
    training.run_stage(Stage("frozen", 1, 1e-6), StageData(small, samples, samples))
    (row,) = training.history
    assert row.val_accuracy == 0.75
    assert row.score[0] == row.val_balanced_accuracy == 0.5
    assert "(balanced 0.500)" in capsys.readouterr().err


def test_what_enters_the_head_is_standard_from_the_first_step_with_any_batch(tmp_path: Path) -> None:
    import keras

    import_keras("cpu")
    record = ClassifierRecord(backbone="cnn", units=8, dropout=0.2, normalize=True)
    model = build_classifier(record, 16, 16, 2)
    samples = small_samples(tmp_path, 5)
    pooled = keras.Model(model.inputs, model.get_layer("head_norm").input)
    entering = keras.Model(model.inputs, model.get_layer("head_norm").output)
    expected = np.asarray(pooled.predict_on_batch(samples.batch(np.arange(5), 0)[0])).mean(axis=0)
    training = Training(model, tmp_path, config(batch=1))
    head = model.get_layer("head_hidden").get_weights()[0]
    training.run_stage(Stage("frozen", 1, 1e-2), StageData(model, samples, samples))
    assert np.allclose(model.get_layer("head_norm").moving_mean, expected, atol=1e-4)
    entered = np.asarray(entering.predict_on_batch(samples.batch(np.arange(5), 0)[0]))
    assert np.abs(entered.mean(axis=0)).max() < 1e-3
    assert not np.array_equal(head, model.get_layer("head_hidden").get_weights()[0])
    training.restore_best()
    assert np.allclose(model.get_layer("head_norm").moving_mean, expected, atol=1e-4)


def test_a_lone_last_item_joins_the_batch_before() -> None:
    parts = [np.arange(3), np.arange(3, 6), np.array([6])]
    assert [part.tolist() for part in without_lone(parts)] == [[0, 1, 2], [3, 4, 5, 6]]
    assert without_lone(parts[:2]) == parts[:2]
    assert len(without_lone([part[:1] for part in parts])) == 3


def test_features_and_pictures_give_the_same_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CV_CACHE", str(tmp_path / "cache"))
    items = small_samples(tmp_path).items
    place = Preprocessing(width=32, height=32, resize="stretch")
    dataset = Dataset("pets", tmp_path, "classify", ("cat", "dog"), "folder", lambda split: iter(items))
    start = build("vgg16", 32)
    curves: list[list[tuple[float, ...]]] = []
    for cache in (True, False):
        options = config(backbone="vgg16", cache=cache, precise=True)
        model = build("vgg16", 32)
        model.set_weights(start.get_weights())
        run = tmp_path / str(cache)
        run.mkdir()
        pictures = Pictures(dataset, options, place, items, items, "valid")
        training = Training(model, run, options)
        for stage in (Stage("frozen", 2, 1e-3), Stage("tuned", 2, 1e-4, "block5_conv1")):
            with open_stage(model, stage, pictures, "0") as data:
                assert (data.network is model) is not cache
                training.run_stage(stage, data)
        curves.append([(row.loss, row.accuracy, row.val_loss, row.val_accuracy) for row in training.history])
    assert np.allclose(*curves, atol=2e-3)


def test_freezing_spares_batch_normalization() -> None:
    model = build("xception", 71)
    freeze(model, "block13_sepconv1")
    learning = {layer.name for layer in base_layers(model) if layer.trainable and layer.weights}
    assert {"block13_sepconv1", "block14_sepconv2", "conv2d_3"} <= learning
    assert not any("bn" in name or "batch_normalization" in name for name in learning)
    assert "block12_sepconv3" not in learning
