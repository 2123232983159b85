"""The checkpoints of a training: which one an interrupted training goes on from, and which one holds the best model.

train/weights/last.pt, best.pt                 of the newest and of the best epoch
train/weights/last-before.pt, best-before.pt   what had these names before, see `trainer.SafeTrainer.save_model`
"""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import DataError, LensmithError
from ..core.files import write_atomic
from ..core.isolation import isolate_ultralytics
from ..core.manifest import RunManifest
from ..core.progress import warn
from ..weights.trust import check_checkpoint

LAST, LAST_BEFORE, BEST, BEST_BEFORE = "last.pt", "last-before.pt", "best.pt", "best-before.pt"
EXTENDED = "extended"  # in the manifest's result: when a finished training was told to go on


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint with everything needed to go on.

    Attributes:
        path: The file.
        epoch: The epoch it was written after, from 1.
        best_epoch: The best epoch so far, from 1, as early stopping counts it.
        results: The columns of results.csv up to this epoch, by name; empty where the library could not read them.
    """

    path: Path
    epoch: int
    best_epoch: int
    results: Mapping[str, Sequence[Any]] = field(default_factory=dict, repr=False)

    @property
    def seconds(self) -> float:
        """How long was trained up to here; the library's clock begins anew in each session."""
        total = before = 0.0
        for now in (float(value) for value in self.results.get("time", ())):
            total += now - before if now >= before else now
            before = now
        return total


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole and holds the optimizer's state; None when none was written yet.

    Without that state Ultralytics would quietly begin a new training, on another dataset.

    Raises:
        DataError: checkpoints are there and none can be used.
    """
    return _first_whole(folder, LAST, LAST_BEFORE, "go on from")


def best_checkpoint(folder: Path) -> Checkpoint | None:
    """The best checkpoint that is whole, for the bundle; None when none was written yet.

    Raises:
        DataError: checkpoints are there and none can be used.
    """
    best, before = folder / BEST, folder / BEST_BEFORE
    if before.exists() and not best.exists():  # killed between two renames on a disk without hard links
        before.rename(best)
    return _first_whole(folder, BEST, BEST_BEFORE, "make a model of")


def _first_whole(folder: Path, name: str, before: str, purpose: str) -> Checkpoint | None:
    reasons = []
    for file in (name, before):
        path = folder / file
        if not path.is_file():
            continue
        try:
            checkpoint = read_checkpoint(path)
        except LensmithError as error:
            reasons.append(f"{file}: {error.what}")
            continue
        if reasons:
            warn(f"{'; '.join(reasons)} {file}, from epoch {checkpoint.epoch}, takes its place")
        return checkpoint
    if reasons:
        raise DataError(
            f"There is no checkpoint to {purpose}. {' '.join(reasons)}",
            where=folder,
            next_step="bring back a copy of them if you have one, or start the training anew; nothing was deleted",
        )
    return None


def extended_after(manifest: RunManifest) -> int:
    """After which epoch, from 1, a finished training was told to go on, see `extend_yolo`; 0 when it never was.

    Early stopping counts from there, and an epoch up to there is in a bundle already.
    """
    extensions = manifest.result.get(EXTENDED) or [{}]
    return int(extensions[-1].get("after", 0))


def read_checkpoint(path: Path) -> Checkpoint:
    """Look into a checkpoint, every byte of it.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is damaged, holds more than a detector's own parts, or not enough to go on from.
    """
    check_checkpoint(path)
    _check_bytes(path)
    isolate_ultralytics()
    from ultralytics.nn.tasks import torch_safe_load

    try:
        content, _ = torch_safe_load(path)
    except Exception as error:  # noqa: BLE001 - a file can be wrong in many ways
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"It cannot be loaded: {reason}.", where=path) from None
    epoch = content.get("epoch", -1)
    if content.get("optimizer") is None or content.get("ema") is None or not isinstance(epoch, int) or epoch < 0:
        raise DataError("It holds no optimizer state: it is a model alone.", where=path)
    stopper, results = content.get("stopper") or {}, content.get("train_results") or {}
    return Checkpoint(path, epoch + 1, int(stopper.get("best_epoch", 0)), results)


def _check_bytes(path: Path) -> None:
    """The archive carries a sum of each part, which torch does not look at: a flipped bit would train on unseen."""
    try:
        with zipfile.ZipFile(path) as archive:
            spoilt = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"It is damaged: {error}.", where=path) from None
    if spoilt is not None:
        raise DataError(f"It is damaged: the sum of its part {Path(spoilt).name} is wrong.", where=path)


def mend_results(path: Path, checkpoint: Checkpoint | None) -> None:
    """Bring results.csv to where a checkpoint stands: one row for each epoch up to it, and none that is done again.

    A kill between a row and its checkpoint leaves a row too many or half of one; a lost power supply leaves too few,
    and those stand in the checkpoint too. Rows that are right stay as they are, to the letter.

    Args:
        path: `train/results.csv`, made anew if needed.
        checkpoint: What training goes on from; None removes the file, since training begins anew.
    """
    if checkpoint is None:
        path.unlink(missing_ok=True)
        return
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    lines = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
    header = ",".join(checkpoint.results) or next(iter(lines), "")
    rows = _recorded_rows(checkpoint) | _whole_rows(lines, header)
    kept = [rows[epoch] for epoch in range(1, checkpoint.epoch + 1) if epoch in rows]
    mended = "\n".join([header, *kept]) + "\n"
    if mended != text:
        write_atomic(path, mended)


def _recorded_rows(checkpoint: Checkpoint) -> dict[int, str]:
    """The rows that a checkpoint carries, by epoch, in the library's own way to write them."""
    columns = checkpoint.results
    return {int(row[0]): ",".join(f"{value:.6g}" for value in row) for row in zip(*columns.values(), strict=True)}


def _whole_rows(lines: Sequence[str], header: str) -> dict[int, str]:
    """The rows of a file that has this header, by epoch; of two for one epoch, the later."""
    if not lines or lines[0] != header:
        return {}
    width = len(next(csv.reader(io.StringIO(header)), []))
    rows: dict[int, str] = {}
    for line in lines[1:]:
        values = [_number(cell) for cell in line.split(",")]
        if len(values) == width and not any(value is None for value in values):
            rows[int(values[0] or 0)] = line
    return rows


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return 0.0 if math.isnan(value) else value  # a loss may be NaN; the row is whole
