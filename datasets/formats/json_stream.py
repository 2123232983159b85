"""Read a large JSON file entry by entry, so that a million annotations never lie in memory together."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, TextIO

from ...core.errors import DataError

_CHUNK_CHARACTERS = 1 << 20
_MOST_CHARACTERS = 4 << 20  # of one entry; it is read again when that much does not end it, then given up
_SPACE = " \t\r\n"
_NEXT_STEP = "export the dataset again; the file may have been cut short on its way"


def entries(path: Path, wanted: Container[str]) -> Iterator[tuple[str, Any]]:
    """The entries of the top-level lists of a JSON object, one by one, and its other values whole.

    Args:
        path: A file with one JSON object, in UTF-8, UTF-16 or UTF-32.
        wanted: Keys of which the entries are yielded; everything else is passed over.

    Yields:
        `(key, entry)`, in the order of the file.

    Raises:
        DataError: it is no JSON, is no object, is nested too deeply, or has an entry of more than 8 million characters
            or a number of more than 4,000 digits.
    """
    with path.open("rb") as file:
        encoding = json.detect_encoding(file.read(4))
    try:
        with path.open(encoding="utf-8-sig" if encoding.startswith("utf-8") else encoding) as text:
            yield from _Reader(path, text).top_level(wanted)
    except UnicodeError:
        raise DataError("The annotation file is not text.", where=path, next_step=_NEXT_STEP) from None
    except RecursionError:
        raise DataError("The annotation file is nested too deeply.", where=path) from None


class _Reader:
    def __init__(self, path: Path, text: TextIO) -> None:
        self.path = path
        self.text = text
        self.buffer = ""
        self.at = 0
        self.passed = 0  # characters before the buffer
        self.ended = False
        self.decode = json.JSONDecoder().raw_decode

    def top_level(self, wanted: Container[str]) -> Iterator[tuple[str, Any]]:
        self.expect("{")
        if self.peek() == "}":
            return
        while True:
            key = self.value() if self.peek() == '"' else self.fail()
            self.expect(":")
            take = key in wanted
            if self.peek() == "[":
                for entry in self.list_entries():
                    if take:
                        yield key, entry
            else:
                value = self.value()
                if take:
                    yield key, value
            if self.peek() == "}":
                return
            self.expect(",")

    def list_entries(self) -> Iterator[Any]:
        self.expect("[")
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            yield self.value()
            if self.peek() == "]":
                self.at += 1
                return
            self.expect(",")

    def value(self) -> Any:
        """The value that starts here; it is read again with more text behind it when it seems to be cut off."""
        self.peek()
        while True:
            try:
                value, end = self.decode(self.buffer, self.at)
            except json.JSONDecodeError as error:
                if self.ended or len(self.buffer) - self.at >= _MOST_CHARACTERS:
                    self.fail(error.pos)
            except ValueError:
                self.fail(reason="it holds a number of thousands of digits")
            else:
                if end < len(self.buffer) or self.ended:
                    self.at = end
                    return value
            self.more()

    def peek(self) -> str:
        """The next character that is no space, without passing it; an empty string at the end."""
        while True:
            while self.at < len(self.buffer):
                if self.buffer[self.at] not in _SPACE:
                    return self.buffer[self.at]
                self.at += 1
            if self.ended:
                return ""
            self.more()

    def expect(self, character: str) -> None:
        if self.peek() != character:
            self.fail()
        self.at += 1

    def more(self) -> None:
        chunk = self.text.read(max(_CHUNK_CHARACTERS, len(self.buffer) - self.at))
        self.passed += self.at
        self.buffer, self.at, self.ended = self.buffer[self.at :] + chunk, 0, not chunk

    def fail(self, at: int | None = None, reason: str = "it is no JSON from there on") -> Any:
        spot = self.passed + (self.at if at is None else at) + 1
        what = f"The annotation file cannot be read at character {spot}: {reason}."
        raise DataError(what, where=self.path, next_step=_NEXT_STEP)
