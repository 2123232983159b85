"""Exports a classifier to the portable model.

Keras exports to ONNX with any batch size on TensorFlow alone, so a model that was trained on torch is exported by a
process of its own: `python -m lensmith.classify.export RECORD.json MODEL.keras TARGET.onnx`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..core.child import python_command
from ..core.errors import LensmithError
from ..predict.engines.keras import predict_probabilities
from ..weights.architecture import build_classifier, import_keras
from ..weights.bundle import BundleRecord
from ..weights.keras_files import load_all_layers
from ..weights.portable import add_picture_input

_TIMEOUT_SECONDS = 600


def export_portable(model: Any, record: BundleRecord, native: Path, target: Path) -> None:
    """Write the portable model: uint8 BGR `(n, h, w, 3)` in, probabilities out.

    Args:
        model: The built Keras model with its weights.
        record: The bundle's record.
        native: The same model as a `.keras` file.
        target: The `.onnx` file to write.

    Raises:
        LensmithError: the export failed; the native model is not touched.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        _export(model, target)
    elif find_spec("tensorflow") is None:
        raise LensmithError("The portable model is exported with TensorFlow, which is not installed.")
    else:
        _export_elsewhere(record, native, target)


def export_floating(model: Any, target: Path) -> None:
    """Write a Keras model on TensorFlow as ONNX with the float input that it has.

    Raises:
        LensmithError: Keras cannot export it.
    """
    _teach_erfc()
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            model.export(target, format="onnx", verbose=False)
        except Exception as error:
            raise LensmithError(f"Keras could not export the model: {type(error).__name__}: {error}") from error


def _export(model: Any, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        floating = Path(folder) / "model.onnx"
        export_floating(model, floating)
        add_picture_input(floating, target, layout="nhwc", scale=1.0, channels="rgb")


def _teach_erfc() -> None:
    """Tell tf2onnx of the one operation that it lacks, in the exact GELU of TensorFlow: erfc(x) = 1 - erf(x)."""
    from tf2onnx import utils
    from tf2onnx.handler import tf_op

    def convert(context: Any, node: Any, **_options: Any) -> None:
        shapes, dtypes = node.output_shapes, node.output_dtypes
        erf = context.make_node("Erf", node.input, shapes=shapes, dtypes=dtypes).output[0]
        kind = utils.map_onnx_to_numpy_type(dtypes[0])
        one = context.make_const(utils.make_name(node.name), np.array(1, kind)).output[0]
        context.remove_node(node.name)
        context.make_node("Sub", [one, erf], name=node.name, outputs=node.output, shapes=shapes, dtypes=dtypes)

    tf_op("Erfc").register_compat_handler(convert, 9)


def _export_elsewhere(record: BundleRecord, native: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        record_file = Path(folder) / "record.json"
        record_file.write_text(record.model_dump_json(), encoding="utf-8")
        command = python_command("-m", "lensmith.classify.export", str(record_file), str(native), str(target))
        # TensorFlow would otherwise reach for the GPU that torch is using.
        surroundings = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
        try:
            done = subprocess.run(
                command, env=surroundings, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise LensmithError("The export took more than ten minutes.") from None
    if done.returncode != 0 or not target.is_file():
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise LensmithError(f"The export failed: {last[0]}")


def _main(record_file: Path, native: Path, target: Path) -> None:
    record = BundleRecord.model_validate_json(record_file.read_bytes())
    if record.classifier is None:
        raise LensmithError("This is not the record of a classifier.", where=record_file)
    import_keras("cpu")
    size = record.preprocessing
    model = build_classifier(record.classifier, size.width, size.height, len(record.names))
    load_all_layers(model, native)
    # Keras exports only a model that has run once.
    predict_probabilities(model, np.zeros((1, size.height, size.width, 3), np.uint8))
    _export(model, target)


if __name__ == "__main__":
    _main(*map(Path, sys.argv[1:4]))
