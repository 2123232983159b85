"""What a person wants of a model's answers, such as "precision=0.95": thresholds are chosen for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from ..core.errors import UsageError

Metric = Literal["precision", "recall"]


@dataclass(frozen=True)
class Target:
    """What the thresholds are chosen for.

    Attributes:
        metric: "precision": of the answers that name a class, so many are right. "recall": of its pictures, so many
            get their answer.
        value: 0..1.
    """

    metric: Metric
    value: float

    def __str__(self) -> str:
        return f"{self.metric}={self.value:g}"


def parse_target(text: str) -> Target:
    """Read "precision=0.95" or "recall=0.9".

    Raises:
        UsageError: it is neither.
    """
    metric, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if metric not in get_args(Metric) or not 0 < number <= 1:
        raise UsageError(
            f"'{text}' is no target.",
            where="--target",
            next_step="write precision=0.95 or recall=0.9, with a share between 0 and 1",
        )
    return Target(cast("Metric", metric), number)
