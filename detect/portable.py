"""A detector's checkpoint as what is handed on: the model alone, and its portable form."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.device import is_memory_full
from ..core.errors import DataError, DiskFullError, LensmithError
from ..core.progress import say, warn
from ..weights.portable import add_picture_input
from ..weights.trust import check_checkpoint
from .trouble import is_no_room


def strip_checkpoint(source: Path, target: Path, max_det: int) -> None:
    """Write the model alone: no optimizer, no paths, no training arguments, no git origin.

    Raises:
        DataError: `source` is damaged.
    """
    check_checkpoint(source)
    import torch
    import ultralytics
    from ultralytics.nn.tasks import torch_safe_load

    checkpoint, _ = torch_safe_load(source)
    found = checkpoint.get("ema") or checkpoint.get("model")
    if not isinstance(found, torch.nn.Module):
        raise DataError("The checkpoint holds no model.", where=source)
    model: Any = found
    model.half()
    model.criterion = None
    model.args = {"task": "detect"}
    model.set_head_attr(max_det=max_det)
    for name in ("pt_path", "class_weights"):
        if hasattr(model, name):
            delattr(model, name)
    for parameter in model.parameters():
        parameter.requires_grad = False
    content = {"epoch": -1, "model": model, "ema": None, "optimizer": None, "train_args": {"task": "detect"},
               "date": datetime.now(UTC).isoformat(), "version": ultralytics.__version__,
               "license": "AGPL-3.0 (https://ultralytics.com/license)"}  # fmt: skip
    torch.save(content, target)


def export_portable(source: Path, target: Path, imgsz: int, max_det: int) -> bool:
    """Export to ONNX with the picture conversion inside; says so and returns False when this model cannot be.

    A training of many hours must not be lost because of it: the bundle then runs with Ultralytics alone. What another
    try may mend is raised, for such a bundle would never get its portable form.

    Raises:
        DiskFullError: no room to write it.
        LensmithError: not enough memory.
    """
    from ultralytics import YOLO

    say("exporting the portable model")
    with _own_copy(source) as copy:
        try:
            exported = YOLO(copy, task="detect").export(
                format="onnx", dynamic=True, imgsz=imgsz, simplify=True, device="cpu", max_det=max_det, verbose=False
            )
            add_picture_input(Path(str(exported)), target, layout="nchw", scale=1 / 255, channels="rgb")
        except Exception as error:  # noqa: BLE001 - the exporters raise whatever they like
            _raise_if_passing(error, target)
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            warn(f"this model has no portable form and will need Ultralytics to run: {reason}")
            target.unlink(missing_ok=True)
            return False
    return True


def _raise_if_passing(error: Exception, target: Path) -> None:
    """Raise what has to do with the machine and not with the model; exporters wrap it in errors of their own."""
    cause: BaseException | None = error
    while cause is not None:
        if is_no_room(cause):
            raise DiskFullError(target) from error
        if isinstance(cause, Exception) and is_memory_full(cause):
            raise LensmithError(
                "There is not enough memory to export the portable model.", where=target,
                next_step="end other programs, then go on with the run: cv resume",
            ) from error  # fmt: skip
        cause = cause.__cause__ or cause.__context__


@contextlib.contextmanager
def _own_copy(source: Path) -> Iterator[Path]:
    """The exporter writes beside its source under its name; here that is a folder of its own."""
    folder = source.parent / "onnx"
    folder.mkdir()
    try:
        yield Path(shutil.copyfile(source, folder / source.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
