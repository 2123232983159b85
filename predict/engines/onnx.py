"""ONNX Runtime: runs a bundle's portable model on the CPU, without any training framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ...core.device import usable_cores
from ...core.errors import DataError, LensmithError
from ...core.extras import need_extra
from ...weights.bundle import PORTABLE_NAME, Bundle
from ...weights.portable import INPUT_NAME
from .base import Tag, one_by_one

_BATCH = 4


class OnnxEngine:
    """See `Engine`. Opens `model.onnx` of a bundle on all CPU cores that this process may use.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        DataError: the bundle has no portable model, or it cannot be loaded, or it does not take pictures.
    """

    name = "onnxruntime"
    device = "cpu"

    def __init__(self, bundle: Bundle) -> None:
        path = bundle.file(PORTABLE_NAME)
        if path is None:
            raise DataError(
                f"The bundle '{bundle.name}' has no portable model ({PORTABLE_NAME}).",
                where=bundle.folder,
                next_step="use --engine auto, which takes the library that the model was trained with",
            )
        need_extra("run", "Running a portable model")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - onnxruntime has a class of its own for each kind of damage
            raise DataError(f"The portable model cannot be loaded: {_first_line(error)}", where=path) from None
        self._fixed_batch = _check_input(self._session.get_inputs(), bundle)
        self._output = self._session.get_outputs()[0].name
        self.batch = self._fixed_batch or _BATCH

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
        try:
            output = self._session.run([self._output], {INPUT_NAME: pictures})[0]
        except Exception as error:  # noqa: BLE001 - as above
            raise LensmithError(f"ONNX Runtime could not run the model: {_first_line(error)}") from None
        return np.asarray(output, dtype=np.float32)


def _check_input(inputs: Sequence[Any], bundle: Bundle) -> int | None:
    """The batch that the model insists on, None when it takes any."""
    size = bundle.record.preprocessing
    if len(inputs) == 1 and inputs[0].name == INPUT_NAME and inputs[0].type == "tensor(uint8)":
        shape = inputs[0].shape
        wanted = (size.height, size.width, 3)
        if len(shape) == 4 and all(not isinstance(g, int) or g == w for g, w in zip(shape[1:], wanted, strict=True)):
            return shape[0] if isinstance(shape[0], int) else None
    found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
    raise DataError(
        f"The portable model must take '{INPUT_NAME}', uint8 (n, {size.height}, {size.width}, 3), but takes: {found}.",
        where=bundle.folder / PORTABLE_NAME,
        next_step="make the bundle again by training or exporting",
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
