"""Which checkpoint an interrupted training can go on from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import LensmithError
from ..core.isolation import isolate_ultralytics
from ..core.progress import warn
from ..weights.trust import check_checkpoint

# In the order of their age, the youngest first; see `trainer.SafeTrainer.save_model`.
_NAMES = ("last.pt", "last-before.pt")


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint with everything needed to go on.

    Attributes:
        path: The file.
        epoch: The epoch it was written after, from 0.
    """

    path: Path
    epoch: int


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be loaded and holds the optimizer's state; None when there is none.

    Without that state Ultralytics would quietly begin a new training, on another dataset.
    """
    for name in _NAMES:
        path = folder / name
        if not path.is_file():
            continue
        try:
            epoch = _epoch_of(path)
        except LensmithError as error:
            warn(f"{name} cannot be used, trying the one before: {error.what}")
            continue
        if epoch is not None:
            return Checkpoint(path, epoch)
    return None


def _epoch_of(path: Path) -> int | None:
    check_checkpoint(path)
    isolate_ultralytics()
    from ultralytics.nn.tasks import torch_safe_load

    try:
        content, _ = torch_safe_load(path)
    except Exception as error:  # noqa: BLE001 - a file can be wrong in many ways
        raise LensmithError(next(iter(str(error).splitlines()), type(error).__name__)) from None
    epoch = content.get("epoch", -1)
    if content.get("optimizer") is None or content.get("ema") is None or not isinstance(epoch, int) or epoch < 0:
        return None
    return epoch
