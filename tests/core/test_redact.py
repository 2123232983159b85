"""Keys are hidden, and our own words are not."""

from __future__ import annotations

import pytest

from lensmith.core.redact import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'fliplr' is not KEY=VALUE.", "'fliplr' is not KEY=VALUE."),
        ("--set KEY=VALUE", "--set KEY=VALUE"),
        ("https://a.b/c?api_key=abc123&x=1", "https://a.b/c?api_key=***&x=1"),
        ("https://a.b/c?key=VALUES", "https://a.b/c?key=***"),
        ("https://a.b/c?key=VALUE", "https://a.b/c?key=***"),
        ("KEY=s3cret", "KEY=***"),
        ("token=VALUE", "token=***"),
    ],
)
def test_what_is_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown
