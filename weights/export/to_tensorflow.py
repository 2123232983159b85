"""TensorFlow's formats: SavedModel and TensorFlow Lite, with the picture input inside.

A classifier is rebuilt with Keras from its record. A detector's graph, and that of a classifier which is portable
alone, is made of its ONNX file node by node, see `onnx_graph`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import DataError
from ...core.isolation import isolate_keras
from ..bundle import PORTABLE_NAME, Bundle
from ..portable import INPUT_NAME
from .convert import need_file
from .formats import FORMATS
from .to_onnx import pictures_of

if TYPE_CHECKING:
    from .convert import Order

OUTPUT_NAME = "output"


def export(bundle: Bundle, order: Order) -> None:
    """Write `saved_model/` or `model.tflite`.

    Both take `pictures`, uint8 BGR `(n, h, w, 3)`, and give `output`, float32. A SavedModel of a classifier with its
    native weights takes any n; all else takes one picture at a time.
    """
    isolate_keras("tensorflow")
    import tensorflow as tf

    size = bundle.record.preprocessing
    network, any_number = _network(bundle)
    wants_any = any_number and order.kind == "savedmodel"
    spec = tf.TensorSpec((None if wants_any else 1, size.height, size.width, 3), tf.uint8, name=INPUT_NAME)
    module: Any = tf.Module()
    module.network = network  # whose variables are saved with it
    run = tf.function(lambda pictures: {OUTPUT_NAME: network(pictures)}, input_signature=[spec], autograph=False)
    concrete = run.get_concrete_function()
    if order.kind == "savedmodel":
        tf.saved_model.save(module, str(order.target / FORMATS["savedmodel"].entry), signatures=concrete)
        return
    (order.target / FORMATS["tflite"].entry).write_bytes(_lite(_frozen(concrete), order))


def _network(bundle: Bundle) -> tuple[Callable[[Any], Any], bool]:
    """The network from uint8 BGR pictures, and whether it takes any number of them at once."""
    if bundle.record.task == "classify" and bundle.file("model.keras"):
        return _keras(bundle), True
    from .onnx_graph import OnnxGraph

    size = bundle.record.preprocessing
    return OnnxGraph(need_file(bundle, PORTABLE_NAME), (1, size.height, size.width, 3)), False


def _keras(bundle: Bundle) -> Callable[[Any], Any]:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from ..architecture import build_classifier, import_keras
    from ..keras_files import load_all_layers

    record = bundle.record
    if record.classifier is None:
        raise DataError("This bundle does not say how its classifier is built.", where=bundle.folder)
    import_keras("cpu")
    import tensorflow as tf

    size = record.preprocessing
    model = build_classifier(record.classifier, size.width, size.height, len(record.names))
    load_all_layers(model, need_file(bundle, "model.keras"))

    class Network(tf.Module):
        """The Keras model behind the picture input."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def __call__(self, pictures: Any) -> Any:
            return self.model(tf.cast(pictures, tf.float32)[..., ::-1], training=False)

    return Network()


def _frozen(concrete: Any) -> Any:
    """The function with its weights as constants: variables of a Keras model come out of the converter empty."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(concrete)


def _lite(concrete: Any, order: Order) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if order.precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if order.precision == "int8":
        return _quantised(converter, pictures_of(order))
    if order.precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def _quantised(converter: Any, pictures: Path) -> bytes:
    """Weights and activations in 8 bits; what `onnx_graph` calls the tail stays in 32, as in `to_onnx.export`."""
    import tensorflow as tf

    from .onnx_graph import TAIL

    def shown() -> Iterator[list[np.ndarray]]:
        array = np.load(pictures, mmap_mode="r", allow_pickle=False)
        for number in range(len(array)):
            yield [np.array(array[number : number + 1])]

    converter.representative_dataset = shown
    lite = tf.lite.experimental
    calibrated = lite.QuantizationDebugger(converter=converter, debug_dataset=shown)
    graph = tf.lite.Interpreter(model_content=calibrated.calibrated_model)
    names = {tensor["name"] for tensor in graph.get_tensor_details() if TAIL in tensor["name"]}
    names |= {tensor["name"] for tensor in graph.get_output_details()}  # which lost the name of what made it
    calibrated.options = lite.QuantizationDebugOptions(denylisted_nodes=sorted(names))
    return calibrated.get_nondebug_quantized_model()
