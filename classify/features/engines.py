"""What computes features: OpenVINO on a CPU, where it gives what the framework gives; else the framework."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from ...core.progress import say, warn
from ...predict.engines.openvino import OpenVinoGraph, graph_of_keras, has_bf16, has_openvino
from .keras_features import KerasFeatures, gpu_in_use, in_32_bits

PROBE = 64
MOST_DIFFERENCE_16 = 0.02
_MOST_DIFFERENCE = 1e-3
_COMPARED = 4
_WORTH_A_PROBE = 4 * PROBE
_BATCH = 8
Tag = TypeVar("Tag")


class FeatureEngine(Protocol):
    """Something that turns pictures, or activations of an earlier layer, into activations.

    Attributes:
        name: "openvino f32", "openvino bf16", "keras", "keras half".
        batch: How many of them it likes at once.
    """

    batch: int

    @property
    def name(self) -> str:
        """What it is and computes in."""
        ...

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """Inputs `(n, ...)` with a tag become float32 `(n, ...)` with the tag, in their order.

        Inputs are uint8 BGR pictures, or float32 activations where the network takes these.
        """
        ...


class OpenVinoFeatures(OpenVinoGraph):
    """A trunk run by OpenVINO. See `FeatureEngine`."""

    @property
    def name(self) -> str:
        """See `FeatureEngine`."""
        return f"openvino {self.precision}"


@dataclass(frozen=True)
class Chosen:
    """An engine, and how it was chosen.

    Attributes:
        engine: What computes the features.
        why: For a person.
        largest: The largest number among the features of the probe.
    """

    engine: FeatureEngine
    why: str
    largest: float


def pictures_for_probe(passes: int, precise: bool) -> int:
    """How many pictures `choose_engine` wants to see before it computes so many."""
    return _COMPARED if precise or passes < _WORTH_A_PROBE else PROBE


_chosen: weakref.WeakKeyDictionary[Any, tuple[str, bool, Chosen]] = weakref.WeakKeyDictionary()


def choose_engine(trunk: Any, weights: str, pictures: np.ndarray, passes: int, precise: bool) -> Chosen:
    """The fastest engine for a trunk here that gives what the framework gives.

    Args:
        trunk: From `cut_model`.
        weights: What tells these weights from others; the choice for a trunk is kept as long as they stay.
        pictures: `pictures_for_probe` of those that it is for, if there are so many: uint8 BGR `(n, h, w, 3)`, or
            float32 activations where the trunk takes these.
        passes: How many pictures will be computed in all: for few, 16 bits are not worth a probe.
        precise: Compute in 32 bits.
    """
    known = _chosen.get(trunk)
    if known and known[:2] == (weights, precise):
        return known[2]
    chosen = _choose(in_32_bits(trunk), pictures, passes, precise)
    say(f"features are computed by {chosen.engine.name}: {chosen.why}")
    _chosen[trunk] = (weights, precise, chosen)
    return chosen


def _choose(trunk: Any, pictures: np.ndarray, passes: int, precise: bool) -> Chosen:
    keras_engine = KerasFeatures(trunk, half=False)
    few = pictures[:_COMPARED]
    reference = _all(keras_engine, few)
    largest = float(np.abs(reference).max(initial=0))
    if gpu_in_use():
        return _probe_half(trunk, pictures, precise=precise or passes < _WORTH_A_PROBE)
    if (reason := _why_not_openvino()) is not None:
        return Chosen(keras_engine, reason, largest)
    try:
        graph = graph_of_keras(trunk)
        takes = "pictures" if pictures.dtype == np.uint8 else "numbers"
        single = OpenVinoFeatures(graph, "f32", _BATCH, takes)
        difference = _relative(single.infer(few), reference)
    except Exception as error:  # noqa: BLE001 - a converter fails in many ways, and the framework can always do it
        warn(
            f"OpenVINO cannot run this backbone ({_first_line(error)}); Keras computes the features, which takes longer"
        )
        return Chosen(keras_engine, "OpenVINO cannot run it", largest)
    if not difference < _MOST_DIFFERENCE:
        warn(f"OpenVINO's features differ from Keras' by {difference:.2%}, so Keras computes them")
        return Chosen(keras_engine, "OpenVINO gives something else", largest)
    if precise or not has_bf16() or passes < _WORTH_A_PROBE:
        why = "--precise" if precise else "few pictures" if has_bf16() else "this CPU has no units for 16 bits"
        return Chosen(single, why, largest)
    return _probe_bf16(graph, single, pictures)


def _probe_bf16(graph: Any, single: OpenVinoFeatures, pictures: np.ndarray) -> Chosen:
    half = OpenVinoFeatures(graph, "bf16", _BATCH, single.takes)
    half.infer(pictures[:1])
    expected, slow = _timed(single, pictures)
    found, fast = _timed(half, pictures)
    difference = _relative(found, expected)
    largest = float(np.abs(expected).max(initial=0))
    told = f"{slow / fast:.1f} times as fast in 16 bits, {difference:.2%} off on {len(pictures)} pictures"
    if difference < MOST_DIFFERENCE_16 and fast < slow:
        return Chosen(half, told, largest)
    return Chosen(single, f"not bf16, which is {told}", largest)


def _probe_half(trunk: Any, pictures: np.ndarray, *, precise: bool) -> Chosen:
    """On a GPU: the tensor cores work in 16 bits, and some networks leave the range of these."""
    single = KerasFeatures(trunk, half=False)
    expected = _all(single, pictures)
    largest = float(np.abs(expected).max(initial=0))
    if precise:
        return Chosen(single, "in 32 bits", largest)
    half = KerasFeatures(trunk, half=True)
    difference = _relative(_all(half, pictures), expected)
    told = f"{difference:.2%} off on {len(pictures)} pictures"
    if difference < MOST_DIFFERENCE_16:
        return Chosen(half, f"16 bits are {told}", largest)
    return Chosen(single, f"not 16 bits, which are {told}", largest)


def _timed(engine: OpenVinoFeatures, pictures: np.ndarray) -> tuple[np.ndarray, float]:
    started = time.perf_counter()
    return engine.infer(pictures), max(time.perf_counter() - started, 1e-9)


def _all(engine: FeatureEngine, pictures: np.ndarray) -> np.ndarray:
    parts = ((None, pictures[start : start + engine.batch]) for start in range(0, len(pictures), engine.batch))
    return np.concatenate([output for _, output in engine.stream(parts)])


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Norm of the difference as a share of the norm; not a number where something else is none."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-12))


def _why_not_openvino() -> str | None:
    import keras

    if keras.backend.backend() != "tensorflow":
        return f"OpenVINO takes the backbone over from TensorFlow, and Keras runs on {keras.backend.backend()} here"
    return None if has_openvino() else "OpenVINO is not installed"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
