"""MP4 files that play at any moment, also when the process that writes them is killed.

OpenCV encodes a second or so of video at a time into a small MP4 file of its own, whose frames are taken out here and
appended to the real file as a fragment (ISO/IEC 14496-12, 8.8, "Movie Fragments"). When the file is closed it gets one
index over all frames, which everything that reads videos knows, and the fragments' own are hidden within its data: as
FFmpeg's `hybrid_fragmented` does.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..core.errors import DataError, DiskFullError, is_disk_full

_MOVIE_SCALE = 1000  # ticks of a second in the header of the whole
_FINEST_RATE = 1001  # 30000/1001 and its like are exact
_LEAST_SCALE = 10_000
_KEY_FRAME, _OTHER_FRAME = 0x02000000, 0x01010000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_IN_FILE = struct.pack(">II", 0, 1)  # a data reference: "in this file"


@dataclass(frozen=True)
class Encoded:
    """Some encoded frames.

    Attributes:
        description: What a decoder needs to know: the `stsd` box, whole.
        frames: The data of each frame.
        keys: Whether each can be decoded without those before it.
    """

    description: bytes
    frames: Sequence[bytes]
    keys: Sequence[bool]


def read_encoded(data: bytes) -> Encoded:
    """Take the frames out of an MP4 file with a single video track, as OpenCV writes it.

    Raises:
        DataError: it is not that, or it was cut off.
    """
    try:
        table = _find(data, (b"moov", b"trak", b"mdia", b"minf", b"stbl"))
        boxes = {kind: data[start:end] for kind, start, end in _boxes(data, *table)}
        at, end = _find(data, (b"mdat",))
        uniform, count = struct.unpack_from(">4xII", boxes[b"stsz"])
        sizes = [uniform] * count if uniform else struct.unpack_from(f">{count}I", boxes[b"stsz"], 12)
        keys = set(range(1, count + 1))
        if b"stss" in boxes:
            keys = set(struct.unpack_from(f">{struct.unpack_from('>4xI', boxes[b'stss'])[0]}I", boxes[b"stss"], 8))
    except (KeyError, struct.error) as error:
        raise DataError("This is not an encoded video of one track.") from error
    if sum(sizes) > end - at:
        raise DataError("This encoded video was cut off.")
    frames = []
    for size in sizes:
        frames.append(data[at : at + size])
        at += size
    return Encoded(_box(b"stsd", boxes[b"stsd"]), frames, [number in keys for number in range(1, count + 1)])


class Mp4File:
    """An MP4 file that is appended to, fragment by fragment; after each it is complete as it stands.

    Args:
        path: Where; nothing may be there.
        size: Width and height in pixels.
        frames_per_second: Not rounded.

    Raises:
        FileExistsError: something has the name.
        OSError: as the system gave it.
    """

    def __init__(self, path: Path, size: tuple[int, int], frames_per_second: float) -> None:
        self.path = path
        self.frames = 0
        rate = Fraction(frames_per_second).limit_denominator(_FINEST_RATE)
        finer = -(-_LEAST_SCALE // rate.numerator)
        self._scale, self._ticks = rate.numerator * finer, rate.denominator * finer
        self._size = size
        self._description = b""
        self._end = 0
        self._cover = 0  # where the box begins that hides the fragments in the end
        self._sizes, self._keys = array("I"), array("I")
        self._chunks: list[tuple[int, int]] = []  # where the frames of each fragment begin, and how many they are
        self._file = path.open("xb", buffering=0)

    def append(self, encoded: Encoded) -> None:
        """Append frames as one fragment; on a full disk nothing of it stays.

        Raises:
            DiskFullError: there is no room.
            OSError: as the system gave it.
        """
        if not encoded.frames:
            return
        head = b""
        if not self._chunks:
            self._description = encoded.description
            head = _box(b"ftyp", b"iso5" + struct.pack(">I", 512) + b"iso5iso6isommp41")
            self._cover = len(head)
            head += _box(b"free", bytes(8)) + self._movie(fragmented=True)
        sizes = [len(frame) for frame in encoded.frames]
        head += self._fragment(sizes, encoded.keys) + struct.pack(">I4s", 8 + sum(sizes), b"mdat")
        begin = self._end + len(head)
        self._write(b"".join([head, *encoded.frames]))
        self._chunks.append((begin, len(sizes)))
        self._sizes.extend(sizes)
        self._keys.extend(self.frames + number for number, key in enumerate(encoded.keys, 1) if key)
        self.frames += len(sizes)

    def close(self) -> None:
        """Write the index over all frames; where there is no room for it, the file stays as it is, and plays.

        Raises:
            OSError: as the system gave it, other than for want of room.
        """
        if self._file.closed:
            return
        try:
            if self._chunks:
                end = self._end
                self._write(self._movie(fragmented=False))
                # This one write turns a file of fragments into one with an index: a reader sees the one or the other.
                self._file.seek(self._cover)
                self._file.write(struct.pack(">I4sQ", 1, b"mdat", end - self._cover))
        except DiskFullError:
            pass
        finally:
            self._file.close()
            if not self._chunks:
                self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            self._file.truncate(self._end)
            self._file.seek(self._end)
            if is_disk_full(error):
                raise DiskFullError(self.path, kept=f"{self.frames} frames") from error
            raise
        self._end += len(data)

    def _fragment(self, sizes: Sequence[int], keys: Sequence[bool]) -> bytes:
        rows = b"".join(
            struct.pack(">II", size, _KEY_FRAME if key else _OTHER_FRAME) for size, key in zip(sizes, keys, strict=True)
        )

        def moof(data_at: int) -> bytes:
            track = (
                _full(b"tfhd", 0x020000, struct.pack(">I", 1)),
                _full(b"tfdt", 0, struct.pack(">Q", self.frames * self._ticks), version=1),
                _full(b"trun", 0x000601, struct.pack(">Ii", len(sizes), data_at) + rows),
            )
            number = struct.pack(">I", len(self._chunks) + 1)
            return _box(b"moof", _full(b"mfhd", 0, number), _box(b"traf", *track))

        return moof(len(moof(0)) + 8)

    def _movie(self, *, fragmented: bool) -> bytes:
        """The `moov` box: without a frame in it, before fragments; or with the index over all."""
        frames = 0 if fragmented else self.frames
        ticks = frames * self._ticks
        length = round(ticks * _MOVIE_SCALE / self._scale)
        width, height = self._size
        header = struct.pack(">QQIQ", 0, 0, _MOVIE_SCALE, length) + struct.pack(">IH10x", 0x10000, 0x100)
        track = struct.pack(">QQI4xQ", 0, 0, 1, length) + bytes(16) + _MATRIX
        media = struct.pack(">QQIQHH", 0, 0, self._scale, ticks, 0x55C4, 0)
        boxes = [
            _full(b"mvhd", 0, header + _MATRIX + bytes(24) + struct.pack(">I", 2), version=1),
            _box(
                b"trak",
                _full(b"tkhd", 3, track + struct.pack(">II", width << 16, height << 16), version=1),
                _box(
                    b"mdia",
                    _full(b"mdhd", 0, media, version=1),
                    _full(b"hdlr", 0, bytes(4) + b"vide" + bytes(12) + b"video\0"),
                    _box(
                        b"minf",
                        _full(b"vmhd", 1, bytes(8)),
                        _box(b"dinf", _box(b"dref", _IN_FILE, _full(b"url ", 1, b""))),
                        _box(b"stbl", self._description, *self._index(frames)),
                    ),
                ),
            ),
        ]
        if fragmented:
            boxes.append(_box(b"mvex", _full(b"trex", 0, struct.pack(">5I", 1, 1, self._ticks, 0, 0))))
        return _box(b"moov", *boxes)

    def _index(self, frames: int) -> Iterator[bytes]:
        if not frames:
            for kind in (b"stts", b"stsc", b"stco"):
                yield _full(kind, 0, bytes(4))
            yield _full(b"stsz", 0, bytes(8))
            return
        runs: list[tuple[int, int, int]] = []
        for number, (_, count) in enumerate(self._chunks, 1):
            if not runs or runs[-1][1] != count:
                runs.append((number, count, 1))
        yield _full(b"stts", 0, struct.pack(">3I", 1, frames, self._ticks))
        yield _full(b"stsc", 0, struct.pack(">I", len(runs)) + b"".join(struct.pack(">3I", *run) for run in runs))
        yield _full(b"stss", 0, struct.pack(">I", len(self._keys)) + _big_endian(self._keys))
        yield _full(b"stsz", 0, struct.pack(">II", 0, frames) + _big_endian(self._sizes))
        places = array("Q", [begin for begin, _ in self._chunks])
        yield _full(b"co64", 0, struct.pack(">I", len(places)) + _big_endian(places))


def _big_endian(numbers: array[int]) -> bytes:
    turned = numbers[:]
    if struct.pack("=H", 1) != struct.pack(">H", 1):
        turned.byteswap()
    return turned.tobytes()


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full(kind: bytes, flags: int, content: bytes, *, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), content)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of the content of each box; struct.error where the data ends too early."""
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        if size < head or start + size > end:
            raise struct.error("a box without an end")
        yield kind, start + head, start + size
        start += size


def _find(data: bytes, path: Sequence[bytes]) -> tuple[int, int]:
    start, end = 0, len(data)
    for wanted in path:
        start, end = next(((a, b) for kind, a, b in _boxes(data, start, end) if kind == wanted), (-1, -1))
        if start < 0:
            raise KeyError(wanted)
    return start, end
