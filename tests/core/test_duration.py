"""Spans of time are read and said as people write them."""

from __future__ import annotations

import pytest

from lensmith.core.duration import duration_words, read_duration
from lensmith.core.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1D", 86400),
    ],
)
def test_a_span_is_read(text: str, seconds: float) -> None:
    assert read_duration(text, "--time") == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5m", "0", "0h", "5 minutes", "1h30", "m", "45", "1.5"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="span of time") as refused:
        read_duration(text, "--time")
    assert refused.value.where == "--time"


def test_a_span_is_said_about() -> None:
    assert [duration_words(seconds) for seconds in (4.4, 89, 120, 9000)] == ["4 s", "89 s", "2 min", "2.5 h"]


def test_a_number_without_a_unit_is_asked_about() -> None:
    with pytest.raises(UsageError, match="no unit") as refused:
        read_duration("1", "--time")
    assert refused.value.next_step == "give 1h, 1m or 1s, for hours, minutes or seconds"
