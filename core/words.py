"""Numbers and lists as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence


def many(count: int, one: str, more: str | None = None) -> str:
    """A number with its word: "1 picture", "2 pictures"."""
    return f"{count} {one if count == 1 else more or one + 's'}"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are: "a, b, c, d, e and 3 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
