"""Features are what the model's frozen part gives for the very pictures, and never another's."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lensmith.classify.data import Samples
from lensmith.classify.features import rows
from lensmith.classify.features.compute import FeatureConfig, Features, compute_features, hash_of_model, views_for
from lensmith.classify.features.cut import Cut, cut_model
from lensmith.classify.features.sources import Views
from lensmith.core.errors import DataError
from lensmith.datasets.augment_spec import read_spec
from lensmith.datasets.model import Item
from lensmith.weights.architecture import build_classifier
from lensmith.weights.bundle import ClassifierRecord, Preprocessing

pytestmark = pytest.mark.keras
SIZE = Preprocessing(width=32, height=32, resize="stretch", interpolation="area")
CONFIG = FeatureConfig("fingerprint", read_spec("heavy"), views=3, precise=True, seed=7)


def samples_of(items: list[Item]) -> Samples:
    return Samples(items, SIZE, what="training pictures", check=False)


def compute(items: list[Item], cut: Cut, config: FeatureConfig = CONFIG) -> Features:
    return compute_features(samples_of(items), cut, config)


def run(cut: Cut, *pictures: np.ndarray) -> np.ndarray:
    assert cut.trunk is not None
    return np.asarray(cut.trunk(np.stack(pictures)[..., ::-1].astype(np.float32), training=False))


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_a_batch_is_what_the_trunk_gives_for_each_view(pictures: list[Item], cut: Cut) -> None:
    features = compute(pictures, cut)
    assert (features.engine, features.views, features.shape) == ("openvino f32", 3, cut.shape)
    assert features.labels.tolist() == [0, 1] * 6
    assert "openvino_telemetry" not in sys.modules
    indices = np.array([11, 4, 4])
    samples = Samples(pictures, SIZE, CONFIG.augment, CONFIG.seed)
    as_they_are = run(cut, *(samples.plain(int(index)) for index in indices))
    for epoch in range(5):
        x, y = features.batch(indices, epoch)
        assert (x.dtype, y.tolist()) == (np.float32, [1, 0, 0])
        changed = run(cut, *(samples.picture(int(index), epoch) for index in indices))
        if epoch < 3:
            assert difference(x, as_they_are if epoch == 0 else changed) < 1e-4
        else:
            assert np.array_equal(x, features.batch(indices, epoch - 3)[0])


def test_no_two_pictures_or_views_draw_the_same_numbers(pictures: list[Item], cut: Cut) -> None:
    features = compute(pictures, cut)
    of_one_picture = [features.batch(np.array([0, 1, 2]), view)[0] for view in range(3)]
    assert np.array_equal(of_one_picture[0][0], of_one_picture[0][1]), "the picture as it is"
    drawn = np.concatenate(of_one_picture[1:]).reshape(6, -1)
    assert len(np.unique(drawn, axis=0)) == 6


def test_half_precision_for_what_is_large(
    pictures: list[Item], model: Any, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, precise=False)
    monkeypatch.setattr(rows, "_SMALL_BYTES", 1024)  # these maps are 4096 bytes in 32 bits, pooled they are 1024
    flat = build_classifier(ClassifierRecord(backbone="cnn", pooling="flatten", units=8, dropout=0.1), 32, 32, 2)
    for at, bytes_each in ((cut, 2), (cut_model(model, None), 4), (cut_model(flat, None), 2)):
        features = compute(pictures, at, config)
        assert features._stored.layout.row_bytes == bytes_each * np.prod(at.shape)
        plain = [samples_of(pictures).plain(n) for n in range(12)]
        assert difference(features.batch(np.arange(12), 0)[0], run(at, *plain)) < 1e-3


CHANGES: dict[str, Callable[[list[Item], FeatureConfig], tuple[list[Item], FeatureConfig]]] = {
    "another dataset": lambda items, config: (items, replace(config, fingerprint="other")),
    "another seed": lambda items, config: (items, replace(config, seed=8)),
    "another augmentation": lambda items, config: (items, replace(config, augment=read_spec("light"))),
    "fewer views": lambda items, config: (items, replace(config, views=2)),
    "16 bits": lambda items, config: (items, replace(config, precise=False)),
    "another order": lambda items, config: (items[::-1], config),
    "fewer pictures": lambda items, config: (items[:-1], config),
    "a picture of the same size in its place": lambda items, config: (overwritten(items), config),
    "another split": lambda items, config: ([replace(item, split="valid") for item in items], config),
}


def overwritten(items: list[Item]) -> list[Item]:
    path = items[3].image
    state = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1000))
    return items


@pytest.mark.parametrize("what", CHANGES)
def test_features_of_anything_else_are_not_used(what: str, pictures: list[Item], cut: Cut) -> None:
    first = compute(pictures, cut)
    again = compute(pictures, cut)
    assert (first.from_cache, again.from_cache) == (False, True)
    assert np.array_equal(again.batch(np.arange(12), 1)[0], first.batch(np.arange(12), 1)[0])
    items, config = CHANGES[what](pictures, CONFIG)
    assert not compute(items, cut, config).from_cache


def test_features_of_other_weights_are_not_used(pictures: list[Item], model: Any, cut: Cut) -> None:
    assert cut.trunk is not None
    before = hash_of_model(cut.trunk)
    first = compute(pictures, cut)
    model.get_layer("head_classes").kernel.assign_add(np.ones((8, 2), np.float32))
    model.get_layer("block5_conv").trainable = False
    assert hash_of_model(cut_model(model, "block5_conv").trunk) == before, "what learns is no part of it"
    bias = model.get_layer("block1_bn").beta
    bias.assign_add(np.full(bias.shape, 0.5, np.float32))
    second = compute(pictures, cut)
    assert not second.from_cache
    plain = [samples_of(pictures).plain(n) for n in range(12)]
    assert difference(second.batch(np.arange(12), 0)[0], run(cut, *plain)) < 1e-4, "the weights of now"
    assert difference(first.batch(np.arange(12), 0)[0], second.batch(np.arange(12), 0)[0]) > 1e-3


def test_pictures_that_cannot_be_read_are_left_out_and_named(
    pictures: list[Item], cut: Cut, capfd: pytest.CaptureFixture[str]
) -> None:
    pictures[4].image.write_bytes(b"")
    pictures[11].image.write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    for again in (False, True):
        features = compute(pictures, cut)
        assert features.from_cache is again
        assert [skip.item.image.name for skip in features.skipped] == ["4.png", "11.png"]
        assert len(features) == len(features.items) == len(features.labels) == 10
        assert features.items[4].image.name == "5.png"
        said = capfd.readouterr().err.replace("\n", "")
        assert "2 of 12 training pictures cannot be used" in said
        assert said.count("4.png") == said.count("11.png") == 1
    expected = run(cut, samples_of(pictures).plain(5))
    assert difference(features.batch(np.array([4]), 0)[0], expected) < 1e-4
    for item in pictures:
        item.image.write_bytes(b"")
    with pytest.raises(DataError, match="None of the training pictures"):
        compute(pictures, cut)


def test_an_interrupted_computation_is_gone_on_with(
    pictures: list[Item], cut: Cut, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = compute(pictures, cut, replace(CONFIG, fingerprint="in one go"))
    monkeypatch.setattr("lensmith.classify.features.store._CHUNK_BYTES", 1)  # a chunk for each picture
    of = Views.of

    def interrupted(views: Views, number: int) -> list[np.ndarray]:
        if number == 9:
            raise KeyboardInterrupt
        return of(views, number)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Views, "of", interrupted)
        compute(pictures, cut)
    features = compute(pictures, cut)
    assert "going on where" in capfd.readouterr().err
    assert not features.from_cache
    for view in range(3):
        got, expected = (one.batch(np.arange(12), view)[0] for one in (features, whole))
        assert np.array_equal(got, expected)


def test_views_are_about_two_thousand_passes() -> None:
    spec = read_spec("default")
    cases = ((10, 8), (250, 8), (700, 2), (1999, 1), (100_000, 1))
    assert [views_for(pictures, spec, "auto") for pictures, _ in cases] == [views for _, views in cases]
    assert views_for(10, read_spec("none"), 5) == 1
    assert views_for(100_000, spec, 5) == 5


def test_pictures_go_through_the_network_once_for_both_stages(
    pictures: list[Item], model: Any, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    of = Views.of

    def counted(views: Views, number: int) -> list[np.ndarray]:
        decoded.append(number)
        return of(views, number)

    pictures[4].image.write_bytes(b"")
    pooled = cut_model(model, None)
    for precise, limit in ((True, 1e-5), (False, 2e-3)):
        config = replace(CONFIG, precise=precise)
        alone = compute(pictures, pooled, replace(config, fingerprint="alone"))
        with monkeypatch.context() as patch:
            patch.setattr(Views, "of", counted)
            first = compute_features(samples_of(pictures), pooled, config, deeper=cut)
            deeper = compute(pictures, cut, config)
            again = compute(pictures, pooled, config)
        assert sorted(decoded) == list(range(12))
        decoded.clear()
        assert (first.from_cache, deeper.from_cache, again.from_cache) == (False, True, True)
        assert [skip.item.image.name for skip in first.skipped] == ["4.png"]
        for view in range(3):
            expected = alone.batch(np.arange(11), view)[0]
            assert difference(first.batch(np.arange(11), view)[0], expected) < limit
        for features in (alone, first, deeper, again):
            features.close()


def test_between_two_cuts_the_engine_is_chosen_once(
    pictures: list[Item], model: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    deeper, pooled = cut_model(model, "block5_conv"), cut_model(model, None)
    for fingerprint in ("train", "valid"):
        compute_features(samples_of(pictures), pooled, replace(CONFIG, fingerprint=fingerprint), deeper).close()
    assert capfd.readouterr().err.count("features are computed by") == 2


def test_without_room_for_more_each_stage_goes_from_the_pictures(
    pictures: list[Item], model: Any, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lensmith.classify.features.compute.has_room", lambda _needed: False)
    first = compute_features(samples_of(pictures), cut_model(model, None), CONFIG, deeper=cut)
    assert not compute(pictures, cut).from_cache
    assert len(first) == 12
