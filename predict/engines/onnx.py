"""ONNX Runtime: runs a bundle's portable model on the CPU or an NVIDIA GPU, without any training framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...core.device import parse_device, usable_cores
from ...core.errors import DataError, UsageError
from ...core.extras import need_extra
from ...core.install import pip_command
from ...weights.bundle import PORTABLE_NAME, Bundle
from ...weights.portable import INPUT_NAME
from .base import Precision, Tag, first_line, no_file, not_pictures, one_by_one, told_when_it_fails

_BATCH = {"cpu": 4, "cuda": 16}
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class OnnxEngine:
    """See `Engine`. Opens `model.onnx` of a bundle.

    Args:
        bundle: An opened bundle.
        device: As in `core.device.parse_device`; "auto" is the CPU.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        UsageError: a GPU was asked for, and the ONNX Runtime that is installed cannot use one.
        DataError: the bundle has no portable model, or it cannot be loaded, or it does not take pictures.
    """

    name = "onnxruntime"
    precision: Precision = "f32"

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        path = bundle.file(PORTABLE_NAME)
        if path is None:
            raise no_file(bundle, PORTABLE_NAME)
        need_extra("run", "Running a portable model")
        wanted = parse_device(device)
        gpu = wanted[0] if isinstance(wanted, tuple) else None
        self.device = "cpu" if gpu is None else f"cuda:{gpu}"
        self._session = _open(path, gpu)
        self._fixed_batch = _check_input(self._session.get_inputs(), bundle, path)
        self._output = self._session.get_outputs()[0].name
        self.batch = self._fixed_batch or _BATCH[self.device.split(":")[0]]

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """See `Engine.infer`."""
        if self._fixed_batch is None:
            return self._run(pictures)
        parts = [
            self._run_fixed(pictures[start : start + self._fixed_batch], self._fixed_batch)
            for start in range(0, len(pictures), self._fixed_batch)
        ]
        return np.concatenate(parts)

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """See `Engine.stream`."""
        return one_by_one(self.infer, batches)

    def _run_fixed(self, pictures: np.ndarray, batch: int) -> np.ndarray:
        missing = batch - len(pictures)
        if missing:
            pictures = np.concatenate([pictures, np.repeat(pictures[-1:], missing, axis=0)])
        return self._run(pictures)[: batch - missing]

    def _run(self, pictures: np.ndarray) -> np.ndarray:
        with told_when_it_fails("ONNX Runtime"):
            output = self._session.run([self._output], {INPUT_NAME: pictures})[0]
        return np.asarray(output, dtype=np.float32)


def has_cuda() -> bool:
    """Whether the ONNX Runtime that is installed was built for NVIDIA GPUs."""
    import onnxruntime

    return _CUDA in onnxruntime.get_available_providers()


def _open(path: Path, gpu: int | None) -> Any:
    import onnxruntime

    if gpu is not None and not has_cuda():
        raise _no_cuda("The ONNX Runtime that is installed here was built for CPUs alone.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 4
    providers: list[Any] = [_CPU] if gpu is None else [(_CUDA, {"device_id": gpu}), _CPU]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # noqa: BLE001 - onnxruntime has a class of its own for each kind of trouble
        raise DataError(f"The portable model cannot be loaded: {first_line(error)}", where=path) from None
    if gpu is not None and session.get_providers()[0] != _CUDA:  # it falls back without a word
        raise _no_cuda(f"ONNX Runtime cannot use GPU {gpu} here: it finds no such GPU, or not its CUDA libraries.")
    return session


def _no_cuda(what: str) -> UsageError:
    # Both packages own the folder onnxruntime/, and the one installed last would win.
    put = pip_command('"onnxruntime-gpu[cuda,cudnn]"')
    return UsageError(
        what, where="--device",
        next_step=f"{pip_command('onnxruntime').replace(' install ', ' uninstall ')}; then {put}; or use --device cpu",
    )  # fmt: skip


def _check_input(inputs: Sequence[Any], bundle: Bundle, path: Path) -> int | None:
    """The batch that the model insists on, None when it takes any."""
    size = bundle.record.preprocessing
    if len(inputs) == 1 and inputs[0].name == INPUT_NAME and inputs[0].type == "tensor(uint8)":
        shape = inputs[0].shape
        wanted = (size.height, size.width, 3)
        if len(shape) == 4 and all(not isinstance(g, int) or g == w for g, w in zip(shape[1:], wanted, strict=True)):
            return shape[0] if isinstance(shape[0], int) else None
    found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
    raise not_pictures(size, found, path)
