"""The parts that a JPEG or PNG file is made of, looked at without decoding a pixel."""

from __future__ import annotations

import re
import zlib

_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in a scan ff00 is a byte, and ffd0 to ffd7 only restart it
_NO_PADDING = re.compile(rb"[^\xff]")
_MOST_SEGMENTS = 10_000


def reaches_jpeg_end(data: bytes) -> bool:
    """Whether the end marker comes after the picture's own data; one inside a thumbnail does not count."""
    position = 2
    for _ in range(_MOST_SEGMENTS):
        position = data.find(b"\xff", position)
        after = _NO_PADDING.search(data, position) if position >= 0 else None
        if after is None:
            return False
        marker, position = data[after.start()], after.start() - 1
        if marker == 0xD9:
            return True
        position += 2
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # these stand alone
            continue
        position += int.from_bytes(data[position : position + 2])
        if marker == 0xDA:
            found = _NEXT_MARKER.search(data, position)
            if found is None:
                return False
            position = found.start()
    return False


def png_chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG by type, without the pixels; it ends before the first that is cut short or damaged."""
    chunks: dict[bytes, bytes] = {}
    view = memoryview(data)
    position = 8
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        kind, start = data[position + 4 : position + 8], position + 8
        end = start + length
        if end + 4 > len(data):
            break
        needed = not kind[0] & 0x20  # a small letter: decoders pass over such a chunk when it is damaged
        if needed and zlib.crc32(view[start - 4 : end]) != int.from_bytes(data[end : end + 4]):
            break
        chunks.setdefault(kind, b"" if kind == b"IDAT" else data[start:end])
        position = end + 4
    return chunks
