"""Which library runs a bundle: the fastest that is here and gives what the bundle says it must give."""

from __future__ import annotations

from importlib.util import find_spec

from ...core.device import parse_device, torch_gpu_count
from ...core.errors import DataError, LensmithError, MissingExtraError, UsageError
from ...core.extras import need_extra
from ...core.progress import warn
from ...weights.bundle import Bundle
from .base import Engine
from .golden import disagreement

PORTABLE = "onnxruntime"
_NATIVE = {"detect": "ultralytics", "classify": "keras"}


def open_engine(bundle: Bundle, *, engine: str = "auto", device: str = "auto") -> Engine:
    """Load the bundle's model and check it against the golden samples.

    Args:
        bundle: An opened bundle.
        engine: "auto", "onnxruntime", or the library the model was trained with ("ultralytics", "keras"). "auto" takes
            ONNX Runtime on a CPU and the native library on a GPU; if that one is missing or gives other
            results than the golden samples, the other one, and says so.
        device: As in `core.device.parse_device`.

    Raises:
        UsageError: no such engine for this model, or a device it cannot use.
        MissingExtraError: the library is not installed.
        DataError: the model cannot be loaded, or its results differ from the golden samples.
    """
    native = _NATIVE[bundle.record.task]
    if engine == "auto":
        return _open_first(bundle, device, _order(native, device))
    if engine not in {PORTABLE, native}:
        raise UsageError(
            f"'{engine}' cannot run this model.", where="--engine", next_step=f"use auto, {PORTABLE} or {native}"
        )
    if engine == PORTABLE and isinstance(parse_device(device), tuple):
        raise UsageError(
            "ONNX Runtime runs on the CPU here.", where="--device", next_step=f"use --engine {native} for a GPU"
        )
    chosen = _open(engine, bundle, device)
    problem = disagreement(chosen, bundle)
    if problem:
        raise _refusal(chosen.name, problem, bundle)
    return chosen


def _order(native: str, device: str) -> tuple[str, ...]:
    wanted = parse_device(device)
    if isinstance(wanted, tuple):
        return (native,)  # a GPU that was asked for is used, or it is an error
    if wanted == "auto" and find_spec(native) and torch_gpu_count():
        return (native, PORTABLE)
    return (PORTABLE, native)


def _open_first(bundle: Bundle, device: str, order: tuple[str, ...]) -> Engine:
    problems: list[LensmithError] = []
    for name in order:
        try:
            chosen = _open(name, bundle, device)
            problem = disagreement(chosen, bundle)
        except (MissingExtraError, DataError) as error:
            problems.append(error)
            continue
        if problem is None:
            for error in problems:
                if not isinstance(error, MissingExtraError):
                    warn(f"{error.what} Using {name} instead.")
            return chosen
        problems.append(_refusal(name, problem, bundle))
    # A damaged model says more than a library that is not here.
    raise next((error for error in problems if not isinstance(error, MissingExtraError)), problems[0])


def _open(name: str, bundle: Bundle, device: str) -> Engine:
    if name == PORTABLE:
        from .onnx import OnnxEngine

        return OnnxEngine(bundle)
    if name == "ultralytics":
        need_extra("detect", "Running this detector with Ultralytics")
        from .ultralytics import UltralyticsEngine

        return UltralyticsEngine(bundle, device)
    need_extra("classify", "Running this classifier with Keras")
    from .keras import KerasEngine

    return KerasEngine(bundle, device)


def _refusal(name: str, problem: str, bundle: Bundle) -> DataError:
    return DataError(
        f"{name} gives other results than this model must give: {problem}.",
        where=bundle.folder,
        next_step="try another --engine, or another version of the library; `cv doctor` shows the versions",
    )
