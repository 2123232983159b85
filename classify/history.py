"""What the epochs of a training tell: read back from a run's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import DataError

HISTORY_NAME = "history.json"
_RISE = 1.1  # of the validation loss above its best
_GAP = 0.1  # between training and validation accuracy

Row = dict[str, Any]


def read_history(run: Path) -> list[Row]:
    """A row per epoch, see `stages.Epoch`; none where the run kept no history.

    Rows of older versions lack what was added since.

    Raises:
        DataError: the file is damaged.
    """
    path = run / HISTORY_NAME
    if not path.is_file():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"The history of this run cannot be read: {error}", where=path) from None
    return [dict(row) for row in rows]


def stage_rows(history: Sequence[Row], stage: str) -> list[Row]:
    """The epochs of one stage."""
    return [row for row in history if row["stage"] == stage]


def shipped_row(history: Sequence[Row]) -> Row | None:
    """The epoch whose weights became the model: the last one that was the best so far."""
    return next((row for row in reversed(history) if row["best"]), None)


def overfitting(history: Sequence[Row]) -> list[str]:
    """Where training and validation part, in plain sentences with what to do; none where they do not.

    A stage has parted where its validation loss ends a tenth or more above its best while the training loss still fell,
    or where the shipped epoch's training accuracy lies more than 0.1 above that on validation pictures.
    """
    said = []
    for stage in ("frozen", "tuned"):
        rows = stage_rows(history, stage)
        if not rows:
            continue
        best = min(rows, key=lambda row: row["val_loss"])
        last = rows[-1]
        if last["val_loss"] >= _RISE * best["val_loss"] and last["loss"] < best["loss"]:
            said.append(
                f"From epoch {best['epoch']} of the {stage} stage on, the loss on validation pictures rises"
                f" ({best['val_loss']:.3f} to {last['val_loss']:.3f}) while that on training pictures falls: the model"
                " learns the training pictures by heart."
            )
    shipped = shipped_row(history)
    if shipped and shipped["accuracy"] - shipped["val_accuracy"] > _GAP:
        said.append(
            f"The model is right on {shipped['accuracy']:.1%} of the training pictures and on"
            f" {shipped['val_accuracy']:.1%} of the validation pictures."
        )
    if said:
        said.append(
            "What helps: more pictures above all; then --augment heavy or more --views, a higher --dropout, fewer"
            " blocks to --unfreeze, fewer epochs. The weights that ship are those of the best epoch, not of the last."
        )
    return said
