"""What the epochs of a detector's training tell: read from the `results.csv` that Ultralytics writes, never written."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError

RESULTS_PATH = Path("train") / "results.csv"
_RISE = 1.1  # of the validation loss above its best
_FEWEST = 10  # epochs; in the first ones the rate still rises and the loss of the new head goes up and down
_METRICS = {
    "metrics/precision(B)": "precision", "metrics/recall(B)": "recall", "metrics/mAP50(B)": "mAP50",
    "metrics/mAP50-95(B)": "mAP50-95",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One epoch.

    Attributes:
        epoch: From 1.
        seconds: How long it took, validation included.
        train: Its losses on training pictures by name ("box", "cls", "dfl"), while it learned.
        valid: The same on validation pictures, after it.
        metrics: "mAP50", "mAP50-95", "precision" and "recall" on validation pictures, as Ultralytics counts them.
        learning_rate: At its end, of the first group of weights; NaN where the file does not say.
    """

    epoch: int
    seconds: float
    train: Mapping[str, float]
    valid: Mapping[str, float]
    metrics: Mapping[str, float]
    learning_rate: float = math.nan

    @property
    def train_loss(self) -> float:
        """All training losses together."""
        return sum(self.train.values())

    @property
    def valid_loss(self) -> float:
        """All validation losses together."""
        return sum(self.valid.values())

    @property
    def score(self) -> float:
        """By which Ultralytics chooses the best epoch: mAP50-95."""
        return self.metrics.get("mAP50-95", math.nan)


def read_history(run: Path) -> list[Row]:
    """A row per epoch, in order; none where the run kept no history.

    An epoch that was done again after an interruption counts as it was done last; a line that a kill cut off does not
    count.

    Raises:
        DataError: the file is no table of epochs.
    """
    path = run / RESULTS_PATH
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = list(csv.reader(file))
    head = [name.strip() for name in lines[0]] if lines else []
    if "epoch" not in head:
        raise DataError("This is no table of epochs: it has no column 'epoch'.", where=path)
    rows: dict[int, Row] = {}
    clock = 0.0
    for line in lines[1:]:
        values = _values(head, line)
        if values is None:
            continue
        # Ultralytics' clock starts anew when a training goes on.
        time = values.get("time", clock)
        row = _row(values, time - clock if time >= clock else time)
        clock = time
        rows[row.epoch] = row
    return [rows[epoch] for epoch in sorted(rows)]


def best_row(history: Sequence[Row]) -> Row | None:
    """The epoch whose weights became the model: the first one with the highest mAP50-95; None where none has any."""
    measured = [row for row in history if not math.isnan(row.score)]
    return max(measured, key=lambda row: row.score, default=None)


def overfitting(history: Sequence[Row]) -> list[str]:
    """Where training and validation part, in plain sentences with what to do; none where they do not.

    They have parted where the validation loss ends a tenth or more above its best while the training loss still fell.
    Nothing is said of fewer than ten epochs, nor while the boxes get better: where the best epoch is among the last
    tenth, at least among the last three, more epochs may help, whatever the loss does.
    """
    measured = [row for row in history if row.valid and math.isfinite(row.valid_loss)]
    shipped = best_row(history)
    late = history[-max(len(history) // 10, 3) :]
    if shipped is None or len(measured) < _FEWEST or any(row.score >= shipped.score for row in late):
        return []
    best, last = min(measured, key=lambda row: row.valid_loss), measured[-1]
    if last.valid_loss < _RISE * best.valid_loss or last.train_loss >= best.train_loss:
        return []
    where = (
        f"The model that ships is that of epoch {shipped.epoch}, before the rise."
        if shipped.epoch <= best.epoch
        else f"The model that ships is that of epoch {shipped.epoch}: its boxes are better (mAP50-95"
        f" {shipped.score:.3f}, {best.score:.3f} at epoch {best.epoch}) though its loss is higher."
    )
    return [
        f"After epoch {best.epoch} the loss on validation pictures rises ({best.valid_loss:.2f} to"
        f" {last.valid_loss:.2f}) while that on training pictures falls: the model learns the training pictures by"
        f" heart. {where}",
        "What helps: more pictures above all; then --augment heavy, --freeze backbone, a smaller model, or fewer"
        " epochs (--patience stops where nothing gets better).",
    ]


def _values(head: Sequence[str], line: Sequence[str]) -> dict[str, float] | None:
    if len(line) != len(head):
        return None
    try:
        values = {name: float(text) for name, text in zip(head, line, strict=True)}
    except ValueError:
        return None
    return values if values["epoch"] >= 1 else None


def _row(values: Mapping[str, float], seconds: float) -> Row:
    def losses(part: str) -> dict[str, float]:
        return {
            name.removeprefix(part).removesuffix("_loss"): value
            for name, value in values.items()
            if name.startswith(part)
        }

    rates = [value for name, value in values.items() if name.startswith("lr/")]
    return Row(
        epoch=int(values["epoch"]),
        seconds=seconds,
        train=losses("train/"),
        valid=losses("val/"),
        metrics={ours: values[theirs] for theirs, ours in _METRICS.items() if theirs in values},
        learning_rate=rates[0] if rates else math.nan,
    )
