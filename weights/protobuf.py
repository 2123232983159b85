"""Read the bytes of a protobuf message field by field, and believe none of its lengths."""

from __future__ import annotations

from collections.abc import Iterator

Value = int | memoryview
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_MOST_FIELDS = 2_000_000  # a second or two; the largest detector has some 30,000


class Damaged(ValueError):  # noqa: N818 - it says what the file is
    """The bytes are no protobuf message, or one that no exporter writes."""


class Reader:
    """Walks through messages and keeps count of their fields, so that a file cannot make it walk for ever."""

    def __init__(self) -> None:
        self._left = _MOST_FIELDS

    def fields(self, data: memoryview) -> Iterator[tuple[int, Value]]:
        """Number and value of each field of a message: an int, or the bytes of what has a length.

        Raises:
            Damaged: see there.
        """
        at, end = 0, len(data)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise Damaged("it holds more parts than any model")
            key, at = _varint(data, at)
            number, kind = key >> 3, key & 7
            if kind == _VARINT:
                value, at = _varint(data, at)
                yield number, value
                continue
            if kind == _BYTES:
                length, at = _varint(data, at)
            elif kind in {_FOUR, _EIGHT}:
                length = 4 if kind == _FOUR else 8
            else:
                raise Damaged(f"a field of kind {kind}")
            if length > end - at:
                raise Damaged("it is cut short")
            yield number, data[at : at + length]
            at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise Damaged("it is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise Damaged("a number that does not end")


def signed(value: int) -> int:
    """An int64 as it was meant."""
    return value - (1 << 64) if value >> 63 else value


def numbers(value: Value) -> list[int]:
    """The int64 numbers of a repeated field: one, or many packed together."""
    if isinstance(value, int):
        return [signed(value)]
    found, at = [], 0
    while at < len(value):
        one, at = _varint(value, at)
        found.append(signed(one))
        if len(found) > 1000:
            raise Damaged("a shape of more than 1000 axes")
    return found


def text(value: Value) -> str:
    """A string; what would paint the terminal becomes "?"."""
    if isinstance(value, int):
        raise Damaged("a number where a name should be")
    return plain(bytes(value[:500]).decode(errors="replace"))


def plain(name: str) -> str:
    """A name out of a file as it may be shown."""
    return "".join(character if character.isprintable() else "?" for character in name)
