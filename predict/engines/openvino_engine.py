"""OpenVINO as an engine: a bundle's portable model on the CPU, in 16 bits where the CPU multiplies those by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...core.device import usable_cores
from ...core.errors import DataError
from ...core.extras import need_extra
from ...weights.bundle import PORTABLE_NAME, Bundle
from ...weights.portable import INPUT_NAME
from .base import Precision, Tag, first_line, no_file, not_pictures
from .openvino import Requests, import_openvino

OPENVINO_NAME = "model.xml"
_ANY_SIZE = (-1, -1)
_FOR_EACH_STREAM = 2  # pictures asked for at once: one is computed while the next one waits


class OpenVinoEngine:
    """See `Engine`. Opens `model.xml` of a bundle, or else `model.onnx`, on the CPU cores that this process may use.

    Each picture is a request of its own: on CPUs larger batches were no faster (2026: 54 and 52 ms a picture with
    batches of 1 and 4 of yolov8n at 640 pixels), and a smaller one wastes nothing when few pictures are left.

    Args:
        bundle: An opened bundle.
        live: One picture at a time, as soon as possible: all cores work on it. Otherwise several at once, with fewer
            cores each, which is more in all.
        exact: Compute in 32 bits even where the CPU is faster with 16.

    Raises:
        MissingExtraError: openvino is not installed.
        DataError: the bundle has no such model, or it cannot be loaded, or it does not take pictures.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, bundle: Bundle, *, live: bool = False, exact: bool = False) -> None:
        path = bundle.file(OPENVINO_NAME) or bundle.file(PORTABLE_NAME)
        if path is None:
            raise no_file(bundle, f"{OPENVINO_NAME} and no {PORTABLE_NAME}")
        need_extra("openvino", "Running a model with OpenVINO")
        self._core = import_openvino().Core()
        self._path, self._bundle = path, bundle
        self._options = {
            "PERFORMANCE_HINT": "LATENCY" if live else "THROUGHPUT",
            "INFERENCE_NUM_THREADS": usable_cores(),
            # Threads bound to a core wait for whoever else is on it: with other programs at work, and our own decoding
            # is one, a picture took 1.6 times as long.
            "ENABLE_CPU_PINNING": False,
        }
        if exact:
            self._options["INFERENCE_PRECISION_HINT"] = "f32"
        size = bundle.record.preprocessing
        # Compiled for any size a model takes 5 % longer for a picture, which compiling for each size would not pay for.
        self._shape = (size.height, size.width) if size.stride is None else _ANY_SIZE
        compiled = self._compile(*self._shape)
        asked = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.precision: Precision = "bf16" if asked == "bf16" else "f16" if asked == "f16" else "f32"
        streams = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self.batch = _FOR_EACH_STREAM * streams
        self._usual = Requests(compiled, 1, streams if live else streams + 1)
        self._odd: Requests | None = None

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """See `Engine.infer`; a detector takes pictures of other sizes too, more slowly."""
        if self._shape in (_ANY_SIZE, pictures.shape[1:3]):
            return self._usual.infer(pictures)
        if self._odd is None:
            self._odd = Requests(self._compile(*_ANY_SIZE), 1, 1)
        return self._odd.infer(pictures)

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """See `Engine.stream`; pictures of the sizes that `prepare.fit` makes for the bundle only."""
        return self._usual.stream(batches)

    def _compile(self, height: int, width: int) -> Any:
        """The model for pictures of one size; -1 is any."""
        try:
            graph = self._core.read_model(str(self._path))
            _check_input(graph, self._bundle, self._path)
            graph.reshape([1, height, width, 3])
            return self._core.compile_model(graph, "CPU", self._options)
        except DataError:
            raise
        except Exception as error:  # noqa: BLE001 - openvino has one class for all that can be wrong
            raise DataError(f"The model cannot be loaded by OpenVINO: {first_line(error)}", where=self._path) from None


def _check_input(graph: Any, bundle: Bundle, path: Path) -> None:
    size = bundle.record.preprocessing
    inputs = graph.inputs
    if (
        len(inputs) == 1
        and INPUT_NAME in inputs[0].get_names()
        and inputs[0].get_element_type().get_type_name() == "u8"
    ):
        shape = [None if side.is_dynamic else side.get_length() for side in inputs[0].get_partial_shape()]
        wanted = (size.height, size.width, 3)
        if len(shape) == 4 and all(given in {None, w} for given, w in zip(shape[1:], wanted, strict=True)):
            return
    found = ", ".join(f"{i.any_name} {i.element_type.get_type_name()} {i.partial_shape}" for i in inputs)
    raise not_pictures(size, found, path)
