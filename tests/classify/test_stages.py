"""What the two stages change and what they leave alone; weights that come from files."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.classify.config import FinetuneConfig
from lensmith.classify.data import Samples
from lensmith.classify.freezing import freeze
from lensmith.classify.stage_data import Pictures, open_stage
from lensmith.classify.stages import Stage, StageData, Training
from lensmith.core.errors import DataError, LensmithError, NotFoundError
from lensmith.datasets.model import Dataset, Item
from lensmith.weights.architecture import base_layers, build_classifier, import_keras
from lensmith.weights.backbones import BACKBONES
from lensmith.weights.bundle import ClassifierRecord, Preprocessing
from lensmith.weights.imagenet import imagenet_weights
from lensmith.weights.keras_files import load_all_layers, load_layers
from tests.helpers import make_picture

pytestmark = pytest.mark.keras


def build(backbone: str, size: int) -> Any:
    import_keras("cpu")
    return build_classifier(ClassifierRecord(backbone=backbone, units=8, dropout=0.2), size, size, 2)


@pytest.fixture(scope="module")
def vgg16() -> Any:
    return build("vgg16", 32)


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


def test_preparation_is_in_the_graph(vgg16: Any) -> None:
    keras = __import__("keras")
    red = np.zeros((1, 32, 32, 3), np.float32)
    red[..., 0] = 255
    for model, expected in ((vgg16, [-103.939, -116.779, 255 - 123.68]), (build("xception", 71), [1, -1, -1])):
        size = model.inputs[0].shape[1]
        prepare = keras.Model(model.inputs, model.get_layer("prepare").output)
        pixel = prepare.predict(np.resize(red, (1, size, size, 3)), verbose=0)[0, 0, 0]
        assert pixel == pytest.approx(expected, abs=1e-3)


def test_the_same_record_gives_the_same_names() -> None:
    names = [[layer.name for layer in build("xception", 71).layers] for _ in range(2)]
    assert names[0] == names[1]
    assert "conv2d" in names[0]


@pytest.mark.parametrize("kind", ["weights.h5", "keras"])
def test_weights_of_the_bare_backbone_load_by_name(kind: str, vgg16: Any, tmp_path: Path) -> None:
    keras = __import__("keras")
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(48, 48, 3))
    path = tmp_path / f"base.{kind}"
    (base.save_weights if kind == "weights.h5" else base.save)(path)
    loaded = load_layers(base_layers(vgg16), path)
    assert (len(loaded.layers), loaded.missing) == (13, ())
    ours, theirs = vgg16.get_layer("block4_conv2"), base.get_layer("block4_conv2")
    assert np.array_equal(ours.get_weights()[0], theirs.get_weights()[0])


def legacy_file(path: Path, base: Any, skip: int = 0) -> Path:
    """A file as Keras 1 wrote it, with that version's names."""
    import h5py

    layers = [layer for layer in base.layers if layer.weights][skip:]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [f"convolution2d_{i}".encode() for i in range(len(layers))]
        for number, layer in enumerate(layers):
            group = file.create_group(f"convolution2d_{number}")
            group.attrs["weight_names"] = [f"w{i}".encode() for i in range(len(layer.weights))]
            for i, value in enumerate(layer.get_weights()):
                group[f"w{i}"] = value
    return path


def test_a_mirror_with_a_file_of_an_old_keras(vgg16: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = __import__("keras")
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    published = BACKBONES["vgg16"].weights
    assert published is not None
    path = legacy_file(mirror / published.name, base)
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", str(mirror))
    with pytest.raises(DataError, match="not the file that Keras published"):
        imagenet_weights(BACKBONES["vgg16"])
    changed_sum = replace(published, checksum=hashlib.md5(path.read_bytes()).hexdigest())
    known = replace(BACKBONES["vgg16"], weights=changed_sum)
    cached = imagenet_weights(known)
    path.unlink()
    assert imagenet_weights(known) == cached  # the second time from the cache
    assert load_layers(base_layers(vgg16), cached).missing == ()
    assert np.array_equal(vgg16.get_layer("block5_conv3").get_weights()[0], base.layers[-2].get_weights()[0])
    with pytest.raises(NotFoundError, match="has no file"):
        imagenet_weights(BACKBONES["xception"])


def hostile_files(folder: Path) -> dict[str, Path]:
    import h5py

    paths = {name: folder / f"{name}.h5" for name in ("link", "external", "shape", "strange", "cut", "text")}
    (folder / "secret").write_bytes(b"\0" * 64)
    for name in ("link", "external", "shape", "strange", "cut"):
        with h5py.File(paths[name], "w") as file:
            layer = file.create_group("other" if name == "strange" else "block1_conv1")
            variables = layer.create_group("vars")
            variables.attrs["name"] = layer.name.strip("/")
            if name == "link":
                variables["0"] = h5py.ExternalLink("somewhere.h5", "/x")
            elif name == "external":
                variables.create_dataset("0", (3, 3, 3, 64), "f4", external=[(str(folder / "secret"), 0, 6912)])
            else:
                variables["0"] = np.zeros((2, 2), np.float32)
    paths["cut"].write_bytes(paths["cut"].read_bytes()[:300])
    paths["text"].write_text("these are no weights")
    paths["bomb"] = folder / "bomb.keras"
    with zipfile.ZipFile(paths["bomb"], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", b"\0" * 5_000_000)
    return paths


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("link", "is a link"), ("external", "not a plain array"), ("shape", "belong to another network"),
        ("strange", "None of the 13 layers"), ("cut", "cannot be read"), ("text", "cannot be read"),
        ("bomb", "too much"),
    ],
)  # fmt: skip
def test_files_that_are_refused(name: str, said: str, vgg16: Any, tmp_path: Path) -> None:
    before = weights_by_layer(vgg16)
    with pytest.raises(DataError, match=said):
        load_layers(base_layers(vgg16), hostile_files(tmp_path)[name])
    assert not changed(before, weights_by_layer(vgg16))
