"""How far a training came, and why it ended there: what its figures are worth hangs on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..core.duration import duration_words
from ..core.manifest import RunManifest
from ..core.words import many
from .history import Row, best_row

Cause = Literal["patience", "time", "stopped"]


@dataclass(frozen=True)
class Ended:
    """The end of a training.

    Attributes:
        epochs: How many were trained, those before a resume included.
        asked: How many there should have been at most; None where the run's record does not say.
        cause: Why there were fewer: early stopping, `--time`, or what the record says of it; None where nothing cut it
            short, or nobody knows what did.
        why: The same in a few words; empty without a cause.
    """

    epochs: int
    asked: int | None
    cause: Cause | None = None
    why: str = ""

    def __str__(self) -> str:
        """Such as "34 of 100 epochs (early stopping: 20 epochs without a better one)"."""
        count = f"{self.epochs} of {many(self.asked, 'epoch')}" if self.asked else many(self.epochs, "epoch")
        return f"{count} ({self.why})" if self.why else count


def how_it_ended(manifest: RunManifest, history: Sequence[Row]) -> Ended | None:
    """How far a training came; None where it kept no history.

    Args:
        manifest: The run's record.
        history: Its epochs.
    """
    best = best_row(history)
    if best is None:
        return None
    options, last = manifest.options, history[-1].epoch
    epochs, patience, limit = (options.get(key) for key in ("epochs", "patience", "time"))
    asked = epochs if isinstance(epochs, int) else None
    if stopped := manifest.result.get("stopped"):
        return Ended(last, asked, "stopped", str(stopped))
    over = manifest.status == "done" or manifest.result.get("trained")  # its page is written before it is done
    if not over or asked is None or last >= asked:
        return Ended(last, asked)
    # Ultralytics breaks ties between epochs by its own rounding, which its checkpoint alone knows.
    shipped = manifest.result.get("best_epoch", best.epoch)
    if isinstance(patience, int) and last - shipped >= patience:
        return Ended(last, asked, "patience", f"early stopping: {many(patience, 'epoch')} without a better one")
    if limit:
        return Ended(last, asked, "time", f"the {duration_words(limit)} of --time were over")
    return Ended(last, asked)
