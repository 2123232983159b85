"""Numbers and lists as a person reads them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def many(count: int, one: str, more: str | None = None) -> str:
    """A number with its word: "1 picture", "2 pictures"."""
    return f"{count} {one if count == 1 else more or one + 's'}"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are: "a, b, c, d, e and 3 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def near_names(given: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Names that a person may have meant: those that hold what was typed, then those with a slip or two."""
    by_lower = {name.casefold(): name for name in known}
    typed = given.casefold()
    inside = [lower for lower in by_lower if len(typed) > 1 and typed in lower]
    near = difflib.get_close_matches(typed, by_lower, n=most, cutoff=0.6)
    return [by_lower[lower] for lower in dict.fromkeys([*inside, *near])][:most]
