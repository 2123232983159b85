"""What the epochs of a training tell: read back from a run's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import DataError

HISTORY_NAME = "history.json"
_RISE = 1.1  # of the validation loss above its best
_GAP = 0.1  # between training and validation accuracy

_CURVES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "waited", "seconds")

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


def curves_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an epoch that are followed over the epochs, as `report.tracking` takes them."""
    return {name: float(row[name]) for name in _CURVES}


def stage_rows(history: Sequence[Row], stage: str) -> list[Row]:
    """The epochs of one stage."""
    return [row for row in history if row["stage"] == stage]


def shipped_row(history: Sequence[Row]) -> Row | None:
    """The epoch whose weights became the model: the last one that was the best so far."""
    return next((row for row in reversed(history) if row["best"]), None)


def overfitting(history: Sequence[Row], *, partly_frozen: bool = True) -> list[str]:
    """Where training and validation part, in plain sentences with what to do; none where they do not.

    A stage has parted where its validation loss ends a tenth or more above its best while the training loss still fell,
    or where the shipped epoch's accuracy while learning lies more than 0.1 above that on validation pictures. What
    makes learning harder (augmentation, dropout, mixing) only lowers the former, so the gap is no smaller than said.

    Args:
        history: From `read_history`.
        partly_frozen: Whether there are frozen blocks, without which more views or fewer blocks are no advice.
    """
    said = []
    shipped = shipped_row(history)
    for stage in ("frozen", "tuned"):
        rows = stage_rows(history, stage)
        if not rows:
            continue
        best = min(rows, key=lambda row: row["val_loss"])
        last = rows[-1]
        if last["val_loss"] >= _RISE * best["val_loss"] and last["loss"] < best["loss"]:
            said.append(
                f"After epoch {best['epoch']} of the {stage} stage the loss on validation pictures rises"
                f" ({best['val_loss']:.3f} to {last['val_loss']:.3f}) while that on training pictures falls: the model"
                f" learns the training pictures by heart.{_where_shipped(shipped, stage, best['epoch'])}"
            )
    if shipped and shipped["accuracy"] - shipped["val_accuracy"] > _GAP:
        said.append(
            f"While it learned, in the epoch that ships, the model was right on {shipped['accuracy']:.1%} of the"
            " training pictures (augmented and with dropout, where these are used), and after it on"
            f" {shipped['val_accuracy']:.1%} of the validation pictures."
        )
    if said:
        said.append(
            "What helps: more pictures above all; then --augment heavy"
            f"{' or more --views' if partly_frozen else ''}, a higher --dropout,"
            f"{' fewer blocks to --unfreeze,' if partly_frozen else ''} fewer epochs."
        )
    return said


def _where_shipped(shipped: Row | None, stage: str, lowest: int) -> str:
    if shipped is None:
        return ""
    if shipped["stage"] != stage:
        return f" The model that ships comes from the {shipped['stage']} stage."
    if shipped["epoch"] <= lowest:
        return f" The model that ships is that of epoch {shipped['epoch']}, before the rise."
    return (
        f" The model that ships is that of epoch {shipped['epoch']}: it is right more often than that of epoch"
        f" {lowest}, but too sure of itself."
    )
