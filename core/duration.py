"""Spans of time as a person writes and reads them."""

from __future__ import annotations

import math
import re

from .errors import UsageError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")


def read_duration(text: str, option: str) -> float:
    """Seconds that "90s", "30m", "2h", "1h30m" or "1.5h" stand for.

    Args:
        text: What the person wrote.
        option: Where, for the message: "--time".

    Raises:
        UsageError: it is no span of time, a number without a unit, or none at all.
    """
    word = text.strip().lower()
    parts = _PART.findall(word)
    whole = bool(parts) and re.sub(r"\s", "", word) == "".join(number + unit for number, unit in parts)
    if not whole or (len(parts) > 1 and any(not unit for _, unit in parts)):
        raise UsageError(f"'{text}' is not a span of time.", where=option, next_step="give 90s, 30m, 2h or 1h30m, say")
    seconds = sum(float(number) * _SECONDS.get(unit, 1) for number, unit in parts)
    if not 0 < seconds < math.inf:
        raise UsageError("The span of time is nothing at all.", where=option, next_step="give 30m, say")
    if not parts[0][1]:
        next_step = f"give {word}h, {word}m or {word}s, for hours, minutes or seconds"
        raise UsageError(f"The span of time '{text}' has no unit.", where=option, next_step=next_step)
    return seconds


def duration_words(seconds: float) -> str:
    """About how long that is: "45 s", "12 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
