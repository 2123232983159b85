"""Which formats there are, what each is good for, and why one cannot be made here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from ...core.device import nvidia_gpus
from ...core.errors import LensmithError, MissingExtraError, UsageError
from ...core.extras import Extra, has_extra
from ...core.install import extra_command
from ..record import ExportFormat, Precision

Task = Literal["detect", "classify"]


@dataclass(frozen=True)
class Format:
    """What is to be known about a format.

    Attributes:
        title: How it is called by those who made it.
        entry: The file or folder, within the bundle, that a program is given to load.
        precisions: What its numbers may be.
        batch: How many pictures it takes at once; None: as many as one likes.
        ours: Whether `cv predict` and `cv live` run it; else it is for other programs.
    """

    title: str
    entry: str
    precisions: tuple[Precision, ...]
    batch: int | None
    ours: bool


FORMATS: dict[ExportFormat, Format] = {
    "onnx": Format("ONNX", "model.onnx", ("fp32", "fp16", "int8"), None, ours=True),
    "openvino": Format("OpenVINO", "model.xml", ("fp32", "fp16", "int8"), None, ours=True),
    "tensorrt": Format("TensorRT", "model.engine", ("fp32", "fp16"), None, ours=True),
    "tflite": Format("TensorFlow Lite", "model.tflite", ("fp32", "fp16", "int8"), 1, ours=False),
    "coreml": Format("Core ML", "model.mlpackage", ("fp32", "fp16"), 1, ours=False),
    "torchscript": Format("TorchScript", "model.torchscript", ("fp32",), 1, ours=False),
    "savedmodel": Format("TensorFlow SavedModel", "saved_model", ("fp32",), None, ours=False),
}
OPTION_OF: dict[Precision, str] = {"fp32": "", "fp16": "--half", "int8": "--int8"}
_NEVER = {
    ("tensorrt", "int8"): "TensorRT takes int8 models that another program has quantised; fp32 and fp16 are made here",
    ("coreml", "int8"): "Core ML models are made in 32 and in 16 bits here",
    ("torchscript", "fp16"): "TorchScript keeps 32 bits: a program that loads it can call .half() on it by itself",
    ("torchscript", "int8"): "TorchScript keeps 32 bits",
    ("savedmodel", "fp16"): "a SavedModel keeps 32 bits, and TensorFlow Lite (--to tflite --half) takes 16",
    ("savedmodel", "int8"): "a SavedModel keeps 32 bits, and TensorFlow Lite (--to tflite --int8) takes 8",
}


def check_possible(kind: ExportFormat, precision: Precision, task: Task) -> None:
    """Whether this machine can make and check such a model.

    Raises:
        UsageError: nobody can: the format has no such precision.
        MissingExtraError: a part of Lensmith is not installed.
        LensmithError: it needs another machine, and says what that must have.
    """
    if reason := _NEVER.get((kind, precision)):
        raise UsageError(
            f"There is no {FORMATS[kind].title} model in {precision}: {reason}.",
            where=OPTION_OF[precision],
            next_step=f"leave {OPTION_OF[precision]} out, or choose another --to",
        )
    _NEEDS[kind](precision, task)


def _needs_onnx(precision: Precision, _task: Task) -> None:
    _need_modules(("onnxruntime",), "run", "Checking an ONNX model")
    if precision != "fp32":
        _need_modules(("onnx", "sympy"), "export", "Changing the numbers of an ONNX model")


def _needs_openvino(precision: Precision, _task: Task) -> None:
    _need_modules(("openvino",), "openvino", "Making an OpenVINO model")
    if precision == "int8":
        _need_modules(("nncf",), "export", "Making an OpenVINO model in int8")


def _needs_tensorrt(_precision: Precision, _task: Task) -> None:
    missing = []
    if not nvidia_gpus():
        missing.append("an NVIDIA GPU with its driver (this machine has none)")
    if find_spec("tensorrt") is None:
        missing.append("the package 'tensorrt' (pip install tensorrt)")
    if missing:
        raise LensmithError(
            f"A TensorRT model is made for one kind of GPU, on that GPU. It needs {' and '.join(missing)}.",
            where="--to tensorrt",
            next_step="run the same command on the machine that will use the model; --to onnx runs on any",
        )
    _need_modules(("onnx",), "export", "Making a TensorRT model")


def _needs_tensorflow(_precision: Precision, task: Task) -> None:
    _need_modules(("tensorflow",), "classify", "Making a model for TensorFlow")
    if task == "detect":
        _need_modules(("onnx", "onnxslim"), "export", "Making a model for TensorFlow of a detector")


def _needs_torch(_precision: Precision, task: Task) -> None:
    if task == "detect":
        _need_modules(("torch", "ultralytics"), "detect", "Making a TorchScript model of a detector")
    else:
        _need_modules(("torch",), "detect", "Making a TorchScript model")
        _need_modules(("keras",), "classify", "Making a TorchScript model of a classifier")


def _needs_macos(_precision: Precision, _task: Task) -> None:
    if sys.platform != "darwin":
        raise LensmithError(
            "A Core ML model runs on macOS alone, so it cannot be checked on this machine, and what cannot be checked "
            "is not made.",
            where="--to coreml",
            next_step="run the same command on a Mac with the 'export' part of Lensmith; --to onnx runs on any machine",
        )
    _need_modules(("coremltools",), "export", "Making a Core ML model")
    _need_modules(("torch",), "detect", "Making a Core ML model")


_NEEDS: dict[ExportFormat, Callable[[Precision, Task], None]] = {
    "onnx": _needs_onnx,
    "openvino": _needs_openvino,
    "tensorrt": _needs_tensorrt,
    "tflite": _needs_tensorflow,
    "coreml": _needs_macos,
    "torchscript": _needs_torch,
    "savedmodel": _needs_tensorflow,
}


def _need_modules(modules: tuple[str, ...], extra: Extra, what: str) -> None:
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        also = "" if has_extra(extra) else f", of the '{extra}' part of Lensmith"
        raise MissingExtraError(
            f"{what} needs {' and '.join(missing)}{also}, and that is not installed here.",
            next_step=extra_command([extra]),
        )
