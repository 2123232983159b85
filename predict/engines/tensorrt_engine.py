"""TensorRT: runs an engine file that was built for exactly this kind of GPU. Memory on the GPU is torch's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...core.device import parse_device
from ...core.errors import DataError, MissingExtraError, UsageError
from ...core.install import pip_command
from ...weights.bundle import Bundle
from .base import Precision, Tag, no_file, not_pictures, one_by_one, told_when_it_fails

TENSORRT_NAME = "model.engine"


class TensorRtEngine:
    """See `Engine`. Opens `model.engine` of a bundle: uint8 BGR pictures `(n, h, w, 3)` in, one float output.

    Args:
        bundle: An opened bundle.
        device: As in `core.device.parse_device`; "auto" is the first GPU.

    Raises:
        MissingExtraError: TensorRT or torch is not installed.
        UsageError: the CPU was asked for.
        DataError: the bundle has no such file, or it was built for another GPU or version, or takes no pictures.
    """

    name = "tensorrt"
    precision: Precision = "f16"

    def __init__(self, bundle: Bundle, device: str = "auto") -> None:
        path = bundle.file(TENSORRT_NAME)
        if path is None:
            raise no_file(bundle, TENSORRT_NAME)
        wanted = parse_device(device)
        if wanted == "cpu":
            raise UsageError("TensorRT runs on NVIDIA GPUs alone.", where="--device", next_step="use --device gpu")
        if missing := [name for name in ("tensorrt", "torch") if not find_spec(name)]:
            raise MissingExtraError(f"Running a TensorRT engine needs {' and '.join(missing)}, not installed here.",
                                    next_step=pip_command(" ".join(missing)))  # fmt: skip
        import tensorrt  # pyright: ignore[reportMissingImports] - only where a GPU is
        import torch

        self.device = f"cuda:{wanted[0] if isinstance(wanted, tuple) else 0}"
        self._trt, self._torch = tensorrt, torch
        with torch.cuda.device(self.device):
            runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
            self._engine: Any = runtime.deserialize_cuda_engine(path.read_bytes())
            if self._engine is None:
                raise DataError(
                    "This engine was built for another GPU or another version of TensorRT.", where=path,
                    next_step="export the model again on this machine: cv export NAME --to tensorrt",
                )  # fmt: skip
            self._context = self._engine.create_execution_context()
        names = [self._engine.get_tensor_name(number) for number in range(self._engine.num_io_tensors)]
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]
        self._input, self._output = inputs[0], next(name for name in names if name not in inputs)
        self._check_input(bundle, path)
        self.batch = int(self._engine.get_tensor_profile_shape(self._input, 0)[2][0])

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """See `Engine.infer`."""
        with told_when_it_fails("TensorRT"):
            parts = [self._run(pictures[start : start + self.batch]) for start in range(0, len(pictures), self.batch)]
        return np.concatenate(parts)

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """See `Engine.stream`."""
        return one_by_one(self.infer, batches)

    def _run(self, pictures: np.ndarray) -> np.ndarray:
        torch, count = self._torch, len(pictures)
        fixed = self._engine.get_tensor_shape(self._input)[0]
        if 0 < count < fixed:
            pictures = np.concatenate([pictures, np.repeat(pictures[-1:], fixed - count, axis=0)])
        with torch.cuda.device(self.device):
            given = torch.from_numpy(np.ascontiguousarray(pictures)).to(self.device)
            self._context.set_input_shape(self._input, tuple(given.shape))
            shape = tuple(self._context.get_tensor_shape(self._output))
            half = self._engine.get_tensor_dtype(self._output) == self._trt.float16
            answer = torch.empty(shape, dtype=torch.float16 if half else torch.float32, device=self.device)
            self._context.set_tensor_address(self._input, given.data_ptr())
            self._context.set_tensor_address(self._output, answer.data_ptr())
            stream = torch.cuda.current_stream()
            if not self._context.execute_async_v3(stream.cuda_stream):
                raise DataError("TensorRT could not run the model.", next_step="export it again on this machine")
            stream.synchronize()
        return answer[:count].float().cpu().numpy()

    def _check_input(self, bundle: Bundle, path: Path) -> None:
        size, shape = bundle.record.preprocessing, tuple(self._engine.get_tensor_shape(self._input))
        kind = self._engine.get_tensor_dtype(self._input)
        if kind != self._trt.uint8 or len(shape) != 4 or shape[1:] != (size.height, size.width, 3):
            raise not_pictures(size, f"{self._input} {kind} {shape}", path)
