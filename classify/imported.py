"""A `.keras` file of another program becomes a classifier's bundle with a portable model.

`weights.foreign_keras` looks into the file first. It is built and exported by Keras in a child with limits on memory
and time only, in safe mode, from a configuration without what only training needs. The bundle holds no Keras file: it
would have to be rebuilt from a record, and foreign architectures have none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError, LensmithError, UsageError
from ..core.extras import need_extra
from ..core.limited import Limits, answer_with, ask, less_memory
from ..core.progress import say
from ..core.workspace import Workspace
from ..predict.imported import (
    ImportConfig,
    Imported,
    fixed_pictures,
    kind_of_answers,
    place_import,
    scale_and_shift,
    to_probabilities,
)
from ..weights.architecture import import_keras
from ..weights.bundle import PORTABLE_NAME, BundleRecord, Preprocessing, copy_model
from ..weights.foreign_keras import KerasFacts, check_keras, extract_weights
from ..weights.hdf5_files import check_links
from ..weights.portable import add_picture_input, add_probabilities
from .export import export_floating

_SECONDS = 480.0
_MEMORY = 4 << 30  # TensorFlow's exporter works on several copies of the graph, and ends by signal 11 without room
_MEMORY_TO_BUILD = 256 << 20
_MEMORY_PER_BYTE = 12
_MEMORY_PER_BYTE_TO_EXPORT = 40
_USUAL_SIZE = 224


def import_keras_file(path: Path, workspace: Workspace, config: ImportConfig) -> Imported:
    """Make a classifier's bundle of a `.keras` file.

    Args:
        path: The file; its model takes float32 pictures `(n, h, w, 3)` and gives a number for each class.
        workspace: Where the bundle goes.
        config: `classes` and `scale` must be said; `imgsz` too where the model takes pictures of any size.

    Raises:
        NotFoundError: there is no such file.
        UsageError: something has to be said, does not fit, or the name is taken.
        DataError: the file is refused, and for what; or it is no classifier.
        MissingExtraError: Keras is not installed.
    """
    facts = check_keras(path)
    if config.task == "detect":
        raise UsageError("A .keras file is taken in as a classifier.", where="--task",
                         next_step="export a detector to .onnx where it was made")  # fmt: skip
    if config.classes is None or len(config.classes) < 2:
        raise UsageError("The file does not say what its classes are called.", where=path,
                         next_step="give --classes a,b,c or a text file with one name a line")  # fmt: skip
    if config.scale is None:
        raise UsageError("The file does not say which numbers it takes for a pixel.", where=path,
                         next_step="say it: --scale 0-255 (if it scales itself), 0-1, -1-1 or imagenet")  # fmt: skip
    need_extra("classify", "Importing a .keras file")
    classes, size = config.classes, _size(path, facts, config.imgsz)

    def make(work: Path) -> tuple[BundleRecord, Callable[[Path], None], tuple[np.ndarray, np.ndarray]]:
        return _converted(path, work, config, classes, size)

    return place_import(path, config, workspace, _told(facts), make)


def _told(facts: KerasFacts) -> dict[str, Any]:
    return {
        "weights": f"{facts.bytes:,} bytes", "inputs": [str(shape) for shape in facts.inputs],
        "layers": [f"{count} {name}" for name, count in facts.layers.most_common()],
    }  # fmt: skip


def _size(path: Path, facts: KerasFacts, asked: int | None) -> tuple[int, int]:
    if not facts.inputs or len(facts.inputs[0]) != 3 or facts.inputs[0][2] != 3:
        shape = facts.inputs[0] if facts.inputs else "nothing that is told"
        raise DataError(f"This model takes {shape}, and (height, width, 3) is needed.", where=path)
    height, width = facts.inputs[0][:2]
    if asked is not None and (height or asked, width or asked) != (asked, asked):
        raise UsageError(f"The model takes pictures of {width} x {height} pixels only.", where="--imgsz",
                         next_step="leave out --imgsz")  # fmt: skip
    if asked is None and (height is None or width is None):
        raise UsageError("The model takes pictures of any size.", where="--imgsz",
                         next_step=f"say how large it is to get them: --imgsz {_USUAL_SIZE}")  # fmt: skip
    return height or asked or _USUAL_SIZE, width or asked or _USUAL_SIZE


def _converted(
    path: Path, work: Path, config: ImportConfig, classes: tuple[str, ...], size: tuple[int, int]
) -> tuple[BundleRecord, Callable[[Path], None], tuple[np.ndarray, np.ndarray]]:
    say("building it in a process with limits, and exporting the portable model ...")
    height, width = size
    question = {
        "source": str(path.resolve()), "work": str(work), "height": height, "width": width,
        "classes": len(classes), "scale": config.scale, "channels": config.channels,
    }  # fmt: skip
    limits = Limits(_MEMORY + path.stat().st_size * _MEMORY_PER_BYTE_TO_EXPORT, _SECONDS)
    ask("lensmith.classify.imported", question, limits, doing="Building this model", where=path)
    record = BundleRecord(
        name="imported", task="classify", names=classes, origin="imported", confidence=0.0,
        preprocessing=Preprocessing(width=width, height=height, resize="stretch", interpolation="area"),
    )  # fmt: skip
    outputs = np.load(work / "outputs.npy", allow_pickle=False)
    return (
        record,
        lambda folder: copy_model(work / PORTABLE_NAME, folder, PORTABLE_NAME),
        (fixed_pictures(width, height), outputs),
    )


def _import_tensorflow(_question: dict[str, Any]) -> None:
    os.environ.update(KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="-1")
    import_keras("cpu")


def _convert(question: dict[str, Any]) -> str:
    source, work = Path(question["source"]), Path(question["work"])
    try:
        return _build(question, check_keras(source), work)
    except (LensmithError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - Keras names no common class for what is wrong with a file
        first = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise DataError(f"This .keras file cannot be used: {first}", where=source) from None


def _build(question: dict[str, Any], facts: KerasFacts, work: Path) -> str:
    import keras

    source, weights = Path(question["source"]), work / "model.weights.h5"
    extract_weights(source, weights)
    check_links(weights)
    # From text again: what was looked at is what is built. What it declares must not take more than it brings.
    with less_memory(_MEMORY_TO_BUILD + facts.bytes * _MEMORY_PER_BYTE):
        model: Any = keras.saving.deserialize_keras_object(json.loads(json.dumps(facts.config)), safe_mode=True)
    if model.count_params() * 2 > facts.bytes:
        raise DataError(f"The model declares {model.count_params():,} numbers, and the file has {facts.bytes:,} bytes.",
                        where=source)  # fmt: skip
    model.load_weights(weights)
    scale, shift = scale_and_shift(question["scale"])
    if question["channels"] == "bgr":
        scale, shift = scale[::-1], shift[::-1]
    pictures = fixed_pictures(question["width"], question["height"])
    taken = pictures if question["channels"] == "bgr" else pictures[..., ::-1]
    taken = taken.astype(np.float32) * np.array(scale, np.float32) + np.array(shift or 0, np.float32)
    outputs = np.asarray(model.predict_on_batch(taken), np.float32)
    kind = kind_of_answers(outputs, question["classes"])
    export_floating(model, work / "floating.onnx")
    target = work / PORTABLE_NAME
    add_picture_input(work / "floating.onnx", target, layout="nhwc", scale=scale, shift=shift,
                      channels=question["channels"])  # fmt: skip
    if kind != "probabilities":
        add_probabilities(target, kind)
    np.save(work / "outputs.npy", to_probabilities(outputs, kind), allow_pickle=False)
    return kind


if __name__ == "__main__":
    answer_with(_import_tensorflow, _convert)
