"""Archives, by hand and by chance: nothing is written outside, and a dataset is there whole or not at all."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from pathlib import Path, PurePosixPath

from lensmith.core.errors import LensmithError
from lensmith.core.files import whole_folder
from lensmith.core.images import IMAGE_SUFFIXES
from lensmith.datasets.archive import extract_dataset
from tests.suites.archive_cases import Case, cases

BY_HAND = 162
BY_CHANCE = 5000
MEMORY_BYTES = 256 << 20
FILE_BYTES = 64 << 20

_CASES: list[Case] = []
_WANTED = {*IMAGE_SUFFIXES, ".txt", ".json", ".xml", ".yaml", ".yml", ".csv"}
_ODD_NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def warm_up() -> None:
    """All that is loaded later would count as memory of a case."""
    _CASES.extend(cases())


def prepare(number: int, folder: Path) -> Case:
    """Lay out the files of one case."""
    case = _CASES[number] if number < BY_HAND else _mutated(number)
    given = folder / "given"
    given.mkdir()
    (given / "x.zip").write_bytes(case[2])
    (given / "secret.txt").write_text("secret")
    (folder / "outside.txt").write_text("outside")
    return case


def run(case: Case, folder: Path) -> tuple[str, str, list[str]]:
    """One case; see `box.Outcome`."""
    label, expected, data = case
    given = folder / "given"
    archive = given / "x.zip"
    target = folder / "work" / "datasets" / "set"
    broken: list[str] = []
    state, said = "ok", label
    try:
        with whole_folder(target) as partial:
            extracted = extract_dataset(archive, partial)
        broken += _differences(target, extracted.files)
    except LensmithError as error:
        state, said = "refused", f"{label}: {error}"
        if target.parent.exists() and any(target.parent.iterdir()):
            broken.append(f"left behind: {[path.name for path in target.parent.iterdir()]}")
    if expected not in {state, "either"}:
        broken.append(f"'{label}' should be {expected} and was {state}: {said}")
    around = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_relative_to(target)}
    if extra := around - {"given", "given/x.zip", "given/secret.txt", "outside.txt", "work", "work/datasets"}:
        broken.append(f"outside: {sorted(extra)}")
    if archive.read_bytes() != data or (given / "secret.txt").read_text() != "secret":
        broken.append("what was given has changed")
    return state, said, broken


def _differences(target: Path, files: dict[str, str]) -> list[str]:
    """How the folder differs from what the call said it holds."""
    there = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if not path.is_dir()}
    found = [f"{name} is not as said" for name in there.keys() ^ files.keys()]
    for name, path in there.items():
        if path.is_symlink() or not path.is_file():
            found.append(f"{name} is no plain file")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != files.get(name):
            found.append(f"{name} has other bytes")
        if PurePosixPath(name).suffix.lower() not in _WANTED:
            found.append(f"{name} is none of a dataset's files")
        if path.stat().st_mode & 0o7111:
            found.append(f"{name} may be run")
    return found


def _mutated(number: int) -> Case:
    """One of the archives that are right, or nearly, with some damage."""
    rng = random.Random(number)
    sources = [case for case in _CASES if len(case[2]) < 20_000]
    data = bytearray(rng.choice(sources)[2])
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        _damage(data, rng, sources)
    if rng.random() < 0.3:
        _mend_sums(data)
    return f"mutation {number}", "either", bytes(data)


def _damage(data: bytearray, rng: random.Random, sources: list[Case]) -> None:
    if not data:
        return
    at = rng.randrange(len(data))
    match rng.randrange(8):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            data[at] = rng.randrange(256)
        case 2:
            del data[at : at + rng.randrange(1, 60)]
        case 3:
            data[at:at] = data[at : at + rng.randrange(1, 60)]
        case 4:
            data[at:] = b""
        case 5:
            other = rng.choice(sources)[2]
            data[at:] = other[rng.randrange(len(other) or 1) :]
        case _:
            _set_field(data, rng)


def _set_field(data: bytearray, rng: random.Random) -> None:
    """An extreme number in a field of a header, or another name of the same length."""
    mark, fields = rng.choice([
        (b"PK\x03\x04", [(6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)]),
        (b"PK\x01\x02", [(8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (38, 4), (42, 4)]),
        (b"PK\x05\x06", [(4, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)]),
    ])  # fmt: skip
    places = [at for at in range(len(data)) if data.startswith(mark, at)]
    if not places:
        return
    at = rng.choice(places)
    if mark != b"PK\x05\x06" and rng.random() < 0.3:
        name = at + (30 if mark == b"PK\x03\x04" else 46)
        trick = rng.choice([b"../", b"/", b"..\\", b"C:", b"\0", b"a/../../", b"\xff"])
        data[name : name + len(trick)] = trick
        return
    offset, width = rng.choice(fields)
    number = rng.choice(_ODD_NUMBERS) if rng.random() < 0.7 else rng.randrange(1 << 8 * width)
    data[at + offset : at + offset + width] = (number & ((1 << 8 * width) - 1)).to_bytes(width, "little")


def _mend_sums(data: bytearray) -> None:
    """Right sums over damaged stored bytes, so that not everything ends at the first check."""
    at = data.find(b"PK\x03\x04")
    while at >= 0 and at + 30 < len(data):
        packed, name, extra = struct.unpack("<I4xHH", data[at + 18 : at + 30])
        begin = at + 30 + name + extra
        total = zlib.crc32(data[begin : begin + packed]).to_bytes(4, "little")
        for place in (data.find(data[at + 14 : at + 18], at + 30), at + 14):
            if place >= 0:
                data[place : place + 4] = total
        at = data.find(b"PK\x03\x04", at + 4)
