"""Writes zips byte by byte, so that every field may lie."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

UNIX_FILE = 0o100644 << 16


@dataclass(frozen=True)
class Entry:
    """One entry; what is None is as it should be.

    Attributes:
        local_name: The name in front of the data, where it differs from the directory's.
        method: 0 stored, 8 deflated; anything else is written as it is given, over stored bytes.
        size, packed, crc: What the directory says; `local_size` what stands in front of the data.
        attributes: The upper half is the Unix mode.
        offset: Where the directory says the entry begins; an int is absolute, a string names another entry.
    """

    name: str | bytes
    data: bytes = b"0 0.5 0.5 0.1 0.1\n"
    local_name: str | bytes | None = None
    method: int = 0
    flags: int | None = None
    size: int | None = None
    packed: int | None = None
    crc: int | None = None
    local_size: int | None = None
    local_crc: int | None = None
    attributes: int = UNIX_FILE
    offset: int | str | None = None
    extra: bytes = b""
    listed: int = 1


def make_zip(
    entries: Sequence[Entry],
    *,
    before: bytes = b"",
    after: bytes = b"",
    comment: bytes = b"",
    count: int | None = None,
    start: int | None = None,
    length: int | None = None,
) -> bytes:
    """The bytes of a zip; `count`, `start` and `length` are what the end record says of the directory."""
    body = bytearray(before)
    directory = bytearray()
    offsets: dict[str, int] = {}
    listed = 0
    for entry in entries:
        name = entry.name.encode() if isinstance(entry.name, str) else entry.name
        local = entry.local_name if entry.local_name is not None else name
        local = local.encode() if isinstance(local, str) else local
        packed = _deflate(entry.data) if entry.method == 8 else entry.data
        flags = entry.flags if entry.flags is not None else (0 if name.isascii() else 0x800)
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        size = len(entry.data) if entry.size is None else entry.size
        packed_size = len(packed) if entry.packed is None else entry.packed
        at = len(body)
        offsets[name.decode(errors="replace")] = at
        local_crc = crc if entry.local_crc is None else entry.local_crc
        local_size = size if entry.local_size is None else entry.local_size
        body += struct.pack(
            "<4sHHHHHIIIHH", b"PK\x03\x04", 20, flags, entry.method, 0, 33, local_crc & 0xFFFFFFFF,
            packed_size & 0xFFFFFFFF, local_size & 0xFFFFFFFF, len(local), len(entry.extra),
        )  # fmt: skip
        body += local + entry.extra + packed
        where = offsets[entry.offset] if isinstance(entry.offset, str) else entry.offset
        where = at if where is None else where
        for _ in range(entry.listed):
            directory += struct.pack(
                "<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 0x314, 20, flags, entry.method, 0, 33, crc & 0xFFFFFFFF,
                packed_size & 0xFFFFFFFF, size & 0xFFFFFFFF, len(name), len(entry.extra), 0, 0, 0,
                entry.attributes & 0xFFFFFFFF, where & 0xFFFFFFFF,
            )  # fmt: skip
            directory += name + entry.extra
            listed += 1
    begins = len(body) if start is None else start
    body += directory
    number = listed if count is None else count
    body += struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", 0, 0, number & 0xFFFF, number & 0xFFFF,
        (len(directory) if length is None else length) & 0xFFFFFFFF, begins & 0xFFFFFFFF, len(comment),
    )  # fmt: skip
    return bytes(body + comment + after)


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()
