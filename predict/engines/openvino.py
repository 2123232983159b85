"""OpenVINO: runs a graph on the CPU, several batches on their way at once, in 32 or in 16 bits."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Generic, Literal

import numpy as np

from ...core.isolation import hidden
from .base import Tag, told_when_it_fails

Precision = Literal["f32", "bf16"]
Takes = Literal["pictures", "numbers"]
_ON_THEIR_WAY = 2  # one is computed while the next one is filled and the one before is read


def has_openvino() -> bool:
    """Whether OpenVINO is installed; does not import it."""
    return find_spec("openvino") is not None


def import_openvino() -> Any:
    """Import OpenVINO without the part that posts usage data at import."""
    if "openvino" not in sys.modules:
        with hidden("openvino_telemetry"):
            import openvino
            import openvino.tools.ovc.convert_impl  # it looks for that part as well
    import openvino

    return openvino


def has_bf16() -> bool:
    """Whether this CPU multiplies numbers of 16 bits by itself; where it does not, they are slower."""
    openvino = import_openvino()
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def graph_of_keras(model: Any) -> Any:
    """A Keras model on TensorFlow with one input, as an OpenVINO model with its present weights; nothing is written."""
    import tensorflow as tf

    openvino = import_openvino()
    shape = (None, *model.inputs[0].shape[1:])
    function = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)])
    return openvino.convert_model(function.get_concrete_function())


class Requests:
    """A compiled model with several requests, of which one is computed while others are filled and read.

    Args:
        compiled: What OpenVINO compiled, from one input to one output.
        size: How many inputs it computes at once; fewer are filled up.
        count: How many requests are on their way at once.
    """

    def __init__(self, compiled: Any, size: int, count: int) -> None:
        self._size = size
        self._requests = [compiled.create_infer_request() for _ in range(count)]

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """Run the model on what it takes, `(n, ...)` with n being what it likes; gives float32 `(n, ...)`."""
        return next(output for _, output in self.stream([(None, pictures)]))

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """Run the model on batch after batch while the next ones are fetched.

        Args:
            batches: What comes back with the result, and what it takes, `(n, ...)` with n from 1.

        Yields:
            float32 `(n, ...)` for each, in their order.
        """
        waiting: deque[tuple[Any, _Batch[Tag], int]] = deque()
        free = deque(self._requests)
        try:
            for tag, pictures in batches:
                batch = _Batch(tag, len(pictures))
                for start in range(0, len(pictures), self._size):
                    if not free:
                        request, earlier, at = waiting.popleft()
                        done = earlier.take(request, at)
                        free.append(request)
                        if done is not None:
                            yield earlier.tag, done
                    request = free.popleft()
                    with told_when_it_fails("OpenVINO"):
                        request.start_async({0: self._filled(pictures[start : start + self._size])})
                    waiting.append((request, batch, start))
            while waiting:
                request, earlier, at = waiting.popleft()
                if (done := earlier.take(request, at)) is not None:
                    yield earlier.tag, done
        finally:
            for request, _, _ in waiting:  # a request that is still running must not be used again
                with suppress(RuntimeError):  # one has failed and is told, or nobody wants the answer any more
                    request.wait()

    def _filled(self, pictures: np.ndarray) -> np.ndarray:
        missing = self._size - len(pictures)
        if missing:
            pictures = np.concatenate([pictures, np.repeat(pictures[-1:], missing, axis=0)])
        return np.ascontiguousarray(pictures)


class _Batch(Generic[Tag]):
    """A batch that several requests may share, and its answers as they come in."""

    def __init__(self, tag: Tag, count: int) -> None:
        self.tag, self._count = tag, count
        self._output: np.ndarray | None = None

    def take(self, request: Any, at: int) -> np.ndarray | None:
        """Wait for a request and keep its answers from place `at` on; gives them all once the last is there."""
        with told_when_it_fails("OpenVINO"):
            request.wait()
        found = request.get_output_tensor(0).data
        if self._output is None:
            self._output = np.empty((self._count, *found.shape[1:]), np.float32)
        end = min(at + len(found), self._count)
        self._output[at:end] = found[: end - at]
        return self._output if end == self._count else None


class OpenVinoGraph(Requests):
    """A compiled graph from pictures, or from other numbers, to whatever it gives.

    Args:
        graph: An OpenVINO model from one float32 input, RGB 0..255 `(n, h, w, 3)` where it is pictures, to one output;
            it is not changed.
        precision: What it computes in. The output is float32 either way.
        batch: So many inputs are computed at once; fewer are filled up.
        takes: Whether what is handed over is pictures, uint8 BGR, or the float32 numbers that the graph takes.

    Attributes:
        batch: As given.
        precision: As given.
        takes: As given.
    """

    def __init__(self, graph: Any, precision: Precision = "f32", batch: int = 8, takes: Takes = "pictures") -> None:
        openvino = import_openvino()
        self.batch = batch
        self.precision: Precision = precision
        self.takes: Takes = takes
        graph = graph.clone()
        graph.reshape([batch, *[side.get_length() for side in list(graph.inputs[0].partial_shape)[1:]]])
        if takes == "pictures":
            graph = _from_pictures(graph)
        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        super().__init__(openvino.Core().compile_model(graph, "CPU", options), batch, _ON_THEIR_WAY)


def _from_pictures(graph: Any) -> Any:
    """The graph with pictures as its input as they are, 8 bits and BGR: a quarter of the bytes to hand over."""
    openvino = import_openvino()
    steps = openvino.preprocess.PrePostProcessor(graph)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NHWC"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).reverse_channels()
    return steps.build()
