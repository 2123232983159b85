"""Archives by hand: what each is called, its bytes, and whether it must be refused."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from typing import Literal

from .zips import Entry, make_zip

Expected = Literal["ok", "refused", "either"]
Case = tuple[str, Expected, bytes]

_GOOD = Entry("train/labels/a.txt")
_SECOND = Entry("train/labels/b.txt", b"1 0.5 0.5 0.2 0.2\n")

_LEAVING = [
    "../x.txt", "../../x.txt", "../" * 30 + "x.txt", "a/../../x.txt", "a/../x.txt", "a/b/../../../x.txt", "..\\x.txt",
    "a\\..\\..\\x.txt", "..//x.txt", "./../x.txt", "a/./../../x.txt", "../x.cache", "train/../../labels/x.txt",
    "/x.txt",
    "//x.txt", "/tmp/x.txt", "/etc/cron.d/x.txt", "\\x.txt", "\\\\server\\share\\x.txt", "//server/share/x.txt",
    "C:\\x.txt", "C:/x.txt", "c:x.txt", "Z:..\\x.txt", "\\\\?\\C:\\x.txt", "\\\\.\\pipe\\x.txt", "a/..", "..", "../",
    "a/../..", "..\\..", "..\\/x.txt", "a/b/c/../../../../x.txt", "\u2025/../x.txt", "../\u202etxt.x.txt",
]  # fmt: skip
_NAMES_REFUSED = [
    "a\nb.txt", "a\x1b[2Jb.txt", "a\x07.txt", "\x7f.txt", "a\x00.txt", "a.jpg\x00.txt", "a\r.txt", "a\tb.txt", "",
    "/", "./", "x" * 256 + ".txt", "a/" * 600 + "b.txt", "ü" * 200 + ".txt",
]  # fmt: skip
_NAMES_FINE = [
    "train/images/été 1.jpg", "train/images/画像.png", "train/images/\u202egpj.txt", "a b  c.txt", "%2e%2e/x.txt",
    "..x/y.txt", "x../y.txt", "...", ".../x.txt", "~/x.txt", "$HOME/x.txt", "`id`.txt", "a;b.txt", "a'b\".txt",
    "-rf.txt",
    "x" * 200 + ".txt", "./train//labels/./x.txt", "a/b/c/d/e/f/g/h/i/j/k.txt", "aux.txt", "CON.txt",
]  # fmt: skip
_UNWANTED = [
    "labels.cache", "train/labels.cache", "run.py", "setup.sh", "model.pt", "x.pkl", "sitecustomize.py", ".bashrc",
    ".git/config", "__MACOSX/._a.txt", "x.exe", "x.so", "data.yaml.py", "__init__.py", "x.pth", "dataset.json.bak",
]  # fmt: skip
_MODES = {
    "link": stat.S_IFLNK, "fifo": stat.S_IFIFO, "device": stat.S_IFCHR, "disk": stat.S_IFBLK, "socket": stat.S_IFSOCK,
    "nonsense": 0o170000,
}  # fmt: skip


def cases() -> list[Case]:
    """All of them, in a fixed order."""
    return [*_names(), *_specials(), *_doubles(), *_bombs(), *_lies(), *_ends(), *_right()]


def _names() -> list[Case]:
    made: list[Case] = [(f"leaves: {name!r}", "refused", make_zip([_GOOD, Entry(name)])) for name in _LEAVING]
    made += [(f"name: {name!r}"[:60], "refused", make_zip([_GOOD, Entry(name)])) for name in _NAMES_REFUSED]
    made += [(f"name: {name!r}"[:60], "ok", make_zip([_GOOD, Entry(name)])) for name in _NAMES_FINE]
    made += [(f"unwanted: {name}", "ok", make_zip([_GOOD, Entry(name, b"import os")])) for name in _UNWANTED]
    bytes_names = [b"\xff\xfe.txt", b"caf\xe9.txt", b"\xc0\xae\xc0\xae/x.txt", b"a\xed\xa0\x80.txt"]
    made += [(f"bytes: {name!r}", "either", make_zip([_GOOD, Entry(name, flags=0x800)])) for name in bytes_names]
    return made


def _specials() -> list[Case]:
    made: list[Case] = []
    for name, mode in _MODES.items():
        entry = Entry("train/images/x.jpg", b"../../../given/secret.txt", attributes=(mode | 0o777) << 16)
        made.append((f"special: {name}", "refused", make_zip([_GOOD, entry])))
    into = Entry("out", b"../../..", attributes=(stat.S_IFLNK | 0o777) << 16)
    made.append(("through a link", "refused", make_zip([into, Entry("out/x.txt")])))
    folder = Entry("out/", b"../../..", attributes=(stat.S_IFLNK | 0o777) << 16)
    made.append(("a link called a folder", "refused", make_zip([folder, Entry("out/x.txt")])))
    made.append(("a file with the bits of a root program", "ok", make_zip([Entry("a.txt", attributes=0o104777 << 16)])))
    made.append(("no permission at all", "ok", make_zip([Entry("a.txt", attributes=stat.S_IFREG << 16)])))
    return made


def _doubles() -> list[Case]:
    pairs = [
        ("a.txt", "a.txt"), ("a.txt", "A.TXT"), ("d/a.txt", "D/A.txt"), ("a.txt", "a.txt/b.txt"),
    ("a.txt/b.txt", "a.txt"),
        ("é.txt", "e\u0301.txt"), ("ß.txt", "SS.txt"), ("a.txt", "./a.txt"), ("a.txt", ".//a.txt"),
    ("d\\a.txt", "d/a.txt"),
        ("a.txt/", "a.txt"), ("K.txt", "\u212a.txt"),
    ]  # fmt: skip
    return [(f"two in one place: {a!r} {b!r}", "refused", make_zip([Entry(a), Entry(b, b"1\n")])) for a, b in pairs]


def _bombs() -> list[Case]:
    zeros = b"0" * (12 << 20)
    inner = make_zip([Entry("a.txt", zeros, method=8)])
    stored = make_zip([Entry(f"{number}.zip", inner) for number in range(20)])
    return [
        ("twelve megabytes of noughts", "refused", make_zip([Entry("a.txt", zeros, method=8)])),
        ("many small ones", "refused", make_zip([Entry(f"{n}.txt", b"0" * 900_000, method=8) for n in range(60)])),
        ("claims 4 GB", "refused", make_zip([Entry("a.txt", size=0xFFFFFFF0)])),
        ("claims 4 GB twice, packed too", "refused", make_zip([Entry("a.txt", size=0xFFFFFFF0, packed=0xFFFFFFF0)])),
        (
            "one kernel, many names",
            "refused",
            make_zip([Entry("a.txt", b"0" * 5000, method=8, listed=1), *_same("a.txt")]),
        ),
        ("quoted headers", "refused", _quoted()),
        ("zips in a zip are left alone", "refused", stored),
        ("zip64 says 2 to the 60", "refused", make_zip([_sized(1 << 60)])),
        ("says less than it is", "refused", make_zip([Entry("a.txt", b"0" * 4000, method=8, size=100)])),
        ("says more than it is", "refused", make_zip([Entry("a.txt", b"0" * 4000, method=8, size=9000)])),
    ]


def _same(name: str) -> list[Entry]:
    return [Entry(f"{number}.txt", b"", offset=name, size=5000, packed=30, method=8) for number in range(50)]


def _quoted() -> bytes:
    """Each entry's data holds the next entry whole, so that the directory's sizes overlap."""
    tail = make_zip([Entry("b.txt", b"0" * 3000)])
    return make_zip([Entry("a.txt", tail[:3000]), Entry("b.txt", offset=30, size=2900, packed=2900)])


def _sized(size: int) -> Entry:
    extra = struct.pack("<HHQ", 1, 8, size)
    return Entry("a.txt", size=0xFFFFFFFF, extra=extra)


def _lies() -> list[Case]:
    made: list[Case] = [
        ("another name in front", "refused", make_zip([Entry("a.txt", local_name="../../x.txt")])),
        ("another harmless name in front", "refused", make_zip([Entry("a.txt", local_name="b.txt")])),
        ("wrong sum", "refused", make_zip([_GOOD, Entry("b.txt", crc=1)])),
        ("wrong sum in front only", "either", make_zip([_GOOD, Entry("b.txt", local_crc=1)])),
        ("another size in front", "either", make_zip([_GOOD, Entry("b.txt", local_size=7)])),
        ("begins past the end", "refused", make_zip([_GOOD, Entry("b.txt", offset=1 << 20)])),
        ("begins inside another", "refused", make_zip([_GOOD, Entry("b.txt", offset=10)])),
        ("two at one place", "refused", make_zip([_GOOD, Entry("b.txt", offset="train/labels/a.txt")])),
        ("broken stream", "refused", make_zip([_GOOD, Entry("b.txt", b"\xff" * 40, method=0, flags=0)]).replace(
            b"\xff" * 40, b"\xfe" * 40)),
        ("a folder with content", "either", make_zip([_GOOD, Entry("d/", b"what")])),
        ("flags that nobody knows", "either", make_zip([_GOOD, Entry("b.txt", flags=0x1000)])),
    ]  # fmt: skip
    made += [
        (f"flag {flag:#x}", "refused", make_zip([_GOOD, Entry("b.txt", flags=flag)])) for flag in (1, 0x40, 0x2000)
    ]
    made += [(f"method {way}", "refused", make_zip([_GOOD, Entry("b.txt", method=way)])) for way in (1, 12, 14, 93, 99)]
    return made


def _ends() -> list[Case]:
    whole = make_zip([_GOOD, _SECOND])
    return [
        ("nothing", "refused", b""),
        ("an end and no more", "refused", make_zip([])),
        ("a page", "refused", b"<html>sign in</html>" * 50),
        ("half of it", "refused", whole[: len(whole) // 2]),
        ("all but the last byte", "refused", whole[:-1]),
        ("no end record", "refused", whole[: whole.index(b"PK\x05\x06")]),
        ("counts one too many", "either", make_zip([_GOOD, _SECOND], count=3)),
        ("counts one too few", "either", make_zip([_GOOD, _SECOND], count=1)),
        ("directory elsewhere", "refused", make_zip([_GOOD, _SECOND], start=0)),
        ("directory past the end", "refused", make_zip([_GOOD, _SECOND], start=1 << 30)),
        ("directory without length", "refused", make_zip([_GOOD, _SECOND], length=0)),
        ("directory too long", "refused", make_zip([_GOOD, _SECOND], length=1 << 30)),
        ("a second end in the comment", "either", make_zip([_GOOD], comment=make_zip([Entry("../x.txt")]))),
    ]


def _right() -> list[Case]:
    streamed = io.BytesIO()
    with zipfile.ZipFile(_NoSeek(streamed), "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        archive.writestr("train/labels/a.txt", b"0 0.5 0.5 0.1 0.1\n" * 50)
    wide = io.BytesIO()
    with zipfile.ZipFile(wide, "w") as archive, archive.open("a.txt", "w", force_zip64=True) as file:
        file.write(b"0 0.5 0.5 0.1 0.1\n")
    return [
        ("deflated", "ok", make_zip([Entry("a.txt", b"0 0.5 0.5 0.1 0.1\n" * 99, method=8)])),
        ("streamed", "ok", streamed.getvalue()),
        ("zip64", "ok", wide.getvalue()),
        ("folders of their own", "ok", make_zip([Entry("train/", b"", attributes=0o040755 << 16), _GOOD])),
        ("an empty label", "ok", make_zip([_GOOD, Entry("b.txt", b"")])),
        ("a comment", "ok", make_zip([_GOOD], comment=b"by hand")),
        ("something in front", "either", make_zip([_GOOD], before=b"#!/bin/sh\nexit\n")),
        ("something behind", "either", make_zip([_GOOD], after=b"\0" * 40)),
        ("from Windows", "ok", make_zip([Entry("train\\labels\\a.txt", attributes=0x20)])),
    ]


class _NoSeek(io.RawIOBase):
    """A stream that cannot go back, so that sizes stand behind the data."""

    def __init__(self, target: io.BytesIO) -> None:
        self._target = target

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:  # type: ignore[override]
        return self._target.write(data)
