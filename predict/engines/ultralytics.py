"""Ultralytics: runs a detector's own checkpoint with torch, on the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...core.device import free_memory, is_memory_full, resolve_device, usable_cores
from ...core.errors import DataError, LensmithError
from ...core.extras import need_extra
from ...core.isolation import isolate_ultralytics
from ...weights.bundle import Bundle, Output
from ...weights.trust import check_checkpoint
from .base import Precision, Tag, no_file, one_by_one, told_when_it_fails

MODEL_NAME = "model.pt"
_BATCH = {"cpu": 4, "cuda": 16}


class TorchDetector:
    """A checkpoint, looked into, loaded, fused and ready.

    Args:
        path: A `.pt` file.
        device: As in `core.device.parse_device`.
        half: Compute in 16 bits on a GPU.

    Raises:
        UsageError: a GPU was asked for that is not there.
        DataError: the file is damaged, hostile, or holds no detector.
    """

    def __init__(self, path: Path, device: str = "auto", *, half: bool = False) -> None:
        check_checkpoint(path)
        isolate_ultralytics()
        import torch
        from ultralytics.nn.tasks import load_checkpoint

        where = resolve_device(device)
        self.device = "cpu" if isinstance(where, str) else f"cuda:{where[0]}"
        if self.device == "cpu":
            torch.set_num_threads(usable_cores())
        try:
            model, _ = load_checkpoint(path, device=torch.device(self.device), fuse=True)
        except Exception as error:  # noqa: BLE001 - a file can be wrong in many ways, and none of them is our fault
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise DataError(f"The model cannot be loaded: {first}", where=path) from None
        self.half = half and self.device != "cpu"
        self.model: Any = (model.half() if self.half else model.float()).eval()

    @property
    def output(self) -> Output:
        """How the model's answer is to be read, see `DetectorRecord.output`.

        Detectors with a head that finds nothing twice (YOLOv10, YOLO26) have one that needs suppression beside it, and
        Ultralytics answers with that one unless told otherwise: it is the more accurate of the two by its own account.
        """
        if type(self.model).__name__ == "RTDETRDetectionModel":
            return "queries"
        return "final" if getattr(self.model, "end2end", False) else "raw"

    @property
    def stride(self) -> int:
        """What the sides of its input must be multiples of, in pixels."""
        return int(max(self.model.stride))

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """See `Engine.infer`; pictures that do not fit into the memory together go through it in halves.

        Raises:
            LensmithError: not even one picture fits.
        """
        try:
            return self._infer(pictures)
        except RuntimeError as error:
            if not is_memory_full(error):
                raise
            if len(pictures) == 1:
                what, other = (
                    ("The memory", "") if self.device == "cpu" else ("The GPU's memory", ", or use --device cpu")
                )
                raise LensmithError(f"{what} is full.", next_step=f"close what else uses it{other}") from None
        free_memory()  # here, where the error does not hold what the failed step had taken any more
        half = len(pictures) // 2
        return np.concatenate([self.infer(pictures[:half]), self.infer(pictures[half:])])

    def _infer(self, pictures: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            if self.device == "cpu":
                batch = torch.from_numpy(np.ascontiguousarray(pictures[..., ::-1]))
            else:  # bytes travel from pinned memory, and the GPU turns them round
                batch = (
                    torch.from_numpy(np.ascontiguousarray(pictures))
                    .pin_memory()
                    .to(self.device, non_blocking=True)
                    .flip(-1)
                )
            batch = batch.permute(0, 3, 1, 2).contiguous()
            output = self.model((batch.half() if self.half else batch.float()) / 255)
        first = output[0] if isinstance(output, (tuple, list)) else output
        return first.float().cpu().numpy()


class UltralyticsEngine:
    """See `Engine`. Opens `model.pt` of a bundle; on a GPU it computes in 16 bits.

    Args:
        bundle: A detector's bundle.
        device: As in `core.device.parse_device`.
        exact: Compute in 32 bits on a GPU too.

    Raises:
        MissingExtraError: ultralytics is not installed.
        UsageError: a GPU was asked for that is not there.
        DataError: the bundle has no such file, or it is damaged, hostile, or holds no detector.
    """

    name = "ultralytics"

    def __init__(self, bundle: Bundle, device: str = "auto", *, exact: bool = False) -> None:
        need_extra("detect", "Running this detector with Ultralytics")
        path = bundle.file(MODEL_NAME)
        if path is None:
            raise no_file(bundle, MODEL_NAME)
        self._detector = TorchDetector(path, device, half=not exact)
        self.precision: Precision = "f16" if self._detector.half else "f32"
        self.device = self._detector.device
        self.batch = _BATCH[self.device.split(":")[0]]

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """See `Engine.infer`."""
        with told_when_it_fails("torch"):
            return self._detector.infer(pictures)

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """See `Engine.stream`."""
        return one_by_one(self.infer, batches)
